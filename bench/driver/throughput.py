# SPDX-License-Identifier: LGPL-2.1-or-later
"""Throughput of a VM that may share, beside a VM that may not: the bystander.

A machine that others use is fast now and slow then, and of two VMs one is faster for all its life,
by where its memory happens to lie. So loads of both take turns, and what a turn says is the VM's
speed as a part of the bystander's. What sharing took is that part after it over that part before
it: weather and luck are in both, and cancel out. While memory is being shared they do not take
turns (the bystander waits for a core as well): there the VM's speed is compared with its own.
"""
import statistics

KINDS = ("memory", "syscall", "io")


class Bystander:
    """A contender that does nothing."""

    def wrap(self, name, held=False):
        return []


def middle(turns):
    return {kind: statistics.median(turn[kind] for turn in turns)
            for kind in KINDS if all(turn.get(kind) for turn in turns)}


def beside(vms, ask, bystander, turns):
    """(speeds, parts): for each VM its speeds, and these as parts of the bystander's; medians.

    ask(vm): runs one load there, and returns its speeds.
    """
    speeds, parts = [[] for _ in vms], [[] for _ in vms]
    for turn in range(turns):
        order = [bystander, *vms] if turn % 2 else [*vms, bystander]
        found = {id(vm): ask(vm) for vm in order}
        theirs = found[id(bystander)]
        for number, vm in enumerate(vms):
            ours = found[id(vm)]
            speeds[number].append(ours)
            parts[number].append({kind: ours[kind] / theirs[kind] for kind in KINDS
                                  if ours.get(kind) and theirs.get(kind)})
    return [middle(one) for one in speeds], [middle(one) for one in parts]


def over(found, before):
    return {kind: found[kind] / before[kind] for kind in found if before.get(kind)}


def kept(run, when):
    """What a run left of its VMs' speed, by kind: {} where it was not measured."""
    if when == "while":  # of the first VM only
        if not run.get("load_while") or not run.get("load_before"):
            return {}
        return over(middle(run["load_while"]), run["load_before"][0])
    vms = [over(after, before) for after, before
           in zip(run.get("beside_after", []), run.get("beside_before", []))]
    return {kind: statistics.mean(vm[kind] for vm in vms)
            for kind in KINDS if vms and all(kind in vm for vm in vms)}
