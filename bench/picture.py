"""Charts as SVG, drawn by hand: lines over seconds in panels under one another. Needs nothing installed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, PANEL_HEIGHT, LEFT, RIGHT, GAP, TOP = 960, 190, 70, 190, 46, 54
COLOURS = ("#2563eb", "#dc2626", "#059669", "#d97706", "#7c3aed", "#0891b2", "#be185d", "#4d7c0f", "#475569", "#92400e")


@dataclasses.dataclass(frozen=True, slots=True)
class Panel:
    """Named series of one length, one value a second; ``stacked`` draws them on top of one another."""

    title: str
    series: Mapping[str, Sequence[float]]
    stacked: bool = False


def _nice(most: float) -> float:
    """A round number at or above."""
    step = 1.0
    while step < most:
        for factor in (1, 2, 2.5, 5, 10):
            if step * factor >= most:
                return step * factor
        step *= 10
    while step / 10 >= most > 0:
        step /= 10
    return step


def draw(title: str, panels: Sequence[Panel]) -> str:
    """The SVG's text."""
    height = TOP + len(panels) * (PANEL_HEIGHT + GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="system-ui,sans-serif" '
        'font-size="12">',
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="26" font-size="17" fill="#0f172a">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, TOP + number * (PANEL_HEIGHT + GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _panel(panel: Panel, top: float) -> list[str]:
    seconds = max((len(values) for values in panel.series.values()), default=0)
    bottom, right = top + PANEL_HEIGHT, WIDTH - RIGHT
    sums = [0.0] * seconds
    drawn: list[tuple[str, list[float], list[float]]] = []
    for name, values in panel.series.items():
        low = list(sums) if panel.stacked else [0.0] * len(values)
        high = [base + value for base, value in zip(low, values, strict=False)]
        if panel.stacked:
            sums[: len(high)] = high
        drawn.append((name, low, high))
    most = _nice(max((max(high, default=0.0) for _, _, high in drawn), default=0.0) or 1.0)

    def x(second: float) -> str:
        return f"{LEFT + (right - LEFT) * second / max(seconds - 1, 1):.1f}"

    def y(value: float) -> str:
        return f"{bottom - (bottom - top) * value / most:.1f}"

    parts = [f'<text x="{LEFT}" y="{top - 8}" fill="#334155">{escape(panel.title)}</text>']
    for share in (0.0, 0.5, 1.0):
        parts.append(f'<path d="M{LEFT} {y(most * share)}H{right}" stroke="#e2e8f0"/>')
        label = f"{most * share:,.4g}"
        parts.append(
            f'<text x="{LEFT - 6}" y="{y(most * share)}" dy="4" text-anchor="end" fill="#64748b">{label}</text>'
        )
    step = max(1, int(_nice(seconds / 8)))
    parts += [
        f'<text x="{x(second)}" y="{bottom + 15}" text-anchor="middle" fill="#64748b">{second} s</text>'
        for second in range(0, seconds, step)
    ]
    for number, (name, low, high) in enumerate(drawn):
        colour = COLOURS[number % len(COLOURS)]
        line = " ".join(f"{x(second)},{y(value)}" for second, value in enumerate(high))
        if panel.stacked:
            back = " ".join(f"{x(second)},{y(value)}" for second, value in reversed(list(enumerate(low))))
            parts.append(f'<polygon points="{line} {back}" fill="{colour}" fill-opacity="0.75"/>')
        else:
            parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
        at = top + 10 + number * 16
        parts.append(f'<rect x="{right + 14}" y="{at - 8}" width="10" height="10" fill="{colour}"/>')
        parts.append(f'<text x="{right + 30}" y="{at + 1}" fill="#334155">{escape(name)}</text>')
    return parts
