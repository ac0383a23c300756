# SPDX-License-Identifier: LGPL-2.1-or-later
"""Processes: starting and ending them, their threads and their CPU time, what programs say."""
import os
import pathlib
import subprocess
import threading
import time

from driver import host

END_S = 5


def end(process):
    """Ends a process that we started, gently, then not."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(END_S)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def threads(pid):
    """(TID, name) of each."""
    found = []
    for comm in pathlib.Path(f"/proc/{pid}/task").glob("*/comm"):
        try:
            found.append((int(comm.parent.name), comm.read_text(encoding="utf-8").strip()))
        except OSError:
            continue
    return found


def mappings(pid):
    return len(pathlib.Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines())


def cpu_s(pid, wanted=lambda comm: True):
    total = 0
    for tid, comm in threads(pid):
        if wanted(comm):
            try:
                text = pathlib.Path(f"/proc/{pid}/task/{tid}/schedstat").read_text("ascii")
                total += int(text.split()[0])
            except OSError:
                continue
    return total / 1e9


def confine(pid, cpus):
    """All threads of a process on these CPUs."""
    for tid, _ in threads(pid):
        try:
            os.sched_setaffinity(tid, cpus)
        except OSError:
            continue


def number(text):
    try:
        return int(text)
    except ValueError:
        try:
            return float(text)
        except ValueError:
            return text


def parse(line):
    """KEY=VALUE ... of a line."""
    return {key: number(value) for key, eq, value in
            (word.partition("=") for word in line.split()) if eq}


def run(command, allow=(0,)):
    """What a counter prints, a dictionary for each line."""
    said = subprocess.run([str(word) for word in command], capture_output=True, text=True,
                          check=False)
    if said.returncode not in allow:
        raise host.Failed(f"{pathlib.Path(command[0]).name}: {said.stderr.strip()[-300:]}")
    return [parse(line) for line in said.stdout.splitlines()]


class Talker:
    """A program that is asked on stdin and answers "ok KEY=VALUE ..." on stdout, a line each."""

    def __init__(self, command, name):
        self.name = name
        self.process = subprocess.Popen([str(word) for word in command], text=True, bufsize=1,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = self.process.pid

    def tell(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise host.Failed(f"{self.name} has ended before \"{line}\": {error}") from error

    def answer(self):
        line = self.process.stdout.readline()
        if not line.startswith("ok"):
            raise host.Failed(f"{self.name} said: {line.strip() or 'nothing, it has ended'}")
        return parse(line)

    def ask(self, line):
        self.tell(line)
        return self.answer()

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            pass
        end(self.process)
        self.process.stdout.close()


class Sampler:
    """bench/sampler, its lines kept with the time since it started."""

    def __init__(self, build, contender, vms, every_ms=50):
        self.samples = []
        self.process = subprocess.Popen(
            [str(build / "bench/sampler"), str(every_ms), *contender.sampler(),
             *(f"vm={pid}" for pid in vms)],
            text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        limit = time.monotonic() + END_S
        while not self.samples:
            if time.monotonic() > limit or self.process.poll() is not None:
                raise host.Failed("the sampler does not start")
            time.sleep(0.005)

    def _read(self):
        for line in self.process.stdout:
            values = parse(line)
            self.samples.append({"t": values["t"] / 1e9, "saved": values["saved"],
                                 "share": values["share"] / 1e9, "vm": values["vm"] / 1e9})

    def last(self):
        return self.samples[-1]

    def now(self):
        """Seconds on the samples' clock, as fine as they are."""
        return self.samples[-1]["t"]

    def close(self):
        self.process.stdin.close()
        end(self.process)
        self.thread.join(END_S)
        self.process.stdout.close()
