# SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
"""
curves.py - what grows with what, for tests/bench/scale: exponents, pictures, one page.

A curve is fitted by least squares in log-log: y = a * x^b. What has a part that does not grow at all hides its
growth where x is small, so its last step has an exponent of its own. Pictures are gnuplot's.
"""
import html
import json
import math
import statistics
import subprocess

TOLERANCE = 0.2  # noticeably over what is expected: more than noise bends a curve


class Curve:
    """`points`: x -> what each round saw, in `unit`; `expected`: the exponent of the work itself, and `why`."""

    def __init__(self, what, of, unit, expected, why):
        self.what, self.of, self.unit, self.expected, self.why, self.points = what, of, unit, expected, why, {}

    def add(self, x, values):
        self.points[x] = values

    def medians(self):
        return [(x, statistics.median(values)) for x, values in sorted(self.points.items())]

    def _logs(self, pairs):
        """What was not over its floor has no logarithm; it counts as the least that was."""
        least = min((y for _, y in pairs if y > 0), default=1e-9)
        return [math.log(x) for x, _ in pairs], [math.log(max(y, least)) for _, y in pairs]

    def fit(self):
        """(exponent, factor, how far points are off, as a factor) of what is_one()."""
        xs, ys = self._logs(self.medians())
        exponent, start = statistics.linear_regression(xs, ys)
        off = max(abs(y - start - exponent * x) for x, y in zip(xs, ys))
        return exponent, math.exp(start), math.exp(off)

    def last_step(self):
        """The exponent between the last two points."""
        xs, ys = self._logs(self.medians())
        return (ys[-1] - ys[-2]) / (xs[-1] - xs[-2])

    def is_one(self):
        """Two points at least, one of them over its floor."""
        return len(self.points) > 1 and any(y > 0 for _, y in self.medians())

    def grows_too_fast(self):
        return self.is_one() and max(self.fit()[0], self.last_step()) > self.expected + TOLERANCE

    def verdict(self):
        if not self.is_one():
            return "no curve: %d point%s" % (len(self.points), "s" * (len(self.points) > 1))
        text = "x^%.2f, last step x^%.2f, expected x^%g" % (self.fit()[0], self.last_step(), self.expected)
        return text + (": GROWS FASTER THAN ITS WORK" if self.grows_too_fast() else "")

    def name(self):
        return "%s over %s" % (self.what, self.of)


def ticks(lowest, highest):
    """At 1, 2 and 5 of each decade; of many decades, at 1."""
    decades = range(math.floor(math.log10(lowest)), math.ceil(math.log10(highest)) + 1)
    found = [one * 10.0 ** decade for decade in decades for one in ((1, 2, 5) if len(decades) < 4 else (1,))]
    return ", ".join("%g" % value for value in found if lowest <= value <= highest)


SCRIPT = """set terminal svg name "c%(number)d_" size 520,340 font "sans-serif,12" background "white"
set logscale xy
set format "%%.0s%%c"
set ytics (%(ticks)s)
set xlabel "%(of)s"
set ylabel "%(unit)s"
set key top left
set grid
set xrange [%(left)g:%(right)g]
set yrange [%(lowest)g:%(highest)g]
$data << end
%(rows)s
end
plot $data using 1:2:3:4 with yerrorbars title "median, least, most" pointtype 7 linecolor "#1f5f99", \\
 %(factor)g * x**%(exponent)g title "fitted, x^{%(exponent).2f}" dashtype 2 linecolor "#993f1f", \\
 %(start)g * x**%(expected)g title "expected, x^{%(expected)g}" dashtype 3 linecolor "#555555"
"""


