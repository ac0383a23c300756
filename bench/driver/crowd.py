# SPDX-License-Identifier: LGPL-2.1-or-later
"""A crowd of pressed VMs (bench/pressed.c) inside one limit, which grows; and a bystander.

The bystander is one more such VM, outside of the limit, that nobody shares or reclaims. It works
when the others do. Of each VM's time that counts in which it ran, or waited for a page: not that in
which it was ready and had no CPU. So what VMs do in their time, for what the bystander does in its,
is what pressure leaves of their work, whatever else runs on this host.
"""
import subprocess
import threading

from driver import host, proc

FILL_S = 120


class Vm:
    def __init__(self, crowd, number, outside=False):
        self.name = f"v{number}"
        before = [] if outside else crowd.wrap(self.name)
        command = [*before, str(crowd.build / "bench/pressed"), str(crowd.image), str(crowd.mib),
                   str(number + 1), str(1000 if outside else crowd.pace),
                   *(["bystander"] if outside else [])]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            text=True, bufsize=1, preexec_fn=None if outside else crowd.limit.enter)
        self.pid = self.process.pid

    def read(self):
        """The next answer, or None: it has died."""
        line = self.process.stdout.readline()
        return proc.parse(line) if line else None

    def ask(self, *words):
        try:
            self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
            self.process.stdin.flush()
        except OSError:
            return None
        return self.read()

    def alive(self):
        return self.process.poll() is None

    def close(self):
        self.process.kill()
        self.process.wait()


class Crowd:
    def __init__(self, build, image, mib, pace, limit, wrap):
        """pace: MiB a second that a VM is filled with."""
        self.build, self.image, self.mib, self.pace = build, image, mib, pace
        self.limit, self.wrap = limit, wrap
        self.vms = []
        self.bystander = Vm(self, 9999, outside=True)
        if self.bystander.read() is None:
            raise host.Failed("the bystander has died")

    def grow(self, count):
        """Up to count VMs, one after the other, as guests boot. False: one has died."""
        while len(self.vms) < count:
            vm = Vm(self, len(self.vms))
            self.vms.append(vm)
            timer = threading.Timer(FILL_S, vm.process.kill)
            timer.start()
            ready = vm.read()
            timer.cancel()
            if ready is None:
                return False
        return self.alive()

    def alive(self):
        return all(vm.alive() for vm in self.vms)

    @staticmethod
    def ask_all(vms, *words):
        """The answers of these, asked at the same time; None of one that has died."""
        answers = [None] * len(vms)

        def one(i):
            answers[i] = vms[i].ask(*words)

        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(vms))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return answers

    def work(self, ms):
        """What part of its work a VM does, in the mean, and the worst p99 in us; None: one has
        died."""
        answers = self.ask_all([*self.vms, self.bystander], "work", ms)
        if None in answers:
            return None
        if any(answer["wrong"] for answer in answers):
            raise host.Failed("a VM has read a wrong byte")
        rates = [a["ops"] / max(a["ms"] - a["queued_ms"], 1) for a in answers]
        other = rates.pop()
        return {"work": sum(rates) / len(rates) / other, "bystander_ops_per_ms": other,
                "p99_us": max(a["p99"] for a in answers[:-1]) / 1000,
                "max_us": max(a["max"] for a in answers[:-1]) / 1000}

    def verify(self):
        answers = self.ask_all(self.vms, "verify")
        if None in answers:
            return None
        return sum(answer["wrong"] for answer in answers)

    def pids(self):
        return [vm.pid for vm in self.vms if vm.alive()]

    def close(self):
        for vm in [*self.vms, self.bystander]:
            vm.close()
        self.vms = []
