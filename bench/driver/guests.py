# SPDX-License-Identifier: LGPL-2.1-or-later
"""Real guests: QEMU as scripts/guest-lib.sh starts it, asked over their second serial port."""
import concurrent.futures
import pathlib
import subprocess
import time

from driver import host, proc, throughput

BOOT_S = 180
ANSWER_S = 120


class Image:
    """The guests' kernel and disk, and what boots them here."""

    def __init__(self, root, build, run):
        self.root = root
        self.build = build
        self.run = run
        made = subprocess.run([str(root / "scripts/guest-image"), str(build)],
                              capture_output=True, text=True, check=False)
        if made.returncode:
            raise host.Unavailable("no guest image: " + made.stderr.strip().splitlines()[-1])
        self.accel = self._shell("guest_accel").strip()

    def _shell(self, command):
        """Lets guest-lib.sh say something, so that it is written down once."""
        said = subprocess.run(
            ["bash", "-c", "set -eu; build=$1 run=$2; cd \"$3\"; . scripts/guest-lib.sh; "
             + command, "bash", str(self.build), str(self.run), str(self.root)],
            capture_output=True, text=True, check=False)
        if said.returncode:
            raise host.Failed(f"guest-lib.sh: {said.stderr.strip()}")
        return said.stdout

    def command(self, name, mib, cache):
        words = self._shell(f"guest_command {name} {mib} {self.accel}; "
                            "printf '%s\\n' \"${guest_qemu[@]}\"")
        return [word.replace("cache=none", f"cache={cache}") for word in words.splitlines()]


class Guest:
    def __init__(self, image, contender, name, mib, more=(), cache="none"):
        """more: words at the end of QEMU's command line; cache: of its disk."""
        self.image = image
        self.name = name
        self.log = image.run / f"{name}.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [str(image.build / "bench/small"), *contender.wrap(name, held=True),
                 *image.command(name, mib, cache), *more],
                cwd=image.root, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.pid = self.process.pid

    def ask(self, command, argument=None, seconds=ANSWER_S):
        words = [str(self.image.build / "tests/guest/guest-ask"),
                 str(self.image.run / f"{self.name}.commands"), str(seconds), command]
        if argument is not None:
            words.append(str(argument))
        said = subprocess.run(words, capture_output=True, text=True, check=False)
        if said.returncode:
            last = (said.stdout + said.stderr).strip() or self.last_words()
            raise host.Failed(f"guest {self.name}: {command}: {last}")
        return proc.parse(said.stdout)

    def last_words(self):
        text = ""
        for path in (self.log, self.image.run / f"{self.name}.console"):
            if path.exists():
                text += path.read_text(encoding="utf-8", errors="replace")[-200:]
        return text.strip()

    def close(self):
        proc.end(self.process)


def bystander(image, mib):
    """A guest like the others, that nobody may share; not up yet when this returns."""
    return Guest(image, throughput.Bystander(), "bystander", mib, ("-machine", "mem-merge=off"))


def ask_all(guests, command, argument=None, seconds=ANSWER_S):
    with concurrent.futures.ThreadPoolExecutor(len(guests)) as pool:
        return list(pool.map(lambda guest: guest.ask(command, argument, seconds), guests))


class Guests:
    """Some guests with one contender, which is held until release() is called."""

    def __init__(self, image, contender, mib):
        self.image = image
        self.contender = contender
        self.mib = mib
        self.all = []

    def boot(self, count):
        """That many more, at once; returns when all have set themselves up."""
        more = []
        for _ in range(count):
            more.append(Guest(self.image, self.contender, f"g{len(self.all) + 1}", self.mib))
            self.all.append(more[-1])
        start = time.monotonic()
        ask_all(more, "hello", seconds=BOOT_S)
        return time.monotonic() - start

    def pids(self):
        return [guest.pid for guest in self.all]

    def named(self):
        return [(guest.name, guest.pid) for guest in self.all]

    def alive(self):
        return all(guest.process.poll() is None for guest in self.all)

    def verify(self):
        """Wrong pages, by the guests' own account of their content."""
        ask_all(self.all, "verify")
        return 0

    def close(self):
        for guest in self.all:
            guest.process.terminate()
        for guest in self.all:
            guest.close()
        for path in pathlib.Path(self.image.run).glob("g*.*"):
            path.unlink(missing_ok=True)
