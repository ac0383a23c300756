# SPDX-License-Identifier: LGPL-2.1-or-later
"""The goals, and what was measured beside each. Nothing here fails a run."""
import statistics

from driver import counters, throughput

WRITE_TIMES = {"p50": 1.5, "p99": 3.0}  # KSM's
CPU_TIMES = {"a1": 1.0, "a2": 0.22, "a3": 1 / 5, "b": 0.33}
STALL_MS = 20.0
STALLS_IN_10_S = 1.0
REWRITE = 0.95


def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def of(runs, name):
    return [run for run in runs if run["contender"] == name]


def ratio(part, whole):
    return part / whole if part is not None and whole else None


def reached(run, key):
    return run["reached"][key] if run["reached"] else None


def quiet(run, key):
    """A figure of the pass over quiet memory; None for a brief run."""
    return run["quiet"][key] if "quiet" in run else None


def metadata(run, key="total"):
    """Bytes; None for a brief run."""
    return run["metadata"].get(key, 0) if "metadata" in run else None


def twin_ms(run):
    """The median until a new twin was shared; None where none was made, or none was shared."""
    found = run.get("twin_ms", {})
    return found["p50"] if found.get("n") else None


def saved_part(run):
    return run["frames"]["saved"] / run["ideal_after"] if run["ideal_after"] else None


def slowest(runs, when):
    """(what was left of the speed of the kind of load that lost most, that kind); None."""
    parts = []
    for kind in throughput.KINDS:
        part = median([throughput.kept(run, when).get(kind) for run in runs])
        if part is not None:
            parts.append((part, kind))
    return min(parts) if parts else None


class Table:
    def __init__(self):
        self.rows = []

    def add(self, goal, limit, measured, met, note=""):
        self.rows.append({"goal": goal, "limit": limit, "measured": measured, "met": met,
                          "note": note})

    def most(self, goal, limit, value, note="", form="{:.3f}"):
        if value is None:
            self.add(goal, f"<= {form.format(limit)}", "not measured", None, note)
        else:
            self.add(goal, f"<= {form.format(limit)}", form.format(value), value <= limit, note)

    def least(self, goal, limit, value, note="", form="{:.3f}"):
        if value is None:
            self.add(goal, f">= {form.format(limit)}", "not measured", None, note)
        else:
            self.add(goal, f">= {form.format(limit)}", form.format(value), value >= limit, note)


def latency(run, where, key):
    return run[where][key] if run.get(where, {}).get("n") else None


def grown(run):
    """Mappings of a VM after a part of its shared pages was written, over those before."""
    return ratio(run["dirty"]["after"], run["dirty"]["before"]) if "dirty" in run else None


def stalls_in_10_s(run):
    found = run.get("stalls")
    return 10 * found["n"] / found["seconds"] if found and found["touches"] else None


def stall_ms(run, key):
    """Of the touches that took 1 ms or more. The 99th of less than a hundred is the longest."""
    found = run.get("stalls")
    if not found or not found["n"]:
        return None
    return found["max" if key == "p99" and found["n"] < 100 else key] / 1e6


def ratio_of(runs, value, who="pshare"):
    """Median of pshare's over median of KSM's."""
    ours, theirs = of(runs, who), of(runs, "ksm")
    return ratio(median([value(run) for run in ours]), median([value(run) for run in theirs]))


def judge_beside(table, goal, limit, runs, value, form="{:.3f}"):
    """At most so many times KSM's; beside it, what the earlier build was."""
    before = ratio_of(runs, value, "before")
    table.most(goal, limit, ratio_of(runs, value),
               "" if before is None else "before: " + form.format(before), form)


def judge_saved(table, runs):
    ours = median([saved_part(run) for run in of(runs, "pshare")])
    theirs = median([saved_part(run) for run in of(runs, "ksm")])
    table.least("b: saved / ideal, after settling", 0.98, ours)
    if ours is not None and theirs is not None:
        table.add("b: saved / ideal, not below KSM", f">= {theirs:.3f}", f"{ours:.3f}",
                  ours >= theirs)


def judge_reached(table, part, runs):
    judge_beside(table, f"{part}: CPU until 95 % of the ideal / ksmd's", CPU_TIMES[part], runs,
                 lambda run: reached(run, "share"))
    judge_beside(table, f"{part}: time until 95 % of the ideal / KSM's", 1 / 2, runs,
                 lambda run: reached(run, "t"))


def judge_quiet(table, part, runs):
    table.most(f"{part}: a pass over unchanged memory / ksmd's", 1 / 100,
               ratio_of(runs, lambda run: quiet(run, "cpu_s_per_pass")), form="{:.4f}")


def judge_change(table, runs):
    table.most("a3: CPU a second while a tenth changes / ksmd's", 1 / 10,
               ratio_of(runs, lambda run: quiet(run, "core")))
    table.most("a3: CPU a pass while a tenth changes / ksmd's", 1 / 10,
               ratio_of(runs, lambda run: quiet(run, "cpu_s_per_pass")))


def judge_write(table, part, runs):
    for where, words in (("first_write_ns", ""), ("first_write_one_core_ns", ", one core")):
        for key, limit in WRITE_TIMES.items():
            judge_beside(table, f"{part}: first write to a shared page{words}, {key} / KSM's",
                         limit, runs,
                         lambda run, where=where, key=key: latency(run, where, key), "{:.2f}")


