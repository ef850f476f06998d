# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""Plots as SVG: bars, and lines over columns"""
from xml.sax.saxutils import escape

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
WIDTH, LINE = 800, 22


def text(x, y, words, anchor="start", weight="normal"):
    """At the base line"""
    return f'<text x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" font-weight="{weight}">' \
        f'{escape(words)}</text>'


def svg(height, title, unit, parts, note):
    """The whole file; white behind it, for dark pages"""
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        "<!-- SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause -->",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        text(10, 22, title, weight="bold"), text(10, 40, unit), *parts,
        text(10, height - 8, note), "</svg>", ""))


def short(value):
    """A number of an axis: 16,384 is 16k"""
    for size, letter in ((1 << 20, "M"), (1 << 10, "k")):
        if isinstance(value, int) and value >= size and value % size == 0:
            return f"{value // size}{letter}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def steps(most):
    """Values of an axis that ends above this, five at most"""
    size = next(step * 10 ** power for power in range(-2, 9) for step in (1, 2, 5)
                if step * 10 ** power * 5 >= most)
    return [size * i for i in range(int(most / size) + 2)]


def bars(title, unit, values, note):
    """values: label -> value, or text that is printed instead"""
    left = 10 + 7 * max(map(len, values))
    most = max((value for value in values.values() if not isinstance(value, str)), default=1)
    parts = []
    for i, (label, value) in enumerate(values.items()):
        y = 56 + i * LINE
        parts.append(text(left - 6, y + 15, label, "end"))
        if isinstance(value, str):
            parts.append(text(left + 6, y + 15, value))
            continue
        width = max(value, 0) / most * (WIDTH - left - 70)
        parts.append(f'<rect x="{left}" y="{y + 3}" width="{width:.0f}" height="{LINE - 6}" '
                     f'fill="{COLOURS[0]}"/>')
        parts.append(text(left + width + 6, y + 15, f"{value:.3g}"))
    return svg(56 + len(values) * LINE + 30, title, unit, parts, note)


def lines(title, unit, series, note):
    """series: label -> {column: value}; columns stand side by side, whatever they are"""
    columns = sorted({at for points in series.values() for at in points})
    left, right, top, bottom = 60, WIDTH - 20, 56, 356
    ticks = steps(max(value for points in series.values() for value in points.values()))
    at_x = {at: left + (right - left) * (i + .5) / len(columns) for i, at in enumerate(columns)}

    def at_y(value):
        return bottom - (bottom - top) * max(value, 0) / ticks[-1]

    parts = []
    for tick in ticks:
        parts.append(f'<path d="M{left} {at_y(tick):.0f}H{right}" stroke="#dddddd"/>')
        parts.append(text(left - 6, at_y(tick) + 4, f"{tick:g}", "end"))
    parts += [text(x, bottom + 18, short(at), "middle") for at, x in at_x.items()]
    for i, (label, points) in enumerate(series.items()):
        colour, y = COLOURS[i % len(COLOURS)], bottom + 40 + i * 18
        at = [(round(at_x[one]), round(at_y(points[one]))) for one in columns if one in points]
        path = "L".join(f"{one[0]} {one[1]}" for one in at)
        parts.append(f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{one[0]}" cy="{one[1]}" r="3" fill="{colour}"/>' for one in at]
        parts.append(f'<path d="M{left} {y - 4}h24" stroke="{colour}" stroke-width="3"/>')
        parts.append(text(left + 32, y, label))
    return svg(bottom + 40 + len(series) * 18 + 24, title, unit, parts, note)
