"""Pictures of curves: small SVG files that follow the reader's choice of a light or a dark page."""

import math
from html import escape

from .outcome import Curve, number

WIDTH, HEIGHT = 640, 330
LEFT, RIGHT, TOP, BOTTOM = 64, 168, 46, 44
COLOURS = ("#0969da", "#cf222e", "#1a7f37", "#9a6700", "#8250df", "#57606a", "#0550ae", "#bf3989")
ON_DARK = ("#58a6ff", "#ff7b72", "#3fb950", "#d29922", "#bc8cff", "#9198a1", "#79c0ff", "#f778ba")


def draw(curve: Curve) -> str:
    """Return the picture of a curve, with a legend of the slopes."""
    points = [point for line in curve.lines.values() for point in line]
    right, top = max(x for x, _ in points) or 1, _ceiling(max(y for _, y in points))
    left = min(x for x, _ in points) if curve.is_logarithmic else 0
    marks = _marks(left, right, curve.is_logarithmic)

    def across(x: float) -> float:
        share = (
            math.log(x / left) / math.log(right / left)
            if curve.is_logarithmic and right > left
            else x / right
        )
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def up(y: float) -> float:
        return round(HEIGHT - BOTTOM - max(0, y) / top * (HEIGHT - TOP - BOTTOM), 1)

    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(curve.title)}</title>",
        f"<style>{_style()}</style>",
        f'<text x="{LEFT}" y="18" class="title">{escape(curve.title)}</text>',
    ]
    for step in range(5):
        height = up(top * step / 4)
        drawn.append(f'<path class="grid" d="M{LEFT} {height}H{WIDTH - RIGHT}"/>')
        drawn.append(
            f'<text x="{LEFT - 6}" y="{height + 4}" text-anchor="end">{number(top * step / 4)}</text>'
        )
    for x in marks:
        drawn.append(f'<path class="grid" d="M{across(x)} {HEIGHT - BOTTOM}v5"/>')
        drawn.append(
            f'<text x="{across(x)}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">{_short(x)}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    drawn.append(f'<text x="{middle}" y="{HEIGHT - 6}" text-anchor="middle">{escape(curve.x)}</text>')
    drawn.append(f'<text x="4" y="{TOP - 14}" class="small">{escape(curve.y)}</text>')
    slopes = curve.slopes()
    for place, (name, line) in enumerate(curve.lines.items()):
        colour, height = f"c{place % len(COLOURS)}", TOP + 10 + 36 * place
        path = " ".join(f"{across(x)},{up(y)}" for x, y in line)
        drawn.append(f'<polyline class="line {colour}" points="{path}"/>')
        drawn += [f'<circle class="dot {colour}" cx="{across(x)}" cy="{up(y)}" r="3"/>' for x, y in line]
        drawn.append(f'<circle class="dot {colour}" cx="{WIDTH - RIGHT + 14}" cy="{height - 4}" r="4"/>')
        drawn.append(f'<text x="{WIDTH - RIGHT + 24}" y="{height}">{escape(name)}</text>')
        if name in slopes:
            slope = f"{slopes[name][0]:.2g} per unit"
            drawn.append(f'<text x="{WIDTH - RIGHT + 24}" y="{height + 14}" class="small">{slope}</text>')
    return "\n".join([*drawn, "</svg>\n"])


def _style() -> str:
    def colours(ink: str, grid: str, palette: tuple[str, ...]) -> str:
        lines = "".join(f".c{place}{{stroke:{c};fill:{c}}}" for place, c in enumerate(palette))
        return f"text{{fill:{ink}}}.grid{{stroke:{grid}}}{lines}.line{{fill:none}}"

    return (
        "text{font:12px system-ui,sans-serif}.title{font-weight:600}.small{font-size:11px}.line{stroke-width:2}"
        + colours("#1f2328", "#d1d9e0", COLOURS)
        + f"@media(prefers-color-scheme:dark){{{colours('#f0f6fc', '#3d444d', ON_DARK)}}}"
    )


def _ceiling(value: float) -> float:
    """Return the next number after a value that four equal steps divide well."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(
        power * step for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10, 12) if power * step >= value
    )


def _marks(left: float, right: float, is_logarithmic: bool) -> list[float]:
    if is_logarithmic:
        return [10.0**n for n in range(math.ceil(math.log10(left)), math.floor(math.log10(right)) + 1)] or [
            left
        ]
    return [_ceiling(right) * step / 4 for step in range(5) if _ceiling(right) * step / 4 <= right]


def _short(value: float) -> str:
    for unit, letter in ((1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:g}{letter}"
    return f"{value:g}"
