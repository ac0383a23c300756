# SPDX-License-Identifier: LGPL-2.1-or-later
"""(c) One small guest after the other: shared, saved and ideal over their number.

After Waldspurger's figure: identical guests, each of which adds little but its own.
"""
from driver import contender as contenders
from driver import counters, guests, phases, proc

SETTLE_S = 10


def shared_pages(image, contender, mib, named, frames):
    """Pages of guests that lie in a frame of the store, or in a page of KSM's, or are zero."""
    if isinstance(contender, contenders.Pshare):
        return counters.footprint(image.build, mib, named, frames)["memfd"] + frames["zero"]
    books = contender.books()
    return int(books["pages_shared"]) + int(books["pages_sharing"]) + frames["zero"]


def run(image, contender, mib, counts, cap_s=SETTLE_S):
    """Points at each of counts, ascending. Sharing goes on from the first guest."""
    contender.start()
    some = guests.Guests(image, contender, mib)
    points = []
    try:
        for count in counts:
            some.boot(count - len(some.all))
            contender.release()
            named = some.named()
            ideal = counters.count_ideal(image.build, mib, named)
            before = counters.count_frames(image.build, mib, named)["saved"]
            sampler = proc.Sampler(image.build, contender, some.pids(), 100)
            try:
                phases.settle(contender, sampler, some.pids(), max(ideal["ideal"] - before, 1),
                              cap_s, some.alive, core=False)
            finally:
                sampler.close()
            frames = counters.count_frames(image.build, mib, named)
            ideal = counters.count_ideal(image.build, mib, named)
            points.append({"guests": count, "pages": ideal["pages"], "ideal": ideal["ideal"],
                           "saved": frames["saved"], "zero": frames["zero"],
                           "frames": frames["frames"],
                           "shared": shared_pages(image, contender, mib, named, frames)})
        wrong = some.verify()
    finally:
        some.close()
        contender.stop()
    return {"contender": contender.name, "mib_each": mib, "points": points, "wrong_pages": wrong}
