"""Charts as SVG text without a library or script. Colours come from the page's style sheet, for light and dark themes. Pure."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence

import msgspec

WIDTH = 860
LEFT, RIGHT = 64, 16
LANE_LEFT = 108
GRID_MS = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)


class Curve(msgspec.Struct, frozen=True):
    """One side's values, and its class in the style sheet."""

    name: str
    style: str
    values: Sequence[float]


class Lane(msgspec.Struct, frozen=True):
    """One side's ghost text over time: from when it appeared until the next key."""

    name: str
    style: str
    keys: Sequence[float]
    pauses: Sequence[tuple[float, float]]
    ghosts: Sequence[tuple[float, float]]


class Bar(msgspec.Struct, frozen=True):
    """One value of a bar chart."""

    name: str
    style: str
    value: float
    text: str


def distribution(curves: Sequence[Curve], title: str) -> str:
    """Cumulative share of suggestions over latency in milliseconds, on a logarithmic axis."""
    height, top, bottom = 300, 24, 258
    low, high = _range([value for curve in curves for value in curve.values])

    def x(value: float) -> float:
        return LEFT + (math.log10(max(value, low)) - math.log10(low)) / (math.log10(high) - math.log10(low)) * (WIDTH - LEFT - RIGHT)

    def y(share: float) -> float:
        return bottom - share * (bottom - top)

    parts = [_line(x(ms), top, x(ms), bottom, "grid") + _text(x(ms), bottom + 18, _ms(ms), "axis middle") for ms in GRID_MS if low <= ms <= high]
    parts += [
        _line(LEFT, y(share), WIDTH - RIGHT, y(share), "grid") + _text(LEFT - 8, y(share) + 4, f"{share:.0%}", "axis end") for share in _QUARTERS
    ]
    for curve in curves:
        ordered = sorted(curve.values)
        if not ordered:
            continue
        steps = [(x(value), y((index + 1) / len(ordered))) for index, value in enumerate(ordered)]
        path = f"M{steps[0][0]:.1f},{bottom}" + "".join(
            f" L{at:.1f},{before:.1f} L{at:.1f},{share:.1f}" for (at, share), before in _steps(steps, bottom)
        )
        parts.append(f'<path class="curve {curve.style}" d="{path}"/>')
        parts += [_mark(curve, x, y, share) for share in (0.5, 0.95)]
    parts.append(_text(WIDTH - RIGHT, bottom + 36, "milliseconds from the last key to new ghost text (logarithmic)", "axis end"))
    return _svg(height, title, parts)


_QUARTERS = (0.0, 0.25, 0.5, 0.75, 0.95)


def _steps(points: Sequence[tuple[float, float]], bottom: float) -> Iterable[tuple[tuple[float, float], float]]:
    before = bottom
    for point in points:
        yield point, before
        before = point[1]


def _mark(curve: Curve, x: object, y: object, share: float) -> str:
    ordered = sorted(curve.values)
    value = ordered[min(len(ordered) - 1, int(share * len(ordered)))]
    at, level = x(value), y(share)  # type: ignore[operator]
    return f'<circle class="dot {curve.style}" cx="{at:.1f}" cy="{level:.1f}" r="4"/>' + _text(at + 8, level - 7, _ms(value), f"label {curve.style}")


def timeline(lanes: Sequence[Lane], start: float, end: float, title: str) -> str:
    """A part of the trace: keys as ticks, long pauses shaded, ghost text as bars."""
    lane_height, top = 74, 8
    height = top + lane_height * len(lanes) + 30

    def x(at: float) -> float:
        return LANE_LEFT + (at - start) / (end - start) * (WIDTH - LANE_LEFT - RIGHT)

    parts = []
    for number, lane in enumerate(lanes):
        base = top + number * lane_height
        for begin, stop in lane.pauses:
            if begin < end and stop > start:
                parts.append(_rect(x(max(begin, start)), base + 4, x(min(stop, end)) - x(max(begin, start)), lane_height - 14, "pause"))
        for begin, stop in lane.ghosts:
            if begin < end and stop > start:
                width = max(1.2, x(min(stop, end)) - x(max(begin, start)))
                parts.append(_rect(x(max(begin, start)), base + 14, width, 22, f"ghost {lane.style}"))
        parts += [_line(x(key), base + 42, x(key), base + 54, "tick") for key in lane.keys if start <= key <= end]
        parts.append(_text(4, base + 30, lane.name, f"label {lane.style}"))
    step = 1 if end - start <= 12 else 5
    parts += [_text(x(start + second), height - 8, f"{second} s", "axis middle") for second in range(0, int(end - start) + 1, step)]
    return _svg(height, title, parts)


def bars(values: Sequence[Bar], title: str, most: float = 0.0) -> str:
    """Horizontal bars with their values."""
    row, top, name_width = 30, 6, 210
    largest = most or max((bar.value for bar in values), default=1.0) or 1.0
    parts = []
    for number, bar in enumerate(values):
        base = top + number * row
        length = max(1.0, bar.value / largest * (WIDTH - name_width - 130))
        parts.append(_text(name_width - 10, base + 19, bar.name, "label end"))
        parts.append(_rect(name_width, base + 6, length, 18, f"bar {bar.style}"))
        parts.append(_text(name_width + length + 8, base + 19, bar.text, "label"))
    return _svg(top + row * len(values) + 6, title, parts)


def _range(values: Sequence[float]) -> tuple[float, float]:
    """Rounded limits for the axis."""
    smallest, largest = min(values, default=1.0), max(values, default=1000.0)
    low = max([edge for edge in GRID_MS if edge <= max(smallest, 1.0)], default=1)
    high = min([edge for edge in GRID_MS if edge >= largest], default=GRID_MS[-1])
    return float(low), float(high if high > low else low * 10)


def _ms(value: float) -> str:
    if value >= 1000:
        return f"{value / 1000:.3g} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.2g} ms"


def _svg(height: float, title: str, parts: Sequence[str]) -> str:
    named = html.escape(title)
    return f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{named}"><title>{named}</title>{"".join(parts)}</svg>'


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> str:
    return f'<line class="{style}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _rect(x: float, y: float, width: float, height: float, style: str) -> str:
    return f'<rect class="{style}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" rx="2"/>'


def _text(x: float, y: float, text: str, style: str) -> str:
    return f'<text class="{style}" x="{x:.1f}" y="{y:.1f}">{html.escape(text)}</text>'
