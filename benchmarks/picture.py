"""A picture of one number per library and graph, on a logarithmic scale, as SVG."""

from __future__ import annotations

import math
from html import escape

COLOURS = ("#4269d0", "#efb118", "#ff725c", "#6cc5b0", "#3ca951", "#ff8ab7", "#a463f2", "#97bbf5")
LEFT, RIGHT, ROW, TOP, WIDTH = 190, 50, 30, 30, 900


def dot_plot(title: str, unit: str, rows: dict[str, dict[str, float]]) -> str:
    """Each row's values as dots along one axis; the keys of the inner mappings become the legend."""
    keys = list(dict.fromkeys(key for values in rows.values() for key in values))
    everything = [value for values in rows.values() for value in values.values()]
    low, high = math.floor(math.log10(min(everything))), math.ceil(math.log10(max(everything)))
    bottom = TOP + ROW * len(rows) + 10
    height = bottom + 40 + 20 * (-(-len(keys) // 4))

    def across(value: float) -> float:
        return LEFT + (math.log10(value) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" '
        f'font-family="sans-serif" font-size="13" role="img" aria-label="{escape(title)}">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="16" font-weight="bold">{escape(title)}</text>',
    ]
    for power in range(low, high + 1):
        x = across(10.0**power)
        parts.append(f'<line x1="{x:.1f}" y1="{TOP}" x2="{x:.1f}" y2="{bottom}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle">{10**power:,g} {unit}</text>')
    for line, (name, values) in enumerate(rows.items()):
        y = TOP + ROW * line + ROW / 2
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4}" text-anchor="end">{escape(name)}</text>')
        for key, value in values.items():
            colour = COLOURS[keys.index(key) % len(COLOURS)]
            hint = f"{name}, {key}: {value:,.1f} {unit}"
            parts.append(
                f'<circle cx="{across(value):.1f}" cy="{y}" r="6" fill="{colour}" fill-opacity="0.85">'
                f"<title>{escape(hint)}</title></circle>"
            )
    for place, key in enumerate(keys):
        x, y = LEFT - 100 + place % 4 * 190, bottom + 40 + place // 4 * 20
        parts.append(f'<circle cx="{x}" cy="{y - 4}" r="6" fill="{COLOURS[place % len(COLOURS)]}"/>')
        parts.append(f'<text x="{x + 12}" y="{y}">{escape(key)}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"
