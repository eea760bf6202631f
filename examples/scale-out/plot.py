# SPDX-License-Identifier: Apache-2.0
"""Shares over time as SVG: one panel per run, one band per backend, one clock for all."""

from html import escape

BUCKET_SECONDS = 0.5
WIDTH, LEFT, RIGHT = 880, 48, 16
TOP, PANEL, BETWEEN, BOTTOM = 16, 104, 62, 40
BANDS = [  # fill, text on it: who was there first is blue, who joined is orange
    [("#2f6699", "#fff"), ("#8fbbe0", "#10202e")],
    [("#d9691e", "#fff"), ("#f6be87", "#2e1a08")],
]
STYLE = """
text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f }
.title { font-size: 14px; font-weight: 600 }
.soft { fill: #57606a }
.axis { stroke: #8c959f; stroke-width: 1 }
.event { stroke: #24292f; stroke-width: 1; stroke-dasharray: 3 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 }
  .soft { fill: #9da7b3 }
  .event { stroke: #e6edf3 }
}
"""


def write(path, scenes):
    height = TOP + len(scenes) * (BETWEEN + PANEL) + BOTTOM
    seconds = max(scene.duration for scene in scenes)
    per_second = (WIDTH - LEFT - RIGHT) / seconds
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
             f'width="{WIDTH}" height="{height}" role="img">',
             "<title>Share of the requests that each backend answers, over time</title>",
             f"<style>{STYLE}</style>"]
    for i, scene in enumerate(scenes):
        y = TOP + BETWEEN + i * (BETWEEN + PANEL)
        parts += panel(scene, y, lambda when: LEFT + when * per_second)
    for second in range(0, int(seconds) + 1, 2):
        parts.append(text(LEFT + second * per_second, height - BOTTOM + 18,
                          f"{second} s", "soft", "middle"))
    path.write_text("\n".join(parts + ["</svg>"]) + "\n")


def panel(scene, top, x_of):
    bottom, end = top + PANEL, x_of(scene.duration)
    yield text(LEFT, top - 38, scene.title, "title")
    if silent := [name for name in scene.names if not scene.clients.share([name], 0, 1e9)]:
        yield text(WIDTH - RIGHT, top - 38, f"without a request: {' '.join(silent)}", "", "end")
    yield from bands(scene, lambda share: bottom - share * PANEL, x_of)
    for share in (0, 50, 100):
        y = bottom - share / 100 * PANEL
        yield text(LEFT - 6, y + 4, f"{share} %", "soft", "end")
        yield line(LEFT - 3, y, LEFT, y, "axis")
    yield line(LEFT, top, LEFT, bottom, "axis")
    yield line(LEFT, bottom, end, bottom, "axis")
    for when, label in scene.events:
        yield line(x_of(when), top - 10, x_of(when), bottom, "event")
        yield text(x_of(when), top - 15, label, "", "middle")


def bands(scene, y_of, x_of):
    """The bands of one panel from the bottom up, each with its name in its middle."""
    clients = scene.clients
    n = max(1, int(scene.duration / BUCKET_SECONDS))
    times = [i * BUCKET_SECONDS for i in range(n)] + [scene.duration]
    below = [0.0] * n
    seen = [0, 0]
    for name in scene.names:
        shares = [clients.share([name], *span) for span in zip(times, times[1:])]
        if not any(shares):
            continue
        joined = shares[0] == 0
        fill, ink = BANDS[joined][seen[joined] % 2]
        seen[joined] += 1
        above = [low + share for low, share in zip(below, shares)]
        outline = steps(times, above) + steps(times, below)[::-1]
        points = " ".join(f"{x_of(t):.1f},{y_of(v):.1f}" for t, v in outline)
        yield f'<polygon points="{points}" fill="{fill}"/>'
        here = [i for i, share in enumerate(shares) if share > 0.12]
        if here:
            i = here[len(here) // 2]
            y = (y_of(below[i]) + y_of(above[i])) / 2 + 4
            yield text(x_of(times[i] + BUCKET_SECONDS / 2), y, name, "", "middle", ink)
        below = above


def steps(times, values):
    """One level per bucket: what joined at a moment is not seen before it."""
    return [(t, v) for i, v in enumerate(values) for t in (times[i], times[i + 1])]


def text(x, y, words, style="", anchor="start", fill=""):
    attributes = f' class="{style}"' if style else ""
    attributes += f' style="fill: {fill}"' if fill else ""
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{attributes}>'
            f"{escape(words)}</text>")


def line(x1, y1, x2, y2, style):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{style}"/>'
