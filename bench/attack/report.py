# SPDX-License-Identifier: LGPL-2.1-or-later
"""The report of bench/attack/run: one page of HTML with its plots in it, the plots as SVG beside
it, and the figures as JSON."""
import html
import json
import os
import time

from driver import plot

WAYS = {"write": "write times", "touch": "times of what is out"}
STYLE = """body{font:15px/1.5 sans-serif;max-width:60em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.2em .6em;text-align:right}
td:first-child,th:first-child{text-align:left}svg{max-width:100%}
.bad{color:#b00;font-weight:bold}"""


def histogram(values, step, most):
    counts = {}
    for value in values:
        at = min(value, most) // step * step
        counts[at] = counts.get(at, 0) + 1
    return [(at, 100 * counts.get(at, 0) / len(values)) for at in range(0, most + 1, step)]


def draw_two(path, title, one, other, share):
    """Two histograms over each other; share: the part of all that is shown."""
    both = sorted(one[1] + other[1])
    most = max(20, int(both[int(len(both) * share)] * 1.25))
    step = max(1, most // 100)
    drawn = plot.Plot(title, "cycles", "%")
    drawn.add(one[0], histogram(one[1], step, most))
    drawn.add(other[0], histogram(other[1], step, most), dashed=True)
    drawn.write(path)


def draw(out, tables, writes):
    for n, result in enumerate(tables):
        draw_two(out / f"reload-{n}.svg", f"Reload: {result['name']}",
                 ("line was read", result["read"]), ("line was not read", result["unread"]), 0.98)
    drawn = plot.Plot("Bytes of the last round key that stand still", "encryptions", "bytes of 16")
    for result in tables:
        shown = 3 * (tables[0]["found_after"] or 1000)
        drawn.add(result["name"], [step for step in result["steps"] if step[0] <= shown])
    drawn.write(out / "key.svg")
    for n, result in enumerate(writes):
        draw_two(out / f"oracle-{n}.svg", f"{WAYS[result['way']]}: {result['name']}",
                 ("neighbour has it", result["held_cycles"]),
                 ("neighbour has not", result["other_cycles"]), 0.97)


def table(head, rows):
    cells = "".join(f"<th>{html.escape(word)}</th>" for word in head)
    text = [f"<table><tr>{cells}</tr>"]
    for row in rows:
        text.append("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) +
                    "</tr>")
    return text + ["</table>"]


def svgs(out, names):
    return [(out / name).read_text(encoding="utf-8") for name in names]


def part_tables(out, tables, needed):
    yield "<h2>Flush+Reload on table-based AES-128</h2>"
    yield ("<p>Of each reload it is known afterwards, with the key, whether the victim read that "
           "line in its last round. <i>P</i> is the probability that a reload after a read is "
           "faster than one after none: 0.5 is chance. <i>p</i>: of Mann and Whitney's test, two "
           "sides. Power: the test would have found, nine times of ten, a P that is farther from "
           "0.5 than <i>seen</i>.</p>")
    yield from table(
        ["", "in one frame", "measurements", "key after", "s", "P", "p", "seen"],
        [(r["name"], "yes" if r["one_frame"] else "no", r["measurements"],
          r["found_after"] or "never", f"{r['seconds']:.2f}", f"{r['auc']:.4f}", f"{r['p']:.2g}",
          f"{r['least_seen']:.4f}") for r in tables])
    if needed:
        yield (f"<p>Where memory is shared the same test says p &lt; 0.01 nine times of ten from "
               f"{needed} measurements on.</p>")
    for r in tables:
        if "touch_seen" in r:
            yield (f"<p>{html.escape(r['name'])}: {100 * r['touch_seen']:.1f} % of the reloads say "
                   "that the page was brought in, for all of the frame is copied then: who is in "
                   "the domain learns that a page was touched which had been out for long, and "
                   "not where.</p>")
    yield from svgs(out, ["key.svg"] + [f"reload-{n}.svg" for n in range(len(tables))])


def part_writes(out, writes):
    yield "<h2>Does my neighbour hold this page?</h2>"
    yield ("<p>Write times: of the attacker's first write to each page. Times of what is out: of "
           "its first read of each page that had been pushed out; a twin comes from a frame, "
           "another page from the swap file. <i>P</i>: the probability that a page which the "
           "neighbour has takes longer than one that it has not.</p>")
    yield from table(
        ["", "", "pages", "held by the victim", "shared, or twins", "told right", "P", "p", "seen"],
        [(WAYS[r["way"]], r["name"], r["pages"], r["held"], r["shared_pages"],
          f"{100 * r['right']:.1f} %", f"{r['auc']:.4f}", f"{r['p']:.2g}",
          f"{r['least_seen']:.4f}") for r in writes])
    yield ("<p>What Mem.ShareZeroOnly leaves: a page of zeros is the kernel's zero page, whoever "
           "else has one, so the time of a write to it tells of nobody.</p>")
    yield from svgs(out, [f"oracle-{n}.svg" for n in range(len(writes))])


def write(out, calibration, tables, writes, needed, verdict):
    out.mkdir(parents=True, exist_ok=True)
    draw(out, tables, writes)
    page = ["<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>pshare: the attacks"
            f"</title><style>{STYLE}</style><h1>The attacks</h1>",
            f"<p>Made by <code>make attack</code> on {time.strftime('%Y-%m-%d')}; "
            f"{os.cpu_count()} CPUs, Linux {html.escape(os.uname().release)}. A flushed line takes "
            f"{calibration['cold']} cycles to read, one in the cache {calibration['warm']}; "
            f"{calibration['wrong'] / 10:.1f} % are told wrong.</p>", "<h2>Verdict</h2><ul>"]
    marks = {True: "ok", None: "not seen here", False: "<span class=bad>NOT SO</span>"}
    page += [f"<li>{marks[good]}: {html.escape(text)}</li>"
             for text, good in verdict]
    page += ["</ul>", *part_tables(out, tables, needed), *part_writes(out, writes), "</html>"]
    (out / "attack.html").write_text("\n".join(page) + "\n", encoding="utf-8")
    slim = [{k: v for k, v in r.items() if not isinstance(v, list) or k == "series"}
            for r in tables + writes]
    (out / "attack.json").write_text(json.dumps({"calibration": calibration, "results": slim},
                                                indent=2) + "\n", encoding="utf-8")
