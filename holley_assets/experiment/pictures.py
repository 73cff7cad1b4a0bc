"""The pictures of the page, drawn as SVG inside it: intervals, and the statistic of each look between its bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup, escape

from holley_assets.evaluation.formatting import decimal, relative

# Colours of the page's style.
INK, MUTED, GRID, BLUE, RED = (f"var(--{name})" for name in ("ink", "muted", "line", "blue", "bad"))
_WIDTH, _ROW, _LABEL, _VALUE = 940.0, 30.0, 210.0, 200.0
_TOP, _HEIGHT, _LEFT, _BOTTOM = 14.0, 260.0, 60.0, 34.0
# Beyond it a bound says only that a look could hardly stop anything.
_TALLEST = 6.0


def draw_intervals(rows: Sequence[Mapping[str, Any]]) -> Markup | None:
    """Relative changes with their intervals, one line each; None where none of them has an interval.

    Args:
        rows: ``label``, ``relative``, ``relative_interval`` and ``main`` (drawn in the colour of what decides).
    """
    shown = [row for row in rows if row["relative_interval"] is not None]
    if not shown:
        return None
    low = min(0.0, *(row["relative_interval"][0] for row in shown))
    high = max(0.0, *(row["relative_interval"][1] for row in shown))
    room = 0.04 * (high - low)
    low, high = low - room, high + room
    scale = (_WIDTH - _LABEL - _VALUE) / (high - low)

    def across(value: float) -> float:
        return float(_LABEL + (value - low) * scale)

    height = _ROW * len(shown) + 8.0
    parts = [_line(across(0.0), 0.0, across(0.0), height, INK, 1.2)]
    for number, row in enumerate(shown):
        middle, colour = _ROW * (number + 0.5) + 4.0, BLUE if row["main"] else MUTED
        first, last = row["relative_interval"]
        parts += [
            _text(0.0, middle + 4.0, row["label"], "start", INK),
            _line(across(first), middle, across(last), middle, colour, 3.0),
            _dot(across(row["relative"]), middle, colour, 5.0),
            _text(_WIDTH, middle + 4.0, f"{relative(first)} to {relative(last)}", "end", MUTED),
        ]
    words = "; ".join(
        f"{row['label']} {relative(row['relative'])}, {relative(row['relative_interval'][0])} to "
        f"{relative(row['relative_interval'][1])}"
        for row in shown
    )
    return _image(height, parts, f"Relative change with interval: {words}.")


def draw_looks(looks: Sequence[Mapping[str, Any]]) -> Markup | None:
    """The statistic of each look that was read, between the bounds of its day; None before the first."""
    read = [look for look in looks if look["statistic"] is not None]
    if not read:
        return None
    tallest = max(abs(look["statistic"]) for look in read)
    tallest = 1.08 * max(tallest, min(_TALLEST, max(look["bound"] for look in read)), 2.5)
    step = (_WIDTH - _LEFT - 40.0) / max(1, len(looks) - 1)

    def across(look: Mapping[str, Any]) -> float:
        return _LEFT + 20.0 + step * (int(look["number"]) - 1)

    def down(value: float) -> float:
        inside = min(tallest, max(-tallest, value))
        return float(_TOP + (_HEIGHT / 2.0) * (1.0 - inside / tallest))

    parts = [_line(_LEFT, down(0.0), _WIDTH, down(0.0), INK, 1.0)]
    apart = 2 if tallest < 12 else 10
    for tick in range(-apart * int(tallest / apart), int(tallest) + 1, apart):
        parts += [
            _line(_LEFT, down(tick), _WIDTH, down(tick), GRID, 0.8),
            _text(_LEFT - 8.0, down(tick) + 4.0, f"{tick}".replace("-", "−"), "end", MUTED),
        ]
    for sign in (1.0, -1.0):
        points = " ".join(f"{across(look):.1f},{down(sign * look['bound']):.1f}" for look in read)
        parts.append(f'<polyline points="{points}" style="fill:none;stroke:{RED};stroke-width:1.6"/>')
        parts += [_dot(across(look), down(sign * look["bound"]), RED, 3.0) for look in read]
    path = " ".join(f"{across(look):.1f},{down(look['statistic']):.1f}" for look in read)
    parts.append(f'<polyline points="{path}" style="fill:none;stroke:{BLUE};stroke-width:2.2"/>')
    parts += [_dot(across(look), down(look["statistic"]), BLUE, 4.5) for look in read]
    every = 1 + len(looks) // 12
    parts += [
        _text(across(look), _TOP + _HEIGHT + 20.0, look["date"][5:], "middle", MUTED)
        for look in looks
        if (len(looks) - look["number"]) % every == 0
    ]
    words = "; ".join(
        f"{look['date']}: statistic {decimal(look['statistic'], 2)}, bound {look['bound']:.2f}"
        for look in read
    )
    return _image(_TOP + _HEIGHT + _BOTTOM, parts, f"Looks over time. {words}.")


def _image(height: float, parts: Sequence[str], description: str) -> Markup:
    body = "\n".join(parts)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH:.0f} {height:.0f}" width="100%" role="img" aria-label="{escape(description)}" '
        f'font-size="13" font-family="inherit">\n{body}\n</svg>'
    )


def _line(x: float, y: float, to_x: float, to_y: float, colour: str, width: float) -> str:
    ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{to_x:.1f}" y2="{to_y:.1f}"'
    return f'<line {ends} style="stroke:{colour};stroke-width:{width}"/>'


def _dot(x: float, y: float, colour: str, radius: float) -> str:
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{radius}" style="fill:{colour}"/>'


def _text(x: float, y: float, words: str, anchor: str, colour: str) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}">{escape(words)}</text>'
    )
