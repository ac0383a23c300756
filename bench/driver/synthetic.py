# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs on synthetic memory: VMs of paper (bench/synth), one contender, from fill to verify."""
import concurrent.futures
import dataclasses
import os
import time

from driver import counters, host, phases, proc, throughput

PAGE = 4096
DIRTY_S = 3       # until what was written is settled, and its mappings with it
STALL_APART_US = 1000  # a thousand first writes a second
SCRATCH_PAGES = 1024  # of each VM, that are in no slot (bench/synth.h)


@dataclasses.dataclass(frozen=True)
class Plan:
    """What one run is to do. Times in seconds, but for the *_ms and *_us."""
    mib: int             # of all VMs together
    vms: int = 2
    run: int = 1         # pages of a slot
    equal: int = 500     # permille of the slots
    change: int = 0      # permille of the slots that change all the time
    change_ms: int = 1000
    seed: int = 1
    cap_s: float = 60
    load_ms: int = 0     # of each turn; 0: no loads
    load_turns: int = 8
    touches: int = 0     # timed first reads, and as many first writes
    apart_us: int = 50
    dirty: int = 0       # permille of what is shared that is written, to see mappings grow
    stalls_ms: int = 0   # how long writes to what is being shared anew are timed; 0: not
    twins: int = 0
    rest_s: float = 8    # before a pass over quiet memory is measured
    window_s: float = 6  # how long it is watched then
    brief: bool = False  # converging, counting, verifying, and no more
    file: str = ""


