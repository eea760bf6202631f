# SPDX-License-Identifier: Apache-2.0
"""Shares of the new pods over time as SVG: one panel per growth, one line per variant."""

WIDTH, LEFT, RIGHT, TOP, PANEL, BETWEEN = 880, 52, 120, 44, 150, 52
FROM_S, TO_S, MOST = -1, 7, 1.4
COLOURS = {"no cap": "#8c959f", "cap 1000": "#8250df", "cap 100": "#2f6699",
           "rebalance": "#d9691e"}
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.axis, .fair, .theory { stroke: #8c959f; fill: none }
.fair { stroke-dasharray: 2 4 }
.theory { stroke: #24292f; stroke-dasharray: 6 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .theory { stroke: #e6edf3 }
}
"""


def write(path, runs, window):
    """window: in theory, the seconds in which a rebalance sheds."""
    growths = list(dict.fromkeys((run.before, run.after) for run in runs))
    height = TOP + len(growths) * (PANEL + BETWEEN)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
             f'width="{WIDTH}" height="{height}" role="img">',
             "<title>Share of the requests that the new pods get, over time</title>",
             f"<style>{STYLE}</style>"]
    for i, growth in enumerate(growths):
        y = TOP + i * (PANEL + BETWEEN)
        parts += panel(growth, [run for run in runs if (run.before, run.after) == growth],
                       y, window)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*parts, "</svg>", ""]))


def panel(growth, runs, y, window):
    def at(second, share):
        x = LEFT + (second - FROM_S) * (WIDTH - LEFT - RIGHT) / (TO_S - FROM_S)
        return f"{x:.1f},{y + PANEL * (1 - min(share, MOST) / MOST):.1f}"

    def line(points, style):
        return f'<polyline points="{" ".join(at(*point) for point in points)}" {style}/>'

    def label(second, share, text, anchor="middle", dy=4):
        x, height = at(second, share).split(",")
        return f'<text x="{x}" y="{height}" dy="{dy}" text-anchor="{anchor}">{text}</text>'

    yield f'<text x="{LEFT}" y="{y - 14}" class="title">{growth[0]} to {growth[1]} pods</text>'
    yield line([(FROM_S, MOST), (FROM_S, 0), (TO_S, 0)], 'class="axis"')
    yield line([(FROM_S, 1), (TO_S, 1)], 'class="fair"')
    yield line([(0, 0), (0, MOST)], 'class="fair"')
    for second in range(FROM_S, TO_S + 1):
        yield label(second, 0, f"{second} s", dy=16)
    for share in 0, 0.5, 1:
        yield label(FROM_S, share, f"{100 * share:.0f} % ", "end")
    for run in runs:
        yield line(run.curve(), f'fill="none" stroke="{COLOURS[run.variant.name]}" '
                                'stroke-width="1.6"')
    yield line([(FROM_S, 0), (window[0], 0), (window[1], 1), (TO_S, 1)], 'class="theory"')
    for i, (name, colour) in enumerate([*COLOURS.items(), ("theory", None)]):
        x, text_y = WIDTH - RIGHT + 12, y + 14 + 20 * i
        style = f'stroke="{colour}" stroke-width="3"' if colour else 'class="theory"'
        yield f'<line x1="{x}" y1="{text_y}" x2="{x + 20}" y2="{text_y}" {style}/>'
        yield f'<text x="{x + 26}" y="{text_y + 4}">{name}</text>'
