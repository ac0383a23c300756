# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who is measured: pshare, an earlier build of it, KSM at full speed, KSM at its defaults. All
answer the same calls.

    start, stop     of what it consists of beside the VMs
    wrap            what is put before a VM's command line
    release         sharing goes, for VMs that were started held
    passes          whole looks at memory so far
    workers         PIDs of processes and kernel threads that do nothing but share
"""
import http.client
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile
import time

from driver import host, proc

PACE = {"Mem.AllocGuestLargePage": 0, "Mem.ShareScanTime": 0, "Mem.ShareScanGHz": 4096,
        "Mem.ShareRateMax": 4194304}
START_S = 10
API_S = 60
AGENT = "pshare-"


class Unix(http.client.HTTPConnection):
    """HTTP on a unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=API_S)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


class Pshare:
    name = "pshare"

    def __init__(self, build, one_domain=True):
        self.build = pathlib.Path(build)
        self.one_domain = one_domain
        self.daemon = None
        self.dir = None
        self.held = []

    def start(self):
        settings = dict(PACE)
        if self.one_domain:
            settings["Mem.ShareForceSalting"] = 0
        self.launch(settings)

    def launch(self, settings, more=(), preexec=None, before=None):
        """before: what the daemon is started by; small, for all to start from 4 KiB pages. (The
        daemon then finds no huge page to try this kernel with, and lets none be taken apart.)"""
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="pshare-bench."))
        arguments = [word for name, value in settings.items()
                     for word in ("--set", f"{name}={value}")]
        with open(self.dir / "log", "wb") as log:
            self.daemon = subprocess.Popen(
                [*(before or [str(self.build / "bench/small")]),
                 str(self.build / "src/daemon/pshared"),
                 "--runtime-dir", str(self.dir), *arguments, *more],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=preexec)
        end = time.monotonic() + START_S
        while time.monotonic() < end and self.daemon.poll() is None:
            try:
                self.ask("/v1/status")
                return
            except OSError:
                time.sleep(0.02)
        raise host.Failed("the daemon did not start: " +
                          (self.dir / "log").read_text(encoding="utf-8", errors="replace")[-300:])

    def stop(self):
        if self.daemon:
            proc.end(self.daemon)
        self.daemon = None
        self.held = []
        if self.dir:
            shutil.rmtree(self.dir, ignore_errors=True)
        self.dir = None

    def ask(self, path, value=None):
        link = Unix(self.dir / "api.sock")
        try:
            if value is None:
                link.request("GET", path)
            else:
                link.request("PUT", path, json.dumps({"value": value}),
                             {"Content-Type": "application/json"})
            answer = link.getresponse()
            text = answer.read()
            if answer.status != 200:
                raise host.Failed(f"pshared: {path}: {answer.status} {text.decode()}")
            return json.loads(text)
        finally:
            link.close()

    def wrap(self, name, held=False):
        if held:
            self.held.append(name)
        return [str(self.build / "src/cli/pshare"), "run", "--runtime-dir", str(self.dir),
                "--name", name, *(["--no-share"] if held else []), "--"]

    def release(self):
        for name in self.held:
            self.ask(f"/v1/vms/{name}/settings/sched.mem.pshare.enable", True)
        self.held = []

    def passes(self):
        vms = self.ask("/v1/vms")["vms"]
        return min((vm["counters"]["passes"] for vm in vms), default=0)

    def books(self):
        return {"status": self.ask("/v1/status"), "vms": self.ask("/v1/vms")["vms"]}

    def workers(self):
        return [self.daemon.pid]

    def sampler(self):
        return [f"daemon={self.daemon.pid}"]

    def threads(self, vms):
        return ([tid for pid in vms for tid, comm in proc.threads(pid) if comm.startswith(AGENT)]
                + [tid for tid, _ in proc.threads(self.daemon.pid)])


class Before(Pshare):
    """Daemon, command and agent of an earlier build; all that measures is of this one."""
    name = "before"


class Ksm:
    name = "ksm"
    pace = (10000, 10)  # pages_to_scan, sleep_millisecs

    def __init__(self):
        self.pid = host.ksmd_pid()
        self.running = False

    def start(self):
        if (host.KSM / "advisor_mode").exists():
            host.write_setting(host.KSM / "advisor_mode", "none")
        host.write_setting(host.KSM / "pages_to_scan", self.pace[0])
        host.write_setting(host.KSM / "sleep_millisecs", self.pace[1])
        # What KSM still counts of processes that have ended would go on to vanish while we count.
        # 2 unmerges all; nothing, where nobody else's memory is mergeable.
        if not host.others_mergeable():
            host.write_setting(host.KSM / "run", 2)
        host.write_setting(host.KSM / "run", 0)

    def stop(self):
        host.write_setting(host.KSM / "run", 0)

    def wrap(self, name, held=False):
        return []

    def release(self):
        host.write_setting(host.KSM / "run", 1)

    def passes(self):
        return int(host.read_setting(host.KSM / "full_scans"))

    def books(self):
        return {name.name: host.read_setting(name) for name in sorted(host.KSM.iterdir())
                if os.access(name, os.R_OK)}

    def workers(self):
        return [self.pid]

    def sampler(self):
        return [f"ksm={self.pid}"]

    def threads(self, vms):
        return [self.pid]


class KsmDefaults(Ksm):
    name = "ksm-default"
    pace = (100, 20)


def share_cpu_s(contender, vms):
    """CPU seconds of all that shares: workers, and the agents' threads in the VMs."""
    return (sum(proc.cpu_s(pid) for pid in contender.workers()) +
            sum(proc.cpu_s(pid, lambda comm: comm.startswith(AGENT)) for pid in vms))


def vm_cpu_s(vms):
    """CPU seconds of the VMs' own threads."""
    return sum(proc.cpu_s(pid, lambda comm: not comm.startswith(AGENT)) for pid in vms)


def confine(contender, vms, cpus):
    """Lets all that shares run on these CPUs only."""
    for tid in contender.threads(vms):
        try:
            os.sched_setaffinity(tid, cpus)
        except OSError:
            continue
