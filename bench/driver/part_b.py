# SPDX-License-Identifier: LGPL-2.1-or-later
"""(b) Identical Debian guests in one domain: idle after boot, then working."""
import dataclasses
import time

from driver import contender as contenders
from driver import counters, guests, host, phases, proc, throughput

WARM_TURNS = 1  # an emulator translates what it has not run before
WORK_SETTLE_S = 6  # after the work, until what is saved is counted


@dataclasses.dataclass(frozen=True)
class Plan:
    """Times in seconds, but for the *_ms."""
    guests: int
    mib: int             # of each
    load_ms: int         # of each turn
    load_turns: int
    cap_s: float
    rest_s: float        # before a pass over quiet memory is measured
    window_s: float      # how long it is watched then
    work_ms: int
    brief: bool = False  # converging, counting, verifying, and no more


class Run:
    def __init__(self, image, contender, plan, bystander):
        """bystander: a guest that may not share, and is there for several runs."""
        self.image = image
        self.bystander = bystander
        self.contender = contender
        self.plan = plan
        self.mib = plan.mib
        self.result = {"contender": contender.name, "mib": plan.mib * plan.guests,
                       "guests": plan.guests, "accelerator": image.accel}

    def go(self):
        self.contender.start()
        self.guests = guests.Guests(self.image, self.contender, self.mib)
        sampler = None
        try:
            self.result["boot_s"] = self.guests.boot(self.plan.guests)
            self.bystander.ask("hello", seconds=guests.BOOT_S)
            self._before()
            sampler = proc.Sampler(self.image.build, self.contender, self.guests.pids())
            self._converge(sampler)
            self._idle()
            if not self.plan.brief:
                self._work(sampler)
                self._touch()  # last: what it writes is new memory to share
            self.result["wrong_pages"] = self.guests.verify()
        finally:
            if sampler:
                sampler.close()
            self.guests.close()
            self.contender.stop()
        return self.result

    def _load(self, guest):
        return guest.ask("load", self.plan.load_ms)

    def _loads(self, turns):
        return throughput.beside(self.guests.all, self._load, self.bystander, turns)

    def _before(self):
        result, named = self.result, self.guests.named()
        self._loads(WARM_TURNS)
        result["load_before"], result["beside_before"] = self._loads(self.plan.load_turns)
        cpu, start = contenders.vm_cpu_s(self.guests.pids()), time.monotonic()
        time.sleep(2)
        result["vm_core_before"] = ((contenders.vm_cpu_s(self.guests.pids()) - cpu) /
                                    (time.monotonic() - start))
        build = self.image.build
        result["ideal"] = counters.count_ideal(build, self.mib, named)["ideal"]
        frames = counters.count_frames(build, self.mib, named)
        result["saved_before"] = frames["saved"]
        self.footprint = counters.footprint(build, self.mib, named, frames)
        host.warm_for(self.plan.mib * self.plan.guests)

    def _converge(self, sampler):
        result, vms = self.result, self.guests.pids()
        start, begun = sampler.now(), len(sampler.samples)
        self.contender.release()
        load = phases.Load(lambda: self._load(self.guests.all[0]), sampler.now)
        wanted = result["ideal"] - result["saved_before"]
        try:
            result["end"] = phases.settle(self.contender, sampler, vms, wanted, self.plan.cap_s,
                                          self.guests.alive)
        finally:
            loads = load.end()
        first = sampler.samples[begun - 1]
        samples = [{"t": s["t"] - start, "saved": s["saved"] - first["saved"],
                    "share": s["share"] - first["share"], "vm": s["vm"] - first["vm"]}
                   for s in sampler.samples[begun:]]
        reached = phases.crossing(samples,
                                  phases.REACHED * result["ideal"] - result["saved_before"])
        result["reached"] = reached
        result["samples"] = [[round(s["t"], 3), s["saved"], round(s["share"], 4)] for s in samples]
        limit = reached["t"] + start if reached else float("inf")
        result["load_while"] = [turn for turn in loads if turn["start"] < limit]
        result["load_after"], result["beside_after"] = self._loads(self.plan.load_turns)

    def _count(self):
        build, named = self.image.build, self.guests.named()
        frames = counters.count_frames(build, self.mib, named)
        ideal = counters.count_ideal(build, self.mib, named)
        found = {
            "frames": {key: frames[key] for key in ("saved", "shared", "zero", "frames")},
            "ideal_after": ideal["ideal"],
            "pages": ideal["pages"],
        }
        if not self.plan.brief:
            after = counters.footprint(build, self.mib, named, frames)
            found["metadata"] = counters.metadata(self.contender, named, frames, self.footprint,
                                                  after, emulated=self.image.accel != "kvm")
        return found

    def _idle(self):
        result, plan = self.result, self.plan
        if not plan.brief:
            result["quiet"] = phases.quiet_pass(self.contender, self.guests.pids(), plan.rest_s,
                                                plan.window_s)
        result.update(self._count())
        result["managed"] = plan.mib * plan.guests * (1 << 20)
        result["books"] = self.contender.books()

    def _touch(self):
        """First touches as a guest's program sees them, the emulator's part included."""
        self.result["first_read_ns"] = self.guests.all[-1].ask("read")
        self.result["first_write_ns"] = self.guests.all[-1].ask("write")

    def _work(self, sampler):
        """A build, a database, a file walk, in all guests at once; then what is saved again."""
        work, vms = {}, self.guests.pids()
        cpu, vm_cpu = (contenders.share_cpu_s(self.contender, vms), contenders.vm_cpu_s(vms))
        start = time.monotonic()
        for job in ("build", "database"):
            # By this host's clock, with what comes before the work (the interpreter's start, the
            # making of the database): guests that do not work at the same time are each faster.
            begun = time.monotonic()
            answers = guests.ask_all(self.guests.all, job, self.plan.work_ms)
            work[job] = sum(answer["done"] for answer in answers) / (time.monotonic() - begun)
        walk = time.monotonic()
        answers = guests.ask_all(self.guests.all, "reread")
        work["walk"] = sum(a["bytes"] for a in answers) / (time.monotonic() - walk) / (1 << 20)
        seconds = time.monotonic() - start
        work["seconds"] = seconds
        work["core"] = (contenders.share_cpu_s(self.contender, vms) - cpu) / seconds
        work["vm_core"] = (contenders.vm_cpu_s(vms) - vm_cpu) / seconds
        before = sampler.last()["saved"]
        wanted = before + self.result["ideal"] - self.result["frames"]["saved"]
        phases.settle(self.contender, sampler, vms, max(wanted, 1), WORK_SETTLE_S,
                      self.guests.alive, core=False)
        work.update(self._count())
        self.result["work"] = work
