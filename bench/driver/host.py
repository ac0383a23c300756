# SPDX-License-Identifier: LGPL-2.1-or-later
"""The host: what of it a run changes, and how it is set back whatever happens.

Kernel settings are set back by a process of their own, the keeper: it holds the values as they
were found and waits for the end of a pipe. So they are set back after a normal end, an error,
Ctrl-C, and also when the benchmark is killed.
"""
import mmap
import os
import pathlib
import platform
import re
import signal
import subprocess

KSM = pathlib.Path("/sys/kernel/mm/ksm")
MAX_MAP_COUNT = pathlib.Path("/proc/sys/vm/max_map_count")
WARM_MIB = 256         # beside frames: page tables, what the VMs themselves need meanwhile
SPARE_MIB = 1024        # of free memory stays free when it is warmed
MADV_POPULATE_WRITE = 23  # Python 3.11 has no name for it
MAPPINGS = 4 << 20  # lone pages of 2 GiB need two for each; a VMM of 16 GiB some more
# "run" last: nothing is to scan at another's pace. The advisor first: it owns pages_to_scan.
KSM_KEPT = ("advisor_mode", "pages_to_scan", "sleep_millisecs", "run")


class Unavailable(Exception):
    """Something cannot be measured here; the text says why."""


class Failed(Exception):
    """Measuring went wrong; the text says how."""


def read_setting(path):
    text = path.read_text(encoding="ascii").strip()
    chosen = re.search(r"\[(\S+)\]", text)  # "[none] scan-time"
    return chosen.group(1) if chosen else text


def write_setting(path, value):
    if read_setting(path) != str(value):
        path.write_text(f"{value}\n", encoding="ascii")


class Keeper:
    """Remembers settings now, and sets them back when this process ends, however it does."""

    def __init__(self):
        self.kept = [(MAX_MAP_COUNT, read_setting(MAX_MAP_COUNT))]
        if KSM.is_dir():
            self.kept += [(KSM / name, read_setting(KSM / name)) for name in KSM_KEPT
                          if (KSM / name).exists()]
        self.ksmd = ksmd_pid()
        self.cpus = os.sched_getaffinity(self.ksmd) if self.ksmd else None
        ours, self.pipe = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self.pipe)
            self._wait_and_restore(ours)
        os.close(ours)

    def _wait_and_restore(self, pipe):
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        while os.read(pipe, 1):
            pass
        status = 0
        for path, value in self.kept:
            try:
                write_setting(path, value)
            except OSError as error:
                status = 1
                os.write(2, f"bench: {path} cannot be set back to {value}: {error}\n".encode())
        if self.ksmd:
            os.sched_setaffinity(self.ksmd, self.cpus)
        os._exit(status)

    def restore(self):
        if self.pipe is None:
            return
        os.close(self.pipe)
        self.pipe = None
        _, status = os.waitpid(self.pid, 0)
        if status:
            raise Failed("kernel settings could not be set back as they were found")

    def found(self):
        return {str(path): value for path, value in self.kept}


def ksmd_pid():
    for comm in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if comm.read_text(encoding="ascii").strip() == "ksmd":
                return int(comm.parent.name)
        except OSError:
            continue
    return None


def why_no_ksm():
    """None where KSM can be measured, else a reason."""
    if not KSM.is_dir() or not ksmd_pid():
        return "this kernel has no KSM"
    if os.geteuid() != 0:
        return "KSM's settings need root"
    return None


def others_mergeable():
    """Processes whose memory KSM would look at beside ours."""
    found = []
    for stat in pathlib.Path("/proc").glob("[0-9]*/ksm_stat"):
        try:
            if "ksm_mergeable: yes" in stat.read_text(encoding="ascii"):
                comm = (stat.parent / "comm").read_text(encoding="utf-8").strip()
                found.append(f"{comm} ({stat.parent.name})")
        except OSError:
            continue
    return found


def available_mib():
    for line in pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) // 1024
    return 0


def warm_for(managed_mib):
    """Touches as much free memory as frames for so much managed memory can take, and frees it.

    Where this machine is a VM itself, memory that is free has to be had from its host at the first
    touch: some 10 us a page here, more than all else that is measured. Only who needs new pages
    would pay that: pshare for frames, KSM for nothing. It has to be done just before: a VM that
    reports its free pages to its host (virtio-balloon) has lost them again within seconds.
    """
    mib = managed_mib // 2 + WARM_MIB
    mib = min(mib, available_mib() - SPARE_MIB)
    if mib > 0:
        with mmap.mmap(-1, mib << 20, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
            memory.madvise(MADV_POPULATE_WRITE)


def cpu_model():
    for line in pathlib.Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def version(root):
    said = subprocess.run(["git", "-C", str(root), "describe", "--always", "--dirty"],
                          capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def describe(root, keeper):
    return {
        "kernel": platform.release(),
        "cpu": cpu_model(),
        "cpus": os.cpu_count(),
        "available_mib": available_mib(),
        "load_average": os.getloadavg()[0],
        "pshare": version(root),
        "settings_found": keeper.found(),
        "ksm_smart_scan": (read_setting(KSM / "smart_scan")
                           if (KSM / "smart_scan").exists() else None),
        "other_mergeable_processes": others_mergeable(),
    }
