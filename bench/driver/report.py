# SPDX-License-Identifier: LGPL-2.1-or-later
"""What was found, as tables for a terminal."""
from driver import counters, goals, throughput


def show(value, form="{:.3g}", none="-"):
    return none if value is None else form.format(value)


def both(values, form="{:.3g}"):
    """The median, and the range where there are several."""
    values = [value for value in values if value is not None]
    if not values:
        return "-"
    middle = form.format(goals.median(values))
    low, high = form.format(min(values)), form.format(max(values))
    return middle if low == high else f"{middle} ({low}..{high})"


def latency(run, key, quantile):
    found = run.get(key, {})
    return found.get(quantile) / 1000 if found.get("n") else None


def speed(run, when, kind):
    if when == "while":
        return goals.median([turn.get(kind) for turn in run.get("load_while", [])])
    return goals.median([vm.get(kind) for vm in run.get(f"load_{when}", [])])


def per_page(run, kind="total"):
    return goals.ratio(goals.metadata(run, kind), run["managed"] / 4096)


def times(value, factor):
    return None if value is None else value * factor


ROWS = [
    ("ideal, MiB", lambda run: run["ideal_after"] / 256, "{:.1f}"),
    ("saved, MiB (page frames)", lambda run: run["frames"]["saved"] / 256, "{:.1f}"),
    ("saved / ideal", goals.saved_part, "{:.4f}"),
    ("time until 95 %, s", lambda run: goals.reached(run, "t"), "{:.2f}"),
    ("CPU until 95 %, s", lambda run: goals.reached(run, "share"), "{:.3f}"),
    ("a quiet pass, CPU ms", lambda run: times(goals.quiet(run, "cpu_s_per_pass"), 1000),
     "{:.2f}"),
    ("CPU for good, % of a core", lambda run: times(goals.quiet(run, "core"), 100), "{:.2f}"),
    ("metadata, bytes a page", per_page, "{:.1f}"),
    ("metadata, % of managed", lambda run: times(per_page(run), 100 / 4096), "{:.3f}"),
    ("mappings, a part of it written, after / before", lambda run: goals.grown(run), "{:.4f}"),
    ("stalls of 1 ms and more, in 10 s", lambda run: goals.stalls_in_10_s(run), "{:.1f}"),
    ("stalls, p99, ms", lambda run: goals.stall_ms(run, "p99"), "{:.1f}"),
    ("the longest stall, ms", lambda run: goals.stall_ms(run, "max"), "{:.1f}"),
    ("mappings more", lambda run: goals.metadata(run, "mappings"), "{:.0f}"),
]
for _key, _words in (("first_read_ns", "first read"), ("first_write_ns", "first write"),
                     ("first_write_one_core_ns", "first write, one core,")):
    for _q, _name in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
        ROWS.append((f"{_words} {_name}, us",
                     lambda run, key=_key, q=_q: latency(run, key, q), "{:.2f}"))
for _kind in throughput.KINDS:
    for _when in ("before", "while", "after"):
        ROWS.append((f"{_kind} load {_when}, a second",
                     lambda run, when=_when, kind=_kind: speed(run, when, kind), "{:.4g}"))
    ROWS.append((f"{_kind} load, after / before, beside a bystander",
                 lambda run, kind=_kind: throughput.kept(run, "after").get(kind), "{:.3f}"))


def names_of(runs):
    return list(dict.fromkeys(run["contender"] for run in runs))


def print_rows(rows, widths):
    for row in rows:
        print("  " + "  ".join(f"{cell:<{width}}" if not i else f"{cell:>{width}}"
                               for i, (cell, width) in enumerate(zip(row, widths))).rstrip())


def table(head, rows):
    rows = [head] + rows
    widths = [max(len(row[i]) for row in rows) for i in range(len(head))]
    print_rows(rows[:1], widths)
    print("  " + "-" * (sum(widths) + 2 * (len(widths) - 1)))
    print_rows(rows[1:], widths)
    print()


def runs_table(title, part):
    runs = part["runs"]
    names = names_of(runs)
    rows = []
    for words, value, form in ROWS:
        cells = [both([value(run) for run in goals.of(runs, name)], form) for name in names]
        if any(cell != "-" for cell in cells):
            rows.append([words, *cells])
    for where, on in (("bare", ""), ("bare_one_core", ", one core,")):
        for key, words in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9")):
            if part.get(where):
                cell = both([one[key] / 1000 for one in part[where]], "{:.2f}")
                rows.append([f"bare userfaultfd round trip{on} {words}, us", cell] +
                            [""] * (len(names) - 1))
    print(f"{title}: median (range) of {len(goals.of(runs, names[0]))} runs each")
    table(["", *names], rows)


