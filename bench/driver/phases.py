# SPDX-License-Identifier: LGPL-2.1-or-later
"""The phases that all parts have in common: converging, settling, a pass over quiet memory."""
import os
import threading
import time

from driver import contender as contenders
from driver import host

REACHED = 0.95   # of the ideal
QUIET_S = 2.6    # no growth for so long (a quarantine is 2 s) ...
QUIET_PART = 0.002  # ... of more than this part of the ideal: settled
POLL_S = 0.05
CONFINE_S = 0.2  # threads of an agent are born a moment after its VM asks for sharing


def crossing(samples, pages):
    """When `pages` were saved: (seconds, CPU seconds of sharing, VMs' CPU), interpolated."""
    before = {"t": 0.0, "saved": 0, "share": 0.0, "vm": 0.0}
    for sample in samples:
        if sample["saved"] >= pages:
            span = sample["saved"] - before["saved"]
            part = (pages - before["saved"]) / span if span > 0 else 1.0
            return {key: before[key] + part * (sample[key] - before[key])
                    for key in ("t", "share", "vm")}
        before = sample
    return None


class Load:
    """Asks a VM for loads again and again, until it is told to end; keeps answers with times."""

    def __init__(self, ask, clock):
        self.ask = ask
        self.clock = clock
        self.answers = []
        self.error = None
        self.over = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            while not self.over.is_set():
                start = self.clock()
                answer = self.ask()
                self.answers.append({"start": start, "end": self.clock(), **answer})
        except host.Failed as error:
            self.error = error

    def end(self):
        self.over.set()
        self.thread.join()
        if self.error:
            raise self.error
        return self.answers


def last_cpu():
    cpus = sorted(os.sched_getaffinity(0))
    return {cpus[-1]}


def settle(contender, sampler, vms, ideal, cap_s, alive=lambda: True, core=True):
    """Waits until what is saved reaches the ideal, or stops growing, or cap_s has passed.

    All that shares is confined to one core meanwhile: ksmd cannot have more than one. Returns how
    it ended: "settled" or "capped".
    """
    start = sampler.now()
    most, since, confine_at = 0, start, start
    while True:
        now, saved = sampler.now(), sampler.last()["saved"]
        if core and now >= confine_at:
            contenders.confine(contender, vms, last_cpu())
            confine_at = now + CONFINE_S
        if not alive():
            raise host.Failed("a VM has ended while it shared")
        if saved > most + ideal * QUIET_PART:
            most, since = saved, now
        if most >= REACHED * ideal and now - since >= QUIET_S:
            how = "settled"
            break
        if now - start >= cap_s:
            how = "capped"
            break
        time.sleep(POLL_S)
    contenders.confine(contender, vms, os.sched_getaffinity(0))
    return how


def quiet_pass(contender, vms, rest_s, window_s):
    """CPU of passes over memory that does not change, after rest_s in which they became cheaper.

    Both contenders pass over more and more of what rests. From the end of a pass on, for window_s.
    Nobody asks anything meanwhile: answering would count.
    """
    time.sleep(rest_s)
    mark = contender.passes()
    end = time.monotonic() + window_s
    while contender.passes() == mark and time.monotonic() < end:
        time.sleep(0.02)
    first, start = contender.passes(), time.monotonic()
    cpu, vm_cpu = contenders.share_cpu_s(contender, vms), contenders.vm_cpu_s(vms)
    time.sleep(window_s)
    cpu = contenders.share_cpu_s(contender, vms) - cpu
    vm_cpu = contenders.vm_cpu_s(vms) - vm_cpu
    seconds, done = time.monotonic() - start, contender.passes() - first
    return {
        "passes": done,
        "seconds": seconds,
        "cpu_s": cpu,
        "cpu_s_per_pass": cpu / done if done else None,
        "core": cpu / seconds,  # part of a core that it takes for good
        "vm_core": vm_cpu / seconds,
    }
