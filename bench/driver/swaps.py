# SPDX-License-Identifier: LGPL-2.1-or-later
"""Swap as people set it up: on zram, or in a file behind zswap. Undone whatever happens.

    start, stop     swap comes and goes
    pool            bytes of host memory that it holds for what was swapped out
    stored          pages that this is for
    file_pages      pages that went to the disk
"""
import os
import pathlib
import shutil
import signal
import subprocess

from driver import host

ZRAM = pathlib.Path("/sys/block/zram0")
ZSWAP = pathlib.Path("/sys/module/zswap/parameters")
BEST = ("zstd", "lz4", "lzo-rle", "lzo")


def run(*words):
    said = subprocess.run([str(word) for word in words], capture_output=True, text=True,
                          check=False)
    if said.returncode:
        raise host.Unavailable(f"{words[0]}: {said.stderr.strip() or said.stdout.strip()}")


class Undo:
    """Shell commands that are run when this process ends, however it does; the last first."""

    def __init__(self):
        ours, self.pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            self._wait(ours)
        os.close(ours)

    def _wait(self, pipe):
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        text = b""
        while True:
            more = os.read(pipe, 65536)
            if not more:
                break
            text += more
        for line in reversed(text.decode().splitlines()):
            subprocess.run(["sh", "-c", line], check=False)
        os._exit(0)

    def add(self, command):
        os.write(self.pipe, (command + "\n").encode())

    def close(self):
        if self.pipe is not None:
            os.close(self.pipe)
            self.pipe = None
            os.waitpid(self.pid, 0)


def pages_out():
    """Pages written to swap devices since the host's start."""
    for line in pathlib.Path("/proc/vmstat").read_text(encoding="ascii").splitlines():
        if line.startswith("pswpout "):
            return int(line.split()[1])
    return 0


def in_use():
    return len(pathlib.Path("/proc/swaps").read_text(encoding="ascii").splitlines()) > 1


class NoSwap:
    name = ""

    def start(self, undo, limit):
        pass

    def stop(self):
        pass

    def pool(self):
        return 0

    def stored(self):
        return 0


def _check():
    if os.geteuid() != 0:
        raise host.Unavailable("swap needs root")
    if in_use():
        raise host.Unavailable("this host has swap already, which others use")
    if not shutil.which("mkswap"):
        raise host.Unavailable("there is no mkswap")


class Zram(NoSwap):
    name = "zram"

    def start(self, undo, limit):
        _check()
        if not ZRAM.exists():
            raise host.Unavailable("there is no zram here: the kernel lacks it, or its module is "
                                   "not loaded (modprobe zram)")
        undo.add("echo 1 >/sys/block/zram0/reset")
        (ZRAM / "reset").write_text("1", encoding="ascii")
        known = (ZRAM / "comp_algorithm").read_text(encoding="ascii").replace("[", "") \
            .replace("]", "").split()
        self.algorithm = next(name for name in BEST if name in known)
        (ZRAM / "comp_algorithm").write_text(self.algorithm, encoding="ascii")
        (ZRAM / "disksize").write_text(str(3 * limit), encoding="ascii")
        run("mkswap", "/dev/zram0")
        undo.add("swapoff /dev/zram0")
        run("swapon", "-p", "100", "/dev/zram0")

    def stop(self):
        run("swapoff", "/dev/zram0")
        (ZRAM / "reset").write_text("1", encoding="ascii")

    def _stat(self, field):
        return int((ZRAM / "mm_stat").read_text(encoding="ascii").split()[field])

    def pool(self):
        return self._stat(2)

    def stored(self):
        return self._stat(0) // 4096


class Zswap(NoSwap):
    name = "zswap"

    def __init__(self, folder):
        self.file = pathlib.Path(folder) / "swapfile"

    def start(self, undo, limit):
        _check()
        if not (ZSWAP / "enabled").exists():
            raise host.Unavailable("this kernel has no zswap")
        undo.add(f"rm -f '{self.file}'")
        self.file.touch(mode=0o600)
        run("fallocate", "-l", 3 * limit, self.file)
        run("mkswap", self.file)
        for name in ("enabled", "compressor", "max_pool_percent"):
            was = (ZSWAP / name).read_text(encoding="ascii").strip()
            undo.add(f"echo {was} >{ZSWAP / name}")
        self.algorithm = self._choose()
        # a fifth of the memory that there is, as zswap's own default
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        (ZSWAP / "max_pool_percent").write_text(str(max(1, round(20 * limit / total))),
                                                encoding="ascii")
        (ZSWAP / "enabled").write_text("Y", encoding="ascii")
        undo.add(f"swapoff '{self.file}'")
        run("swapon", "-p", "10", self.file)

    @staticmethod
    def _choose():
        for name in BEST:
            try:
                (ZSWAP / "compressor").write_text(name, encoding="ascii")
                return name
            except OSError:
                continue
        return (ZSWAP / "compressor").read_text(encoding="ascii").strip()

    def stop(self):
        run("swapoff", self.file)
        (ZSWAP / "enabled").write_text("N", encoding="ascii")
        self.file.unlink()

    @staticmethod
    def _meminfo(name):
        for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1]) << 10
        return 0

    def pool(self):
        return self._meminfo("Zswap")

    def stored(self):
        return self._meminfo("Zswapped") // 4096