def metadata_table(part):
    names = names_of(part["runs"])
    kinds = list(dict.fromkeys(kind for run in part["runs"] for kind in run.get("metadata", [])))
    rows = []
    for kind in kinds:
        if kind == "mappings":
            continue
        rows.append([kind, *(both([per_page(run, kind) for run in goals.of(part["runs"], name)],
                                  "{:.2f}")
                             for name in names)])
    print("  metadata, bytes for each managed page")
    table(["", *names], rows)
    if any(counters.slabs_disturbed(run["metadata"]) for run in part["runs"] if "metadata" in run):
        print("  (others' mappings came and went meanwhile: slab counts are disturbed)\n")


def work_table(part):
    names = names_of(part["runs"])
    worked = [run for run in part["runs"] if "work" in run]
    rows = []
    for words, key, factor in (("a build, KiB of source a second", "build", 1 / 1024),
                               ("a database, operations a second", "database", 1),
                               ("a file walk, MiB a second", "walk", 1),
                               ("CPU of sharing, % of a core", "core", 100),
                               ("CPU of the VMs, % of a core", "vm_core", 100)):
        rows.append([words, *(both([run["work"][key] * factor
                                    for run in goals.of(worked, name)], "{:.4g}")
                              for name in names)])
    rows.append(["saved / ideal afterwards",
                 *(both([goals.saved_part(run["work"]) for run in goals.of(worked, name)],
                        "{:.4f}") for name in names)])
    print("  all guests working: a build, a database, a file walk")
    table(["", *names], rows)


def guests_table(part):
    for run in part["runs"]:
        print(f"c: guests of {run['mib_each']} MiB, {run['contender']}; MiB")
        rows = [[str(p["guests"]), *(f"{p[key] / 256:.1f}" for key in
                                     ("pages", "ideal", "shared", "saved")),
                 show(goals.ratio(p["saved"], p["ideal"]), "{:.3f}")] for p in run["points"]]
        table(["guests", "in use", "ideal", "shared", "saved", "saved / ideal"], rows)


def growth_table(part):
    rows = []
    for run in part["runs"]:
        meta = run["metadata"]
        rows.append([
            run["contender"], f"{run['mib'] / 1024:g}", show(goals.saved_part(run), "{:.3f}"),
            show(goals.reached(run, "t"), "{:.1f}"), show(goals.reached(run, "share"), "{:.2f}"),
            show(times(goals.quiet(run, "cpu_s_per_pass"), 1000), "{:.2f}"),
            show(meta.get("daemon", 0) / (1 << 20), "{:.1f}"),
            show(meta["vm processes"] / (1 << 20), "{:.1f}"),
            show(per_page(run), "{:.1f}"),
            show(goals.twin_ms(run), "{:.0f}")])
    print("d: growth")
    table(["", "GiB", "saved / ideal", "95 %, s", "CPU, s", "quiet pass, ms", "daemon, MiB",
           "agents, MiB", "bytes a page", "a new twin, ms"], rows)
    for note in part.get("notes", []):
        print(f"  {note}")
    print()


def writers_table(part):
    for run in part["runs"]:
        print(f"e: guests wrote half of their memory, and settled: {run['seconds']:.0f} s; the "
              "agents' figures")
        table(["guest", "MiB", "pins told by", "shared, MiB", "unshared", "shared again",
               "batches", "forks", "batches in 10 s", "the longest, ms"],
              [[name, str(run["mib"][name]), vm["pins"], f"{vm['shared_mib']:.1f}",
                *(str(vm[key]) for key in ("unshared", "shared_again", "batches", "pin_forks")),
                f"{10 * vm['batches'] / run['seconds']:.1f}", f"{vm['longest_stall_ms']:.1f}"]
               for name, vm in run["vms"].items()])


def rewrite_table(part):
    print("f: all of its memory written anew, again and again")
    table(["", "MiB a second of CPU", "faults", "faults for each pass"],
          [[run["contender"], f"{run['mib_per_cpu_s']:.0f}", str(run["faults"]),
            show(goals.ratio(run["faults"], run["passes"]), "{:.1f}")] for run in part["runs"]])


def goals_table(rows):
    print("Goals")
    table(["goal", "limit", "measured", ""],
          [[row["goal"], row["limit"], row["measured"],
            {True: "met", False: "NOT met", None: "-"}[row["met"]] +
            (f" ({row['note']})" if row["note"] else "")] for row in rows])


def print_part(name, part):
    if part.get("skipped"):
        for reason in part["skipped"]:
            print(f"{name}: skipped: {reason}")
    if not part.get("runs"):
        return
    if name == "c":
        guests_table(part)
    elif name == "d":
        growth_table(part)
    elif name == "e":
        writers_table(part)
    elif name == "f":
        rewrite_table(part)
    else:
        runs_table(f"{name}: {part['title']}", part)
        metadata_table(part)
        if name == "b":
            work_table(part)
