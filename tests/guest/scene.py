# SPDX-License-Identifier: LGPL-2.1-or-later
"""scene: Debian guests, a daemon of their own, and their end, for tests that drive QEMU.

A test says what has to hold by within() and Wrong; what this machine lacks, by Cannot. run_test()
turns them into the exit status: 0 if all is right, 1 if not, 77 and a reason where it cannot be
seen here.
"""
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "scripts"))
from runner.pace import pace  # noqa: E402

BOOT_S, ANSWER_S, SHARE_S = 300, 240, 120
CANNOT = 77
SWAP_DIR = "/var/tmp"  # its files have no name, and go with their VMs


class Cannot(Exception):
    """It cannot be seen here."""


class Wrong(Exception):
    """Something that had to be there is not."""


def within(seconds, what, holds):
    begun = time.monotonic()
    while not holds():
        if time.monotonic() > begun + seconds and time.monotonic() > begun + seconds * pace():
            raise Wrong(f"not within {seconds} s: {what}")
        time.sleep(0.2)


class Qmp:
    """QEMU's monitor."""

    def __init__(self, path, answer_s=ANSWER_S):
        within(ANSWER_S, f"{path.name} is there", path.exists)
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(answer_s)
        self.socket.connect(str(path))
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.lines.readline()  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        self.socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self.lines:  # events come in between
            answer = json.loads(line)
            if "error" in answer:
                raise Wrong(f"QEMU: {command}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]
        raise Wrong(f"QEMU ended when it was asked: {command}")


FAST = {"Mem.AllocGuestLargePage": 0, "Mem.ShareScanTime": 0, "Mem.ShareScanGHz": 32,
        "Mem.ShareRateMax": 1000000}  # all of it at 4 KiB, at once


class Scene:
    """A daemon of its own, the guests, and their end."""

    def __init__(self, build, run, settings=None):
        self.build, self.run, self.daemon = build, run, None
        self.settings = FAST if settings is None else settings
        self.pshare = build / "src/cli/pshare"
        self.started = []
        self.names = []  # of what is managed
        self.accel = self.shell("guest_accel").strip()

    def shell(self, command):
        """Has scripts/guest-lib.sh say something."""
        said = subprocess.run(
            ["bash", "-c", 'set -eu; build=$1 run=$2; . scripts/guest-lib.sh; ' + command,
             "bash", str(self.build), str(self.run)],
            capture_output=True, text=True, check=False, cwd=ROOT)
        if said.returncode:
            raise Wrong(f"guest-lib.sh: {said.stderr.strip()}")
        return said.stdout

    def command(self, name, memory):
        """QEMU's command line for a guest."""
        return self.shell(f"guest_command {name} {memory} {self.accel}; "
                          "printf '%s\\n' \"${guest_qemu[@]}\"").splitlines()

    def start(self, name, words, shares=True):
        """Starts QEMU by this command line, with a monitor; managed, if it shares."""
        if shares:
            self.names.append(name)
            words = [str(self.pshare), "run", "--name", name, "--salt-file",
                     str(self.run / "salt"), "--", *words]
        monitor = f"unix:{self.run}/{name}.qmp,server=on,wait=off"
        with open(self.run / f"{name}.log", "wb") as log:
            process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", *words, "-qmp", monitor],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
        self.started.append(process)
        return process

    def run_vm(self, name, words):
        """Starts QEMU by this command line as a user would: pshare run, with a balloon."""
        self.names.append(name)
        head = [str(self.pshare), "run", "--name", name, "--balloon", "--salt-file",
                str(self.run / "salt"), "--"]
        with open(self.run / f"{name}.log", "wb") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *head, *words],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=ROOT)
        self.started.append(process)
        return process

    def monitor(self, name):
        return Qmp(self.run / f"{name}.qmp")

    def ask(self, name, seconds, *command):
        """Puts a command to a guest. True for "ok"."""
        done = subprocess.run(
            [str(self.build / "tests/guest/guest-ask"), str(self.run / f"{name}.commands"),
             str(seconds), *command],
            capture_output=True, text=True, check=False)
        if done.returncode > 1:
            raise Wrong(f"guest {name} does not answer: {' '.join(command)}")
        if done.returncode == 1:
            print(f"guest {name}: {' '.join(command)}: {done.stdout.strip()}")
        return done.returncode == 0

    def show(self, name):
        """What pshare show says of a VM; nothing, if it knows none."""
        said = subprocess.run([str(self.pshare), "show", "--json", name],
                              capture_output=True, text=True, check=False)
        return json.loads(said.stdout) if said.returncode == 0 else {}

    def status(self):
        """What pshare status says of the host."""
        return json.loads(subprocess.run([str(self.pshare), "status", "--json"],
                                         capture_output=True, text=True, check=True).stdout)

    def set(self, name, value):
        subprocess.run([str(self.pshare), "set", name, str(value)], capture_output=True,
                       check=True)

    def shared(self, name):
        return self.show(name).get("SHRD", 0)

    def tell(self):
        """What was there when it went wrong: each VM, the last lines of logs and consoles."""
        for name in self.names:
            print(f"{name}: {json.dumps(self.show(name))}")
        for log in sorted([*self.run.glob("**/*.log"), *self.run.glob("**/*.console")]):
            last = log.read_bytes()[-500:].decode(errors="replace")
            print(f"{log.relative_to(self.run)}: {last}")

    def begin(self):
        """Starts the daemon."""
        for name in [name for name in os.environ if name.startswith("PSHARE_")]:
            del os.environ[name]  # of the user's own daemon
        os.environ["PSHARE_RUNTIME_DIR"] = str(self.run)
        (self.run / "salt").write_text("salt of these guests\n", encoding="ascii")
        (self.run / "salt").chmod(0o600)
        self.started.append(self.start_daemon())

    def start_daemon(self):
        """Another one, after the first has ended."""
        with open(self.run / "daemon.log", "ab") as log:
            daemon = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(self.build / "src/daemon/pshared"),
                 "--runtime-dir", str(self.run), "--swap-dir", SWAP_DIR,
                 *(word for name, value in self.settings.items()
                   for word in ("--set", f"{name}={value}"))],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        within(ANSWER_S, "the daemon is there", self.answers)
        self.daemon = daemon
        return daemon

    def answers(self):
        """Does the daemon?"""
        return subprocess.run([str(self.pshare), "status"], capture_output=True,
                              check=False).returncode == 0

    def end(self):
        for process in self.started:
            process.send_signal(signal.SIGTERM)
        for process in self.started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def prepare(mib, *more):
    """The build folder that the command line names, with images in it; mib of memory are free.
    more: what images, besides."""
    build = pathlib.Path(sys.argv[1]).resolve()
    for tool in ("qemu-system-x86_64", "setpriv"):
        if not shutil.which(tool):
            raise Cannot(f"{tool} is not installed")
    with open("/proc/meminfo", encoding="ascii") as info:
        free = dict(line.split(":") for line in info)["MemAvailable"]
    if int(free.split()[0]) >> 10 < mib:
        raise Cannot(f"{mib} MiB of free memory are needed, {free.strip()} are there")
    made = subprocess.run([str(ROOT / "scripts/guest-image"), str(build), *more], check=False)
    if made.returncode == CANNOT:
        raise Cannot("no guest can be made")
    if made.returncode:
        raise Wrong("no guest image")
    return build


@contextlib.contextmanager
def scene_in(build, prefix, settings=None):
    """A scene in a folder of its own, with its daemon. Whatever happens, nothing of it stays."""
    with tempfile.TemporaryDirectory(prefix=prefix) as run:
        scene = Scene(build, pathlib.Path(run), settings)
        try:
            scene.begin()
            yield scene
        except Wrong:
            scene.tell()
            raise
        finally:
            scene.end()


def run_test(main):
    """Ends the process as main() ends."""
    try:
        sys.exit(main())
    except Cannot as why:
        print(why)
        sys.exit(CANNOT)
    except (Wrong, OSError) as why:
        print(f"FAILED: {why}")
        sys.exit(1)
