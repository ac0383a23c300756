# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is counted from outside: page frames, equal pages, and the memory that sharing itself costs.

None of it is from the books of agent, daemon or KSM, but for one figure: KSM's rmap_items, whose
slab is merged with others of its size, are what the kernel says of each process.
"""
import pathlib

from driver import contender as contenders
from driver import proc

PAGE = 4096
# Kernel objects that a mapping, or a page of a store, is made of.
SLABS = ("vm_area_struct", "anon_vma_chain", "anon_vma", "maple_node", "radix_tree_node")
VMA_BYTES = 192
DISTURBED_BYTES = 256 << 10
RMAP_ITEM = 64  # bytes of a struct ksm_rmap_item, and of a ksm_stable_node


def subjects(vms):
    """vms: (name, PID). As the counters want them, all of one group."""
    return [f"all:{pid}:{name}" for name, pid in vms]


def total(lines):
    return lines[-1]


def count_ideal(build, mib, vms):
    """Pages that equal pages could give back, from content: equal ones, and zeros."""
    found = total(proc.run([build / "demo/ideal", "--ram", mib, *subjects(vms)]))
    return {"same": found["same"], "zero": found["zero"], "ideal": found["same"] + found["zero"],
            "pages": found["pages"] + found["zero"]}


def count_frames(build, mib, vms):
    """What was given back, from page frames."""
    lines = proc.run([build / "demo/frames", "--ram", mib, *subjects(vms)])
    found = total(lines)
    return {"saved": found["saved"] + found["zero"], "shared": found["saved"],
            "zero": found["zero"], "frames": found["frames"], "pages": found["pages"],
            "zero_of": {line["vm"]: line["zero"] for line in lines[:-1]}}


def slabs():
    """Bytes in use in each of SLABS."""
    found = dict.fromkeys(SLABS, 0)
    for line in pathlib.Path("/proc/slabinfo").read_text(encoding="ascii").splitlines():
        words = line.split()
        if words[0] in found:
            found[words[0]] = int(words[1]) * int(words[3])
    return found


def status_kib(pid, key):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def memfds(pid, name):
    """Bytes that a process's memfds of that name hold."""
    files = {}
    for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
        try:
            if str(fd.readlink()).startswith(f"/memfd:{name}"):
                stat = fd.stat()
                files[stat.st_ino] = stat.st_blocks * 512
        except OSError:
            continue
    return sum(files.values())


def mapped_memfds(pid, name):
    """Bytes of memfds of that name that a process has mapped and in memory."""
    total_kib, ours = 0, False
    for line in pathlib.Path(f"/proc/{pid}/smaps").read_text(encoding="utf-8").splitlines():
        if "-" in line.split(" ", 1)[0]:
            ours = f"/memfd:{name}" in line
        elif ours and line.startswith("Rss:"):
            total_kib += int(line.split()[1])
    return total_kib * 1024


def ksm_items(vms):
    """Bytes of rmap_items of these processes."""
    count = 0
    for _, pid in vms:
        try:
            text = pathlib.Path(f"/proc/{pid}/ksm_stat").read_text(encoding="ascii")
        except OSError:
            continue
        count += proc.number(text.split("ksm_rmap_items", 1)[1].split()[0])
    return count * RMAP_ITEM


def footprint(build, mib, vms, frames):
    """Memory of the VMs' processes outside guest RAM, and what the kernel keeps for mappings."""
    lines = proc.run([build / "bench/footprint", "--ram", mib, *subjects(vms)])
    inside = sum(line["inside"] - frames["zero_of"][line["vm"]] for line in lines)
    return {
        "outside": (sum(line["anonymous"] for line in lines) - inside) * PAGE,
        "inside": inside,
        "memfd": sum(line["frames"] for line in lines),
        "tables": sum(line["tables"] for line in lines) * 1024,
        "mappings": sum(line["mappings"] for line in lines),
        "slabs": slabs(),
    }


def agents_claim(contender):
    return sum(vm["overhead"]["agent"] for vm in contender.ask("/v1/vms")["vms"])


def metadata(contender, vms, frames, before, after, emulated=False):
    """Bytes that sharing costs, by kind. before, after: footprint().

    An emulator's own memory moves too (translations come and go), and may hide what its agent
    has: there the agents' own account is taken where it is more.
    """
    found = {
        "vm processes": after["outside"] - before["outside"],
        "page tables": after["tables"] - before["tables"],
    }
    for name in SLABS:
        found[name] = after["slabs"][name] - before["slabs"][name]
    if isinstance(contender, contenders.Pshare):
        daemon = contender.daemon.pid
        used = (frames["frames"] - after["inside"]) * PAGE
        found["daemon"] = status_kib(daemon, "RssAnon") * 1024
        found["daemon's page tables"] = status_kib(daemon, "VmPTE") * 1024
        found["rings"] = mapped_memfds(daemon, "pshare-ring")
        found["store slack"] = memfds(daemon, "pshare-store") - used
        if emulated:
            found["vm processes"] = max(found["vm processes"],
                                        agents_claim(contender) - found["rings"])
    else:
        found["rmap_items"] = ksm_items(vms)
        found["stable nodes"] = int(contender.books()["pages_shared"]) * RMAP_ITEM
    found["total"] = sum(found.values())
    found["mappings"] = after["mappings"] - before["mappings"]
    return found


def slabs_disturbed(found):
    """Whether others have made or lost mappings meanwhile, so that slab counts are theirs too."""
    ours = found["mappings"] * VMA_BYTES
    return abs(found["vm_area_struct"] - ours) > ours / 5 + DISTURBED_BYTES
