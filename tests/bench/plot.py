# SPDX-License-Identifier: Apache-2.0
"""The report as SVG: one panel per scenario, one bar per peer, of the scenario's first
column; shorter is better. nigh is blue."""

from html import escape

WIDTH, LEFT, RIGHT = 760, 110, 70
TOP, TITLE, BAR, STEP, BETWEEN = 16, 24, 13, 18, 18
OURS, OTHERS, LIMIT = "#2f6699", "#b7bfc8", "#d9691e"    # the limit is the relay
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
"""


def write(path, scenarios, measured):
    parts, y = [], TOP
    for scenario in scenarios:
        if results := measured.get(scenario.name):
            y = panel(parts, scenario, results, y)
    path.write_text("\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" '
        f'width="{WIDTH}" height="{y}" role="img">',
        "<title>nigh and its peers; shorter is better</title>",
        f"<style>{STYLE}</style>", *parts, "</svg>"]) + "\n")


def panel(parts, scenario, results, y):
    """Adds one; gives where the next begins."""
    heading, key = scenario.columns[0]
    most = max(seen[key] for seen in results.values()) or 1
    parts.append(text(0, y + 12, f"{scenario.about}: {heading}", "title"))
    y += TITLE
    for name, seen in results.items():
        length = seen[key] / most * (WIDTH - LEFT - RIGHT)
        parts += [
            text(0, y + 11, name),
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" '
            f'fill="{colour(name)}"/>',
            text(LEFT + length + 6, y + 11, f"{seen[key]:.2f}")]
        y += STEP
    return y + BETWEEN


def colour(name):
    if name == "relay":
        return LIMIT
    return OURS if name.startswith("nigh") else OTHERS


def text(x, y, content, kind=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(content)}</text>'
