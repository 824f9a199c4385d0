# SPDX-License-Identifier: ISC
"""The table and the plot of bench.py."""
import collections
import math
import os

Row = collections.namedtuple("Row", "what work count far unit")
COLOURS = ["#888888", "#222222", "#08519c", "#3182bd", "#9ecae1",
           "#e6550d", "#31a354", "#756bb1", "#de2d26"]
INTRODUCTION = """# How fast it is

Measured by `make bench`, everything in one run, interleaved. Milliseconds, and in
brackets the ratio to a native SOCKS5 client (one that speaks the protocol itself,
in standard order) doing the same work; for names, to `socksify standard`. Less is
better. Compare ratios, not milliseconds: these are of whatever machine and load it was.
"goes direct": the answer did not come through the proxy. "fails": an error, or no
answer. What took over two seconds was measured once.

"""


def base(row, medians):
    for name in ("native", "socksify standard"):
        value = medians.get((row, name))
        if isinstance(value, float):
            return value
    return None


def ratio(row, name, medians):
    value, one = medians.get((row, name)), base(row, medians)
    return value / one if isinstance(value, float) and one else None


def cell(row, name, medians):
    value, r = medians.get((row, name), "-"), ratio(row, name, medians)
    if isinstance(value, str):
        return value
    return f"{value / 1e3:.4g} ({r:.2f})" if r is not None else f"{value / 1e3:.4g}"


def table(rows, names, medians):
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for row in rows:
        cells = [cell(row, name, medians) for name in names]
        lines.append(f"| {row.what} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(rows, names, medians):
    """A bar for each ratio, on a logarithmic scale from 1/8 to 128."""
    left, step, width = 20, 14, 560
    height = sum(24 + step * len(names) for _ in rows) + 50
    low, high = -3, 7
    scale = width / (high - low)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 260}" height="{height}" '
           'font-family="sans-serif" font-size="11">', '<rect width="100%" height="100%" fill="white"/>']
    for power in range(low, high + 1):
        x = left + (power - low) * scale
        label = str(2 ** power) if power >= 0 else f"1/{2 ** -power}"
        out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="24" y2="{height - 10}" '
                   f'stroke="{"#000" if power == 0 else "#ddd"}"/>'
                   f'<text x="{x:.1f}" y="16" text-anchor="middle">{label}</text>')
    y = 28
    for row in rows:
        out.append(f'<text x="{left}" y="{y + 12}" font-weight="bold">{row.what.replace("`", "")}</text>')
        y += 18
        for i, name in enumerate(names):
            r = ratio(row, name, medians)
            end = 0 if r is None or r <= 0 else min(max(math.log2(r), low), high) * scale
            zero = left - low * scale
            if r is not None:
                out.append(f'<rect x="{min(zero, zero + end):.1f}" y="{y + 1}" width="{abs(end) + 1:.1f}" '
                           f'height="{step - 3}" fill="{COLOURS[i % len(COLOURS)]}"/>')
            text = f"{name}: {r:.2f}" if r is not None else f"{name}: {cell(row, name, medians)}"
            out.append(f'<text x="{left + width + 10}" y="{y + 10}">{text}</text>')
            y += step
        y += 6
    return "\n".join(out + ["</svg>", ""])


def save(folder, rows, names, medians, note):
    with open(os.path.join(folder, "BENCHMARK.md"), "w", encoding="utf-8") as f:
        f.write(INTRODUCTION + table(rows, names, medians) + "\n\n" + note
                + "\n\n![Ratios to the native client](benchmark.svg)\n")
    with open(os.path.join(folder, "benchmark.svg"), "w", encoding="utf-8") as f:
        f.write(plot(rows, names, medians))
