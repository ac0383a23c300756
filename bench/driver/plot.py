# SPDX-License-Identifier: LGPL-2.1-or-later
"""Line plots as SVG, written by hand: a few lines of text need no library."""
import html
import math

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 190, 40, 50
COLOURS = ("#0b6fb8", "#c4501b", "#2d8a4e", "#8a3ea8", "#7a6a1f", "#555555")
TICKS = 6


def step(most):
    """A round distance between ticks, for about TICKS of them."""
    if most <= 0:
        return 1.0
    rough = most / TICKS
    power = 10 ** math.floor(math.log10(rough))
    return next(f * power for f in (1, 2, 5, 10) if f * power >= rough)


def text(x, y, words, anchor="middle", size=12, turn=None):
    turned = f' transform="rotate({turn} {x} {y})"' if turn is not None else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}"{turned}>'
            f"{html.escape(str(words))}</text>")


def label(value):
    return f"{value:g}"


class Plot:
    def __init__(self, title, x_label, y_label):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.series = []

    def add(self, name, points, dashed=False):
        """points: (x, y); None for y is left out."""
        points = [(x, y) for x, y in points if y is not None]
        if points:
            self.series.append((name, points, dashed))

    def _scale(self):
        self.x_most = max((x for _, points, _ in self.series for x, _ in points), default=1) or 1
        self.y_most = max((y for _, points, _ in self.series for _, y in points), default=1) or 1
        self.y_most *= 1.05
        # memory that is in the store and in quarantine both is saved below nothing for a moment
        self.y_least = 1.05 * min([0] + [y for _, points, _ in self.series for _, y in points])

    def _x(self, value):
        return LEFT + value / self.x_most * (WIDTH - LEFT - RIGHT)

    def _y(self, value):
        part = (value - self.y_least) / (self.y_most - self.y_least)
        return HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM)

    def _axes(self):
        yield text(LEFT, TOP - 16, self.title, "start", 15)
        yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, self.x_label)
        yield text(18, (TOP + HEIGHT - BOTTOM) / 2, self.y_label, turn=-90)
        for axis, least, most in (("x", 0, self.x_most), ("y", self.y_least, self.y_most)):
            apart = step(most - least)
            for i in range(math.ceil(least / apart), int(most / apart) + 1):
                value = i * apart
                if axis == "x":
                    x = self._x(value)
                    yield text(x, HEIGHT - BOTTOM + 18, label(value))
                    line = (x, TOP, x, HEIGHT - BOTTOM)
                else:
                    y = self._y(value)
                    yield text(LEFT - 8, y + 4, label(value), "end")
                    line = (LEFT, y, WIDTH - RIGHT, y)
                yield ('<line x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f" stroke="#dddddd"/>' % line)

    def _lines(self):
        for number, (name, points, dashed) in enumerate(self.series):
            colour = COLOURS[number % len(COLOURS)]
            dash = ' stroke-dasharray="6 4"' if dashed else ""
            path = " ".join(f"{self._x(x):.1f},{self._y(y):.1f}" for x, y in points)
            yield (f'<polyline points="{path}" fill="none" stroke="{colour}" '
                   f'stroke-width="2"{dash}/>')
            if len(points) <= 20:
                for x, y in points:
                    yield f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="3" ' \
                          f'fill="{colour}"/>'
            y = TOP + 10 + number * 18
            x = WIDTH - RIGHT + 14
            yield (f'<line x1="{x}" y1="{y}" x2="{x + 22}" y2="{y}" stroke="{colour}" '
                   f'stroke-width="2"{dash}/>')
            yield text(x + 28, y + 4, name, "start")

    def write(self, path):
        self._scale()
        lines = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" '
                 f'viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">',
                 '<rect width="100%" height="100%" fill="white"/>',
                 *self._axes(), *self._lines(), "</svg>"]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def thin(samples, most=400):
    """Not more points than a plot can show."""
    every = max(1, len(samples) // most)
    return samples[::every] + samples[-1:]


def converging(title, runs, path):
    """Saved over time of all runs, beside the ideal."""
    plot = Plot(title, "seconds since sharing was allowed", "MiB saved")
    most = 0
    for number, run in enumerate(runs):
        base = run["saved_before"]
        points = [(t, (saved + base) / 256) for t, saved, _ in thin(run["samples"])]
        most = max([most] + [t for t, _ in points])
        plot.add(f"{run['contender']} {number + 1}", points, dashed=run["contender"] != "pshare")
    if runs:
        ideal = runs[0]["ideal"] / 256
        plot.add("ideal", [(0, ideal), (most, ideal)], dashed=True)
    plot.write(path)


def spending(title, runs, path):
    """Saved over CPU seconds: what the memory has cost."""
    plot = Plot(title, "CPU seconds of all that shares", "MiB saved")
    for number, run in enumerate(runs):
        base = run["saved_before"]
        plot.add(f"{run['contender']} {number + 1}",
                 [(cpu, (saved + base) / 256) for _, saved, cpu in thin(run["samples"])],
                 dashed=run["contender"] != "pshare")
    plot.write(path)


def guests(run, path):
    points = run["points"]
    plot = Plot(f"Guests of {run['mib_each']} MiB, {run['contender']}", "guests", "MiB")
    for name, key in (("memory in use", "pages"), ("ideal", "ideal"), ("shared", "shared"),
                      ("saved", "saved")):
        plot.add(name, [(p["guests"], p[key] / 256) for p in points], dashed=key == "ideal")
    plot.write(path)


def growth(title, y_label, curves, path):
    """curves: (name, [(GiB, value)])."""
    plot = Plot(title, "GiB of managed memory", y_label)
    for name, points in curves:
        plot.add(name, points)
    plot.write(path)
