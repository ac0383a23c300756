# SPDX-License-Identifier: LGPL-2.1-or-later
"""The goals, and what was measured beside each. Nothing here fails a run."""
import statistics

from driver import counters, throughput

BARE_US = 10.0  # the bare round trip of the machine that the goal of a first write is stated for
WRITE_US = {"p50": 12.0, "p99": 60.0}
UNSTEADY = 1.5  # times the fastest bare round trip: a slower one is told


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


def ratio_of(runs, value):
    """Median of pshare's over median of KSM's."""
    ours, theirs = of(runs, "pshare"), of(runs, "ksm")
    return ratio(median([value(run) for run in ours]), median([value(run) for run in theirs]))


def judge_saved(table, runs):
    ours = median([saved_part(run) for run in of(runs, "pshare")])
    theirs = median([saved_part(run) for run in of(runs, "ksm")])
    table.least("b: saved / ideal, after settling", 0.98, ours)
    if ours is not None and theirs is not None:
        table.add("b: saved / ideal, not below KSM", f">= {theirs:.3f}", f"{ours:.3f}",
                  ours >= theirs)


def judge_reached(table, part, runs, cpu_limit):
    if cpu_limit:
        table.most(f"{part}: CPU until 95 % of the ideal / ksmd's", cpu_limit,
                   ratio_of(runs, lambda run: reached(run, "share")))
    table.most(f"{part}: time until 95 % of the ideal / KSM's", 1 / 2,
               ratio_of(runs, lambda run: reached(run, "t")))


def judge_quiet(table, part, runs):
    table.most(f"{part}: a pass over unchanged memory / ksmd's", 1 / 100,
               ratio_of(runs, lambda run: quiet(run, "cpu_s_per_pass")), form="{:.4f}")


def judge_change(table, runs):
    table.most("a3: CPU a second while a tenth changes / ksmd's", 1 / 10,
               ratio_of(runs, lambda run: quiet(run, "core")))
    table.most("a3: CPU a pass while a tenth changes / ksmd's", 1 / 10,
               ratio_of(runs, lambda run: quiet(run, "cpu_s_per_pass")))


def judge_write(table, part, runs, bare, where, words):
    """The goal is stated for a bare round trip of 10 us: elsewhere it goes with the machine.

    The machine's is the fastest that was measured: what made others slower must not make the goal
    an easier one.
    """
    trip = min(one["p50"] for one in bare) if bare else None
    for key in ("p50", "p99"):
        value = median([run[where][key] for run in of(runs, "pshare")
                        if run.get(where, {}).get("n")])
        limit = WRITE_US[key] * (trip / 1000 / BARE_US if trip else 1)
        note = f"bare round trip {trip / 1000:.1f} us" if trip else "bare: not measured"
        if trip and max(one["p50"] for one in bare) > UNSTEADY * trip:
            note += f", once {max(one['p50'] for one in bare) / 1000:.1f}: not steady"
        table.most(f"{part}: first write to a shared page{words}, {key}, us", limit,
                   value / 1000 if value is not None else None, note, "{:.1f}")


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
        judge_reached(table, "b", runs["b"], 1 / 3)
    for name in ("a1", "a2", "a3"):
        if name in runs:
            judge_reached(table, name, runs[name], None if name == "a1" else 1 / 5)
    for name in ("a1", "a2", "b"):
        if name in runs:
            judge_quiet(table, name, runs[name])
    if "a3" in runs:
        judge_change(table, runs["a3"])
    for name in ("a1", "a2"):
        if name in runs:
            judge_write(table, name, runs[name], parts[name].get("bare"), "first_write_ns", "")
            judge_write(table, name, runs[name], parts[name].get("bare_one_core"),
                        "first_write_one_core_ns", ", one core")
    if "b" in runs:
        table.most("b: metadata, part of managed memory", 0.005,
                   median([ratio(metadata(run), run["managed"])
                           for run in of(runs["b"], "pshare")]), form="{:.4f}",
                   note=disturbed(runs["b"]))
    for name in ("a1", "a2", "b"):
        if name in runs:
            judge_load(table, name, runs[name])
    return table.rows
