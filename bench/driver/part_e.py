# SPDX-License-Identifier: LGPL-2.1-or-later
"""(e) Real VMMs whose guests write to shared pages: how long do batches make them wait, how often?

One domain, three guests: a small and a large one, whose disks are open for O_DIRECT, so that pins
are told by a fork (the larger the VMM, the longer it takes), and a small one as libvirt starts it:
it may not fork, and has nothing that pins. The figures are the agents' own: a batch is what they
do while pages are closed, and its time the longest that a guest's write can have waited for it.
"""
import time

from driver import guests, host

SANDBOX = ("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny")
POLL_S = 1
COUNTERS = ("batches", "pin_forks", "shared_again", "unshared", "brought_back")


def kinds(small_mib, large_mib):
    """(name, MiB, the disk's cache, more words, how pins should be told)"""
    return [("g1", small_mib, "none", (), "fork"),
            ("g2", large_mib, "none", (), "fork"),
            ("g3", small_mib, "writeback", SANDBOX, "descriptors")]


def figures(contender):
    """Of each VM, from the daemon's books."""
    found = {}
    for vm in contender.ask("/v1/vms")["vms"]:
        found[vm["name"]] = {
            "pins": vm.get("pins"), "longest_stall_ms": vm.get("longest_stall_s", 0) * 1000,
            "shared_mib": vm["SHRD"] / (1 << 20), "broken_mib": vm.get("broken", 0) / (1 << 20),
            **{key: vm["counters"].get(key, 0) for key in COUNTERS}}
    return found


def settle(contender, seconds):
    """Until no more is shared, or so long."""
    end, last = time.monotonic() + seconds, -1
    while time.monotonic() < end:
        time.sleep(POLL_S)
        now = sum(vm["shared_mib"] for vm in figures(contender).values())
        if abs(now - last) < 1:
            return
        last = now


def since(after, before):
    return {name: {**vm, **{key: vm[key] - before[name][key] for key in COUNTERS}}
            for name, vm in after.items()}


def work(some, contender, rounds, settle_s):
    """Each round writes half of a guest's memory anew, and is followed by a rest."""
    for number in range(rounds):
        guests.ask_all(some, "work", number + 1)
        settle(contender, settle_s)


def run(image, contender, size):
    """The guests' figures, and the seconds in which they worked and settled."""
    contender.start()
    some = []
    try:
        wanted = kinds(size["small_mib"], size["large_mib"])
        for name, mib, cache, more, _ in wanted:
            some.append(guests.Guest(image, contender, name, mib, more, cache))
        guests.ask_all(some, "hello", seconds=guests.BOOT_S)
        contender.release()
        settle(contender, size["settle_s"])
        before, start = figures(contender), time.monotonic()
        work(some, contender, size["rounds"], size["settle_s"])
        seconds = time.monotonic() - start
        after = figures(contender)
        guests.ask_all(some, "verify")
    finally:
        for guest in some:
            guest.close()
        contender.stop()
    for name, _, _, _, pins in wanted:
        if after[name]["pins"] != pins:
            raise host.Failed(f"e: pins of {name} are told by {after[name]['pins']}, "
                              f"not by {pins}: nothing to compare")
    return {"contender": contender.name, "seconds": seconds, "vms": since(after, before),
            "mib": {name: mib for name, mib, *_ in wanted}}
