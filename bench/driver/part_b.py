# SPDX-License-Identifier: LGPL-2.1-or-later
"""(b) Identical Debian guests in one domain: idle after boot, then working."""
import time

from driver import contender as contenders
from driver import counters, guests, phases, proc


class Run:
    def __init__(self, image, contender, size, number, load_ms, cap_s, settle_s, window_s,
                 work_ms):
        self.image = image
        self.contender = contender
        self.mib = size
        self.number = number
        self.load_ms = load_ms
        self.cap_s = cap_s
        self.settle_s = settle_s
        self.window_s = window_s
        self.work_ms = work_ms
        self.result = {"contender": contender.name, "mib": size * number, "guests": number,
                       "accelerator": image.accel}

    def go(self):
        self.contender.start()
        self.guests = guests.Guests(self.image, self.contender, self.mib)
        sampler = None
        try:
            self.result["boot_s"] = self.guests.boot(self.number)
            self._before()
            sampler = proc.Sampler(self.image.build, self.contender, self.guests.pids())
            self._converge(sampler)
            self._idle(sampler)
            self._work(sampler)
            self.result["wrong_pages"] = self.guests.verify()
        finally:
            if sampler:
                sampler.close()
            self.guests.close()
            self.contender.stop()
        return self.result

    def _load(self):
        return self.guests.all[0].ask("load", self.load_ms)

    def _before(self):
        result, named = self.result, self.guests.named()
        result["load_before"] = self._load()
        cpu, start = contenders.vm_cpu_s(self.guests.pids()), time.monotonic()
        time.sleep(2)
        result["vm_core_before"] = ((contenders.vm_cpu_s(self.guests.pids()) - cpu) /
                                    (time.monotonic() - start))
        build = self.image.build
        result["ideal"] = counters.count_ideal(build, self.mib, named)["ideal"]
        frames = counters.count_frames(build, self.mib, named)
        result["saved_before"] = frames["saved"]
        self.footprint = counters.footprint(build, self.mib, named, frames)

    def _converge(self, sampler):
        result, vms = self.result, self.guests.pids()
        start, begun = sampler.now(), len(sampler.samples)
        self.contender.release()
        load = phases.Load(self._load, sampler.now)
        wanted = result["ideal"] - result["saved_before"]
        try:
            result["end"] = phases.settle(self.contender, sampler, vms, wanted, self.cap_s,
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
        result["load_after"] = self._load()

    def _count(self):
        build, named = self.image.build, self.guests.named()
        frames = counters.count_frames(build, self.mib, named)
        ideal = counters.count_ideal(build, self.mib, named)
        after = counters.footprint(build, self.mib, named, frames)
        return {
            "frames": {key: frames[key] for key in ("saved", "shared", "zero", "frames")},
            "ideal_after": ideal["ideal"],
            "pages": ideal["pages"],
            "metadata": counters.metadata(self.contender, named, frames, self.footprint, after,
                                          emulated=self.image.accel != "kvm"),
        }

    def _idle(self, sampler):
        result = self.result
        result["quiet"] = phases.quiet_pass(self.contender, self.guests.pids(), self.settle_s, 8,
                                            self.window_s)
        result.update(self._count())
        result["managed"] = self.mib * self.number * (1 << 20)
        result["books"] = self.contender.books()

    def _work(self, sampler):
        """A build, a database, a file walk, in all guests at once; then what is saved again."""
        work, vms = {}, self.guests.pids()
        cpu, vm_cpu = (contenders.share_cpu_s(self.contender, vms), contenders.vm_cpu_s(vms))
        start = time.monotonic()
        for job in ("build", "database"):
            answers = guests.ask_all(self.guests.all, job, self.work_ms)
            work[job] = sum(answer[job] for answer in answers)
        walk = time.monotonic()
        answers = guests.ask_all(self.guests.all, "reread")
        work["walk"] = sum(a["bytes"] for a in answers) / (time.monotonic() - walk) / (1 << 20)
        seconds = time.monotonic() - start
        work["seconds"] = seconds
        work["core"] = (contenders.share_cpu_s(self.contender, vms) - cpu) / seconds
        work["vm_core"] = (contenders.vm_cpu_s(vms) - vm_cpu) / seconds
        before = sampler.last()["saved"]
        wanted = before + self.result["ideal"] - self.result["frames"]["saved"]
        phases.settle(self.contender, sampler, vms, max(wanted, 1), self.settle_s,
                      self.guests.alive, core=False)
        work.update(self._count())
        self.result["work"] = work