def picture(curve, number):
    """An SVG element: medians with their spread, and the fit. What was not over its floor has no place on it."""
    rows = [(x, y, min(curve.points[x]), max(curve.points[x])) for x, y in curve.medians()]
    shown = [row for row in rows if row[1] > 0]
    lowest = min(value for row in shown for value in row[1:] if value > 0) / 2
    highest = max(row[3] for row in shown) * 4
    exponent, factor, _ = curve.fit()
    script = SCRIPT % {
        "number": number, "of": curve.of, "unit": curve.unit, "ticks": ticks(lowest, highest),
        "left": rows[0][0] / 1.5, "right": rows[-1][0] * 1.5, "lowest": lowest, "highest": highest,
        "rows": "\n".join("%g %g %g %g" % row for row in shown), "factor": factor, "exponent": exponent,
        "start": shown[0][1] / shown[0][0] ** curve.expected, "expected": curve.expected}
    done = subprocess.run(["gnuplot"], input=script, capture_output=True, text=True, check=False)
    if done.returncode or "<svg" not in done.stdout:
        raise RuntimeError("gnuplot: " + done.stderr)
    return done.stdout[done.stdout.index("<svg"):].replace("gnuplot_canvas", "c%d_canvas" % number)


PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>weir: how it grows</title>
<style>body{font:15px/1.45 sans-serif;max-width:70em;margin:2em auto;padding:0 1em}
table{border-collapse:collapse}td,th{border:1px solid #bbb;padding:.25em .6em;text-align:left}
.bad{background:#fbdcd2;font-weight:bold}figure{display:inline-block;margin:.5em;vertical-align:top}
figcaption{max-width:32em}</style></head><body>
<h1>How weir grows</h1>
<p>%(machine)s</p>
<p>Each curve is fitted by least squares in log-log, y = a x<sup>b</sup>. Work that is the same whatever there is beside
it has the exponent 0, work on each of n things the exponent 1. A curve grows faster than its work when the exponent
of its fit, or of its last step, is more than %(tolerance)s over that.</p>
<h2>What grows faster than its work</h2>
%(fast)s
<h2>All curves</h2>
<table>
<tr><th>what</th><th>over</th><th>expected</th><th>fitted</th><th>last step</th><th>off the fit by</th><th>why</th></tr>
%(rows)s</table>
%(figures)s
<h2>What was not measured</h2>
<ul>%(notes)s</ul>
<details><summary>The numbers</summary><pre>%(numbers)s</pre></details>
</body></html>
"""


def row(curve):
    exponent, _, off = curve.fit()
    cells = [curve.what, curve.of, "x^%g" % curve.expected, "x^%.2f" % exponent, "x^%.2f" % curve.last_step(),
             "%.2f times" % off, curve.why]
    return "<tr%s>%s</tr>\n" % (' class="bad"' if curve.grows_too_fast() else "",
                                "".join("<td>%s</td>" % html.escape(cell) for cell in cells))


def page(curves, machine, notes):
    """The whole page; points that make no curve stand among what was not measured."""
    drawn = [curve for curve in curves if curve.is_one()]
    notes = notes + ["%s: %s" % (one.name(), one.verdict()) for one in curves if not one.is_one()]
    fast = ["<li>%s: %s</li>" % (html.escape(one.name()), one.verdict()) for one in drawn if one.grows_too_fast()]
    figures = ["<figure>%s<figcaption>%s: %s</figcaption></figure>\n" %
               (picture(one, i), html.escape(one.name()), html.escape(one.verdict())) for i, one in enumerate(drawn)]
    numbers = "\n".join("%s (%s): %s" % (one.name(), one.unit, json.dumps(one.points)) for one in curves)
    return PAGE % {"machine": html.escape(", ".join("%s: %s" % pair for pair in machine.items())),
                   "tolerance": TOLERANCE, "fast": "<ul>%s</ul>" % "".join(fast) if fast else "<p>Nothing.</p>",
                   "rows": "".join(map(row, drawn)), "figures": "".join(figures), "numbers": html.escape(numbers),
                   "notes": "".join("<li>%s</li>" % html.escape(note) for note in notes)}
