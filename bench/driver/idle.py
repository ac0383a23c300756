# SPDX-License-Identifier: LGPL-2.1-or-later
"""A real guest that idles is pushed down to a twentieth of its size; how soon does it answer?"""
import time

from driver import contender, guests, host

MIB = 512
DOWN_TO = 0.05
PUSH_S = 90
GOAL_S = 1.0


class Pshare(contender.Pshare):
    """As it is by default: this VM alone, its domain its own."""

    def __init__(self, build, swap_dir):
        super().__init__(build)
        self.swap_dir = swap_dir

    def start(self):
        self.launch({}, ["--swap-dir", str(self.swap_dir)], None,
                    ["setpriv", "--pdeathsig", "KILL"])

    def wrap(self, name, held=False):
        return super().wrap(name)


def _rss_mib(vm):
    memory = vm.get("memory") or {}
    has = memory.get("has")
    if has is None:
        raise host.Unavailable("this pshared does not say what a VM has")
    return has / (1 << 20)


def measure(bench, say):
    """In a VM of 512 MiB: MiB before, after, and seconds until the console answers."""
    image = bench.guest_image or guests.Image(bench.root, bench.build, bench.run_dir)
    folder = bench.run_dir / "swap"
    folder.mkdir(exist_ok=True)
    sharer = Pshare(bench.build, folder)
    sharer.start()
    guest = guests.Guest(image, sharer, "idle", MIB)
    try:
        guest.ask("hello", seconds=guests.BOOT_S)
        time.sleep(2)
        found = {"mib": MIB}
        sharer.ask("/v1/vms/idle/suspend", True)
        end = time.monotonic() + PUSH_S
        while time.monotonic() < end:
            found["pushed_to_mib"] = _pages_in(guest.pid)
            if found["pushed_to_mib"] <= DOWN_TO * MIB:
                break
            time.sleep(0.5)
        say(f"idle guest: pushed down to {found['pushed_to_mib']:.1f} MiB of {MIB}")
        found["vm"] = sharer.ask("/v1/vms/idle")
        began = time.monotonic()
        guest.ask("hello", seconds=60)
        found["answer_s"] = time.monotonic() - began
        began = time.monotonic()
        guest.ask("hello", seconds=60)
        found["again_s"] = time.monotonic() - began
        return found
    finally:
        guest.close()
        sharer.stop()


def _pages_in(pid):
    """MiB of guest RAM that are mapped: the largest anonymous stretch and what it was cut into."""
    start = end = None
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps:
        for line in maps:
            low, high = (int(part, 16) for part in line.split()[0].split("-"))
            if high - low >= MIB << 19 and (start is None or high - low > end - start):
                start, end = low, high
    inside, total, region = False, 0, None
    with open(f"/proc/{pid}/smaps", encoding="ascii") as smaps:
        for line in smaps:
            words = line.split()
            if "-" in words[0] and not words[0].endswith(":"):
                region = [int(part, 16) for part in words[0].split("-")]
                inside = start is not None and region[0] < end and region[1] > start
            elif inside and words[0] == "Anonymous:":
                total += int(words[1])
    return total / 1024


def words(found):
    answer, down = found["answer_s"], found["pushed_to_mib"]
    good = answer <= GOAL_S and down <= DOWN_TO * MIB
    return (f"{'ok ' if good else 'NOT'} an idle guest of {found['mib']} MiB pushed down to "
            f"{down:.1f} MiB ({100 * down / found['mib']:.1f} %) answers on its console after "
            f"{answer:.2f} s (again: {found['again_s']:.2f} s; goal: 5 %, {GOAL_S:.0f} s)")
