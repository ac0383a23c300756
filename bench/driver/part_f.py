# SPDX-License-Identifier: LGPL-2.1-or-later
"""(f) A program that writes all of its memory anew, again and again (bench/rewrite)."""
from driver import host, proc, throughput


def one(build, contender, mib, seconds):
    """What a contender leaves of its speed."""
    if contender:
        contender.start()
    try:
        wrap = contender.wrap("rewrite") if contender else throughput.Bystander().wrap("rewrite")
        if contender:
            contender.release()
        found = proc.run([build / "bench/small", *wrap, build / "bench/rewrite", mib, seconds])[0]
    finally:
        if contender:
            contender.stop()
    if found["wrong"]:
        raise host.Failed(f"f: {found['wrong']} words are wrong")
    return {"contender": contender.name if contender else "none", **found}
