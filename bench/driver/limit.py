# SPDX-License-Identifier: LGPL-2.1-or-later
"""A memory cgroup with a limit, of either version, and what swap keeps outside of it.

What zram and zswap hold of the host's memory is charged to no cgroup of version 1 (zram's to none
at all). So a minder takes it off the limit, again and again: all set-ups have the same memory.
"""
import os
import pathlib
import threading

from driver import host

ROOT = pathlib.Path("/sys/fs/cgroup")
MIND_S = 0.1
LEAST = 64 << 20
FILES = {1: {"limit": "memory.limit_in_bytes", "used": "memory.usage_in_bytes",
             "events": "memory.oom_control"},
         2: {"limit": "memory.max", "used": "memory.current", "events": "memory.events"}}


def _parent():
    """(folder, version) of where cgroups of memory are made."""
    if (ROOT / "memory" / FILES[1]["limit"]).exists() or (ROOT / "memory/cgroup.procs").exists():
        return ROOT / "memory", 1
    if (ROOT / "cgroup.controllers").exists() and \
            "memory" in (ROOT / "cgroup.subtree_control").read_text(encoding="ascii").split():
        return ROOT, 2
    raise host.Unavailable("no memory cgroup can be made here (is /sys/fs/cgroup mounted, with "
                           "the memory controller in cgroup.subtree_control?)")


class Limit:
    def __init__(self, name, limit):
        """limit: bytes, of all that is in the group and of what pool() says beside it."""
        parent, self.version = _parent()
        self.folder = parent / f"{name}-{os.getpid()}"
        self.limit = limit
        self.pool = lambda: 0
        try:
            self.folder.mkdir()
            if self.version == 1 and (self.folder / "memory.swappiness").exists():
                (self.folder / "memory.swappiness").write_text("100", encoding="ascii")
            self._set(limit)
        except OSError as error:
            raise host.Unavailable(f"no memory cgroup can be made here: {error}") from error
        self.ended = threading.Event()
        self.minder = threading.Thread(target=self._mind, daemon=True)
        self.minder.start()

    def _file(self, what):
        return self.folder / FILES[self.version][what]

    def _set(self, limit):
        self._file("limit").write_text(str(max(limit, LEAST)), encoding="ascii")

    def _mind(self):
        last = self.limit
        while not self.ended.wait(MIND_S):
            wanted = self.limit - self.pool()
            if abs(wanted - last) < 1 << 20:
                continue
            try:
                self._set(wanted)
                last = wanted
            except OSError:
                continue  # it cannot be reclaimed as fast: once more

    def enter(self):
        """For subprocess's preexec_fn: the child begins inside."""
        with open(self.folder / "cgroup.procs", "w", encoding="ascii") as procs:
            procs.write("0")

    def used(self):
        """Bytes, with what is held outside."""
        return int(self._file("used").read_text(encoding="ascii")) + self.pool()

    def kills(self):
        for line in self._file("events").read_text(encoding="ascii").splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
        return 0

    def close(self):
        self.ended.set()
        self.minder.join()
        try:
            self.folder.rmdir()
        except OSError:
            pass  # a process is still on its way out; an empty group costs nothing
