"""What the pictures of the report show, asked of the drawing itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure

from holley_assets.evaluation import plots


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Figures in the order in which they are drawn."""
    figures: list[Figure] = []
    encode = plots.encode

    def keep(figure: Figure, *arguments: Any, **options: Any) -> plots.Plot:
        figures.append(figure)
        return encode(figure, *arguments, **options)

    monkeypatch.setattr("holley_assets.evaluation.plots.encode", keep)
    return figures


def comparison_of(**bounds: tuple[float, float] | None) -> dict[str, Any]:
    return {
        scope: {"hit_rate@4_delta": 0.0 if of is None else sum(of) / 2, "ci95": of}
        for scope, of in bounds.items()
    }


@pytest.mark.parametrize(
    ("cold", "everybody", "limits"),
    [
        # 1.6 times two points below and four and a half above: the bands of the decision are all in sight.
        ((0.01, 0.02), (0.005, 0.015), (-3.2, 7.2)),
        # 1.6 times the widest interval of those two; that of a tier of a few users ends in an arrow.
        ((-0.05, 0.02), (0.01, 0.06), (-8.0, 9.6)),
    ],
)
def test_the_axis_of_the_lift_follows_cold_users_and_all_users(
    drawn: list[Figure],
    cold: tuple[float, float],
    everybody: tuple[float, float],
    limits: tuple[float, float],
) -> None:
    comparison = comparison_of(cold=cold, warm=None, hot=(-0.5, 0.4), overall=everybody)
    metrics = {"gnn": {scope: {"users": 10} for scope in comparison}}
    assert plots.lift_by_tier(comparison, metrics, treatment="gnn") is not None
    (axes,) = drawn[0].axes
    assert axes.get_xlim() == pytest.approx(limits)
    arrows = [points for points in axes.collections if isinstance(points, PathCollection)][1:]
    places = [np.asarray(points.get_offsets()).ravel().tolist() for points in arrows]
    assert places == [pytest.approx([limit, 1.0]) for limit in limits]


def test_degrees_have_a_panel_for_each_side_and_no_empty_one(drawn: list[Figure]) -> None:
    """Five sides stand in two lines of three; the sixth place and a side without nodes show nothing."""
    filled = {"counts": [3, 1], "lower": [1, 2], "mean": 1.2, "maximum": 2}
    empty = {"counts": [], "lower": [], "mean": 0.0, "maximum": 0}
    degrees = {"nobody": empty, **{f"side {number}": filled for number in range(5)}}
    assert plots.degree_distributions(degrees) is not None
    panels = [(axes.get_title(loc="left"), axes.get_visible()) for axes in drawn[0].axes]
    assert panels == [*((f"side {number}", True) for number in range(5)), ("", False)]
    assert plots.degree_distributions({"nobody": empty}) is None