def ideal_of(plan):
    """What a layout without change holds (bench/layout.c): for memory too large to count."""
    slots = (plan.mib // plan.vms * 256 - SCRATCH_PAGES) // plan.run
    return slots * plan.equal // 1000 * plan.run * (plan.vms - 1)


def start_vm(build, contender, plan, number, name):
    return proc.Talker(
        [build / "bench/small", *contender.wrap(name), build / "bench/synth", plan.seed, number,
         plan.mib // plan.vms * 256, plan.run, plan.equal, plan.change,
         *([plan.file] if plan.file else [])], name)


def start_vms(build, contender, plan):
    vms = []
    try:
        for number in range(plan.vms):
            vms.append(start_vm(build, contender, plan, number, f"vm{number}"))
    except BaseException:
        for vm in vms:
            vm.close()
        raise
    return vms


def all_ask(vms, line):
    with concurrent.futures.ThreadPoolExecutor(len(vms)) as pool:
        return list(pool.map(lambda vm: vm.ask(line), vms))


class Run:
    """One contender, one plan. result: what it found."""

    def __init__(self, build, contender, plan, ideal=None):
        self.build = build
        self.contender = contender
        self.plan = plan
        self.mib = plan.mib // plan.vms
        self.ideal = ideal
        self.vms = []
        self.sampler = self.bystander = None
        self.result = {"contender": contender.name, "mib": plan.mib}

    def pids(self):
        return [vm.pid for vm in self.vms]

    def named(self):
        return [(vm.name, vm.pid) for vm in self.vms]

    def alive(self):
        return all(vm.process.poll() is None for vm in self.vms)

    def go(self):
        self.contender.start()
        try:
            self.vms = start_vms(self.build, self.contender, self.plan)
            if self.plan.load_ms:
                self.bystander = start_vm(self.build, throughput.Bystander(), self.plan,
                                          self.plan.vms, "bystander")
                self.bystander.ask("fill")
            self._before()
            self._converge()
            self._after()
            self._verify()
        finally:
            if self.sampler:
                self.sampler.close()
            for vm in [*self.vms, self.bystander]:
                if vm:
                    vm.close()
            self.contender.stop()
        return self.result

    def _load(self, vm):
        return vm.ask(f"load {self.plan.load_ms}")

    def _loads(self):
        return throughput.beside(self.vms, self._load, self.bystander, self.plan.load_turns)

    def _before(self):
        plan, result = self.plan, self.result
        all_ask(self.vms, "fill")
        if plan.change:  # what changes has changed once: it is nobody's equal any more
            all_ask(self.vms, f"change {plan.change_ms}")
            time.sleep(1.5 * plan.change_ms / 1000)
            all_ask(self.vms, "still")
        if self.ideal is None:
            self.ideal = counters.count_ideal(self.build, self.mib, self.named())["ideal"]
        result["ideal"] = self.ideal
        frames = counters.count_frames(self.build, self.mib, self.named())
        result["saved_before"] = frames["saved"]
        self.footprint = counters.footprint(self.build, self.mib, self.named(), frames)
        if plan.load_ms:
            result["load_before"], result["beside_before"] = self._loads()
        host.warm_for(plan.mib)
        if plan.change:
            all_ask(self.vms, f"change {plan.change_ms}")

    def _converge(self):
        plan, result = self.plan, self.result
        self.sampler = proc.Sampler(self.build, self.contender, self.pids())
        self.contender.release()
        start = self.sampler.now()
        all_ask(self.vms, "merge")
        load = None
        if plan.load_ms:
            load = phases.Load(lambda: self._load(self.vms[0]), self.sampler.now)
        try:
            result["end"] = phases.settle(self.contender, self.sampler, self.pids(), self.ideal,
                                          plan.cap_s, self.alive)
        finally:
            loads = load.end() if load else []
        samples = [{**sample, "t": sample["t"] - start} for sample in self.sampler.samples
                   if sample["t"] >= start]
        result["start"] = start
        reached = phases.crossing(samples, phases.REACHED * self.ideal - result["saved_before"])
        result["reached"] = reached
        result["samples"] = [[round(s["t"], 3), s["saved"], round(s["share"], 4)] for s in samples]
        limit = reached["t"] + start if reached else float("inf")
        result["load_while"] = [turn for turn in loads if turn["start"] < limit]

    def _after(self):
        plan, result, contender = self.plan, self.result, self.contender
        if plan.load_ms:
            result["load_after"], result["beside_after"] = self._loads()
        if not plan.brief:
            result["quiet"] = phases.quiet_pass(contender, self.pids(), plan.rest_s, plan.window_s)
        if plan.change:
            self.result["changed"] = sum(a["changed"] for a in all_ask(self.vms, "still"))
        if plan.twins:
            result["twin_ms"] = self.vms[0].ask(f"twin {plan.twins}")
        named = self.named()
        frames = counters.count_frames(self.build, self.mib, named)
        result["frames"] = {key: frames[key] for key in ("saved", "shared", "zero", "frames")}
        result["sampled"] = self.sampler.last()["saved"] + result["saved_before"]
        result["ideal_after"] = counters.count_ideal(self.build, self.mib, named)["ideal"]
        result["managed"] = plan.mib * (1 << 20)
        result["books"] = contender.books()
        if plan.brief:
            return
        after = counters.footprint(self.build, self.mib, named, frames)
        result["metadata"] = counters.metadata(contender, named, frames, self.footprint, after)
        if plan.touches:
            self._touch()
        if plan.dirty:
            self._dirty()
        if plan.stalls_ms:
            self._stalls()

    def _touch(self):
        """First touches; writes also with VM and agent on one core, where no core has to wake."""
        plan, result, vm = self.plan, self.result, self.vms[0]
        result["first_read_ns"] = vm.ask(f"read {plan.touches} {plan.apart_us}")
        result["first_write_ns"] = vm.ask(f"write {plan.touches} {plan.apart_us}")
        every = os.sched_getaffinity(0)
        proc.confine(vm.pid, phases.last_cpu())
        result["first_write_one_core_ns"] = vm.ask(f"write {plan.touches} {plan.apart_us}")
        proc.confine(vm.pid, every)

    def _dirty(self):
        """Mappings of a VM before and after a part of its shared pages was written: the most."""
        vm = self.vms[0]
        before = proc.mappings(vm.pid)
        found = vm.ask(f"dirty {self.plan.dirty}")
        counts = []
        for _ in range(DIRTY_S):
            counts.append(proc.mappings(vm.pid))
            time.sleep(1)
        self.result["dirty"] = {**found, "before": before, "after": max(counts)}

    def _stalls(self):
        """How long writes take while what was written before is shared anew."""
        self.result["stalls"] = {
            "seconds": self.plan.stalls_ms / 1000,
            **self.vms[0].ask(f"stalls {self.plan.stalls_ms} {STALL_APART_US}")}
        self.result["books_stalled"] = self.contender.books()

    def _verify(self):
        wrong = sum(answer["wrong"] for answer in all_ask(self.vms, "verify"))
        self.result["wrong_pages"] = wrong
        if wrong:
            raise host.Failed(f"{wrong} pages are wrong after {self.contender.name} shared them")