def judge_stalls(table, runs):
    for run in of(runs, "pshare"):
        if "stalls" not in run:
            continue
        longest = max(vm.get("longest_stall_s", 0) for vm in run["books_stalled"]["vms"]) * 1000
        note = f"the longest batch, by the agents: {longest:.1f} ms"
        theirs = [other for other in of(runs, "ksm") if "stalls" in other]
        if theirs:
            note += (f"; with KSM {stall_ms(theirs[0], 'p99') or 0:.1f} ms, "
                     f"{stalls_in_10_s(theirs[0]):.1f} in 10 s")
        table.most("a2: stalls of a write while pages are shared anew, p99, ms", STALL_MS,
                   stall_ms(run, "p99") or 0.0, note, "{:.1f}")
        table.most("a2: stalls of 1 ms and more, in 10 s", STALLS_IN_10_S, stalls_in_10_s(run),
                   "", "{:.1f}")


def judge_writers(table, runs):
    for run in runs:
        for name, vm in run["vms"].items():
            words = f"e: QEMU, {run['mib'][name]} MiB, pins told by {vm['pins']}: "
            table.most(words + "the longest batch, ms", STALL_MS, vm["longest_stall_ms"],
                       form="{:.1f}")
            table.most(words + "batches in 10 s", STALLS_IN_10_S,
                       10 * vm["batches"] / run["seconds"], f"forks: {vm['pin_forks']}", "{:.1f}")


def judge_rewrite(table, runs):
    alone = median([run["mib_per_cpu_s"] for run in of(runs, "none")])
    notes = [f"{name}: {show_ratio(of(runs, name), alone)}" for name in ("before", "ksm")
             if of(runs, name)]
    table.least("f: speed while all is rewritten / without sharing", REWRITE,
                ratio(median([run["mib_per_cpu_s"] for run in of(runs, "pshare")]), alone),
                "; ".join(notes))


def show_ratio(runs, whole):
    found = ratio(median([run["mib_per_cpu_s"] for run in runs]), whole)
    return "-" if found is None else f"{found:.3f}"


def earlier(runs, value, form="{:.4f}"):
    """A note of what the earlier build's was."""
    found = median([value(run) for run in of(runs, "before")])
    return "" if found is None else "before: " + form.format(found)


def judge_random_reads(table, runs):
    def reads(run):
        return throughput.kept(run, "after").get("memory")

    theirs = median([reads(run) for run in of(runs, "ksm")])
    notes = [earlier(runs, reads), f"with KSM {theirs:.3f}" if theirs else ""]
    table.least("a1: random reads after settling / without sharing", 0.97,
                median([reads(run) for run in of(runs, "pshare")]),
                "; ".join(filter(None, notes)))


def judge_load(table, part, runs):
    for when, limit in (("after", 0.99), ("while", 0.95)):
        found = slowest(of(runs, "pshare"), when)
        theirs = slowest(of(runs, "ksm"), when)
        words = "after settling" if when == "after" else "while converging"
        note = f"the most lost: {found[1]}" if found else ""
        if found and theirs:
            note += f"; with KSM {theirs[0]:.3f}"
        table.least(f"{part}: throughput {words} / without sharing", limit,
                    found[0] if found else None, note)


def disturbed(runs):
    wrong = any(counters.slabs_disturbed(run["metadata"]) for run in of(runs, "pshare")
                if "metadata" in run)
    return "others' mappings came and went: slab counts are disturbed" if wrong else ""


def judge(parts):
    """parts: {"a1": {"runs": [...], "bare": [...]}, ...}. The rows of the table."""
    table = Table()
    runs = {name: part["runs"] for name, part in parts.items() if "runs" in part}
    if "b" in runs:
        judge_saved(table, runs["b"])
        judge_reached(table, "b", runs["b"])
    for name in ("a1", "a2", "a3"):
        if name in runs:
            judge_reached(table, name, runs[name])
    for name in ("a1", "a2", "b"):
        if name in runs:
            judge_quiet(table, name, runs[name])
    if "a3" in runs:
        judge_change(table, runs["a3"])
    for name in ("a1", "a2"):
        if name in runs:
            judge_write(table, name, runs[name])
            table.most(f"{name}: mappings of a VM, a fifth of what is shared written / before", 1.0,
                       median([grown(run) for run in of(runs[name], "pshare")]),
                       earlier(runs[name], grown), "{:.4f}")
    if "a2" in runs:
        judge_stalls(table, runs["a2"])
    if "b" in runs:
        table.most("b: metadata, part of managed memory", 0.006,
                   median([ratio(metadata(run), run["managed"])
                           for run in of(runs["b"], "pshare")]), form="{:.4f}",
                   note="; ".join(filter(None, (disturbed(runs["b"]), earlier(
                       runs["b"], lambda run: ratio(metadata(run), run["managed"]))))))
    for name in ("a1", "a2", "b"):
        if name in runs:
            judge_load(table, name, runs[name])
    if "a1" in runs:
        judge_random_reads(table, runs["a1"])
    if "e" in runs:
        judge_writers(table, runs["e"])
    if "f" in runs:
        judge_rewrite(table, runs["f"])
    return table.rows
