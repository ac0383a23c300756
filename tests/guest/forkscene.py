# SPDX-License-Identifier: LGPL-2.1-or-later
"""forkscene: a guest that is forked, its children, and what they say, for tests of forks."""
import concurrent.futures
import json
import os
import signal
import subprocess

import scene
from scene import Wrong, within


class Forks(scene.Scene):
    """A parent, children, and the command that makes them."""

    def pshare_does(self, *words):
        said = subprocess.run([str(self.pshare), *words], capture_output=True, text=True,
                              check=False)
        if said.returncode:
            raise Wrong(f"pshare {' '.join(words)}: {said.stderr.strip()}")
        return said.stdout

    def start_parent(self, name, mib, balloon="virtio-balloon-pci,id=balloon0", more=()):
        disk = self.run / "disk.img"
        disk.write_bytes(b"")
        os.truncate(disk, 64 << 20)
        words = self.command(name, mib)
        words += ["-drive", f"file={disk},format=raw,if=virtio", "-netdev", "user,id=n0",
                  "-device", "virtio-net-pci,netdev=n0,mac=52:54:00:11:22:33",
                  "-device", balloon, *more]
        words = [str(self.pshare), "run", "--forkable", "--name", name, "--salt-file",
                 str(self.run / "salt"), "--", *words]
        with open(self.run / f"{name}.log", "wb") as log:
            process = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *words],
                                       stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       cwd=scene.ROOT)
        self.started.append(process)
        return process

    def fork(self, parent, *options):
        return json.loads(self.pshare_does("fork", parent, "--json", *options))

    def socket(self, name):
        """Where guest NAME takes commands: a child in its own folder, under its parent's name."""
        folder = self.run / "vms" / name
        found = [str(path) for path in folder.glob("*.commands")] if folder.exists() else []
        return found[0] if found else str(self.run / f"{name}.commands")

    def says(self, name, *command, seconds=scene.ANSWER_S):
        done = subprocess.run([str(self.build / "tests/guest/guest-ask"), self.socket(name),
                               str(seconds), *command],
                              capture_output=True, text=True, check=False)
        if done.returncode:
            raise Wrong(f"guest {name}: {' '.join(command)}: {done.stdout}{done.stderr}")
        return dict(word.split("=", 1) for word in done.stdout.split() if "=" in word)

    def verify(self, *names):
        """As many at a time as there are CPUs."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(self.verify_one, names):
                pass

    def verify_one(self, name):
        """Wrong content is ours; a process that the guest killed, short of memory, is not."""
        try:
            self.says(name, "verify")
        except Wrong as why:
            dead = dict(word.split("=", 1) for word in str(why).split() if "=" in word)
            if dead.get("dead_processes", "0") != "0":
                raise Wrong(f"{why}\n{name} ran out of memory: {self.killed(name)}") from why
            raise

    def killed(self, name):
        """What its kernel killed."""
        folder = self.run / "vms" / name
        consoles = list(folder.glob("*.console")) or [self.run / f"{name}.console"]
        text = consoles[0].read_text(encoding="utf-8", errors="replace")
        return [line for line in text.splitlines() if "Killed process" in line]

    def pid(self, name):
        return json.loads((self.run / "vms" / name / "vm.json").read_text())["pid"]

    def qmp(self, name):
        return scene.Qmp(self.run / "vms" / name / "qmp.sock")

    def move(self, name):
        """A child is migrated to a QEMU that knows nothing of forks, which then has its name with
        "-moved" behind it. Its RAM is memory of its own there."""
        there = f"{name}-moved"
        here, folder = self.run / "vms" / name, self.run / "vms" / there
        folder.mkdir()
        words, given = [], iter(json.loads((here / "vm.json").read_text())["argv"])
        for word in given:
            if word in ("-incoming", "-chardev", "-mon"):
                value = next(given)
                if word != "-incoming" and "pshare-monitor" not in value:  # added each time
                    words += [word, value.replace(f"{here}/", f"{folder}/")]
            elif word.startswith("memory-backend-file,"):
                parts = [part for part in word.split(",") if part.startswith(("id=", "size="))]
                words.append(",".join(["memory-backend-ram", *parts]))
            else:
                words.append(word)
        way = f"unix:{folder}/way"
        with open(self.run / f"{there}.log", "wb") as log:
            self.started.append(subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", str(self.pshare), "run", "--name", there,
                 "--salt-file", str(self.run / "salt"), "--", *words, "-incoming", way],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=scene.ROOT))
        within(scene.ANSWER_S, f"{there} listens", (folder / "way").exists)
        source = self.qmp(name)
        source.ask("migrate", uri=way)
        within(scene.ANSWER_S, f"{name} is migrated",
               lambda: source.ask("query-migrate")["status"] not in ("setup", "active", "device"))
        status = source.ask("query-migrate")
        if status["status"] != "completed":
            raise Wrong(f"{name} is not migrated: {status}: "
                        f"{(self.run / f'{there}.log').read_text(errors='replace')}")
        source.ask("quit")
        return there

    def helper_runs(self, name):
        monitor = self.qmp(name)
        ports = monitor.ask("query-chardev")
        monitor.socket.close()
        return any(port["label"] == "pshare-guest" and port["frontend-open"] for port in ports)

    def kill(self, name):
        pid = self.pid(name)
        os.kill(pid, signal.SIGKILL)
        within(20, f"{name} is gone", lambda: not os.path.exists(f"/proc/{pid}") or
               "Z" in open(f"/proc/{pid}/stat", encoding="ascii").read().split(")")[1][:3])

    def end(self):
        for record in (self.run / "vms").glob("*/vm.json"):
            try:
                os.kill(json.loads(record.read_text())["pid"], signal.SIGKILL)
            except (OSError, ValueError, KeyError):
                pass
        super().end()
