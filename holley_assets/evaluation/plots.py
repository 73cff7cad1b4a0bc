"""The plots of the report page, each a self-contained image with a description for those who cannot see it.

Figures are built without pyplot: no global state, no display, safe in any thread.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from holley_assets.evaluation.formatting import signed
from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.systems import BASELINE, BY_NAME
from holley_assets.terms import SLOTS
from holley_assets.texts import for_html, for_plot

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

INK, MUTED, GRID = "#1b2733", "#5b6875", "#dfe5eb"
BLUE, ORANGE, GREEN, RED = "#1f5fa8", "#b4530a", "#2a7d4f", "#b3261e"
SYSTEM_COLOURS = {name: system.colour for name, system in BY_NAME.items()}
# Okabe & Ito 2008, which tell apart with any colour vision; the shape says the same without colour.
GROUP_COLOURS = ("#0072b2", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#cc79a7", "#1b2733")
GROUP_SHAPES = ("o", "s", "^", "D", "v", "P", "X")
# Around the letters of a label that stands on points.
HALO = [withStroke(linewidth=2.5, foreground="white")]
STYLE: dict[RcKeyType, Any] = {
    "svg.hashsalt": "holley_assets",  # the same figure gives the same bytes
    "font.size": 9.5,
    "text.color": INK,
    "axes.labelcolor": MUTED,
    "axes.edgecolor": GRID,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
}


class Plot(NamedTuple):
    """An image as a ``data:`` address and what it shows, in words."""

    source: str
    description: str


def encode(figure: Figure, description: str, *, kind: str = "svg", dots_per_inch: int = 160) -> Plot:
    """A figure as a picture that stands in the page itself, the same whenever it is drawn.

    Args:
        description: the picture in words.
        kind: ``svg`` or ``png``.
        dots_per_inch: of a picture that is no drawing of lines.
    """
    buffer = io.BytesIO()
    metadata = {"Date": None} if kind == "svg" else {"Software": None}
    figure.savefig(buffer, format=kind, bbox_inches="tight", metadata=metadata, dpi=dots_per_inch)
    media = "image/svg+xml" if kind == "svg" else "image/png"
    return Plot(f"data:{media};base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}", description)


def _figure(width: float, height: float, columns: int = 1) -> tuple[Figure, list[Any]]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, list(np.atleast_1d(figure.subplots(1, columns)))


def lift_by_tier(
    comparison: Mapping[str, Any],
    metrics: Mapping[str, Any],
    rule: DecisionRule | None = None,
    *,
    treatment: str,
    narrow: bool = False,
) -> Plot | None:
    """Hit Rate@4 lift of ``treatment`` with its interval for each scope, over the bands of the decision; None
    without any.

    Args:
        narrow: for a phone, where letters stay as large as on a screen.
    """
    rule = rule or DecisionRule()
    scopes = [scope for scope in ("cold", "warm", "hot", "overall") if comparison[scope]["ci95"] is not None]
    if not scopes:
        return None
    lifts = 100.0 * np.array([comparison[scope]["hit_rate@4_delta"] for scope in scopes])
    bounds = 100.0 * np.array([comparison[scope]["ci95"] for scope in scopes])  # [scopes, 2]
    with matplotlib.rc_context(STYLE):
        width = 4.0 if narrow else 9.4
        figure, (axis,) = _figure(width, 0.62 + 0.5 * len(scopes))
        rows = np.arange(len(scopes))[::-1]
        # A tier of a few users may have an interval of ± 50 points: the axis follows the cold users and all
        # users, and an arrow says that an interval goes on.
        leading = bounds[[scope in ("cold", "overall") for scope in scopes]]
        low = 1.6 * float(min(leading.min(), -200 * rule.marginal))
        high = 1.6 * float(max(leading.max(), 150 * rule.clear_win))
        bands = [
            (low, -100 * rule.marginal, "#fbe9e7", "worse"),
            (-100 * rule.marginal, 100 * rule.marginal, "#f1f3f5", "neutral"),
            (100 * rule.marginal, 100 * rule.clear_win, "#fdf3dc", "marginal"),
            (100 * rule.clear_win, high, "#e3f3e8", "clear win"),
        ]
        for start, end, colour, name in bands:
            axis.axvspan(start, end, color=colour, linewidth=0, zorder=0)
            # Inches that the longest of the names takes.
            if width * (end - start) > 0.85 * (high - low):
                middle = (start + end) / 2
                axis.annotate(
                    name,
                    (middle, 1.0),
                    (0, 3),
                    ("data", "axes fraction"),
                    "offset points",
                    ha="center",
                    color=MUTED,
                )
        axis.axvline(0.0, color=MUTED, linewidth=1.0)
        colours = [BLUE if scope == "cold" else MUTED for scope in scopes]
        axis.hlines(rows, bounds[:, 0], bounds[:, 1], colors=colours, linewidth=2.4)
        axis.scatter(lifts, rows, color=colours, s=46, zorder=3)
        for row, lift in zip(rows, lifts, strict=True):
            at = (np.clip(lift, low, high), row)
            axis.annotate(signed(lift / 100), at, (0, 7), textcoords="offset points", ha="center")
        for edge, marker, beyond in ((low, "<", bounds[:, 0] < low), (high, ">", bounds[:, 1] > high)):
            edges = np.full(beyond.sum(), edge)
            axis.scatter(edges, rows[beyond], marker=marker, color=MUTED, s=60, clip_on=False)
        users = [metrics[treatment][scope]["users"] for scope in scopes]
        axis.set_yticks(
            rows,
            [
                f"{scope}\n{count:,} users" if narrow else f"{scope} ({count:,} users)"
                for scope, count in zip(scopes, users, strict=True)
            ],
            color=INK,
        )
        axis.set(
            xlim=(low, high),
            ylim=(-0.5, len(scopes) - 0.3),
            xlabel=f"{treatment} − {BASELINE}, points"
            if narrow
            else f"Hit Rate@4, {treatment} − {BASELINE}, in percentage points",
        )
        axis.grid(visible=False, axis="y")
        words = "; ".join(
            f"{scope} {signed(lift / 100)} ({signed(bound[0] / 100)} to {signed(bound[1] / 100)})"
            for scope, lift, bound in zip(scopes, lifts, bounds, strict=True)
        )
        return encode(
            figure,
            f"Hit Rate@4 lift of {treatment} over {BASELINE} in percentage points, with intervals: {words}.",
        )


def training_curves(training: Mapping[str, Any]) -> Plot | None:
    """Losses on the left, validation MRR on the right, the chosen epoch marked; None without curves."""
    curves = training["curves"]
    if not curves["epoch"]:
        return None
    series = {name: np.array(values, dtype=np.float64) for name, values in curves.items()}
    best = training["best_epoch"]
    with matplotlib.rc_context(STYLE):
        figure, (losses, ranks) = _figure(9.4, 2.9, columns=2)
        losses.plot(series["epoch"], series["train_loss"], color=ORANGE, label="training")
        losses.plot(series["epoch"], series["validation_loss"], color=BLUE, label="validation")
        losses.set(title="Loss", xlabel="epoch")
        losses.legend()
        ranks.plot(series["epoch"], series["validation_mrr"], color=BLUE)
        ranks.set(title="Validation MRR", xlabel="epoch")
        if best is not None:
            for axis in (losses, ranks):
                axis.axvline(best, color=GREEN, linestyle="--", linewidth=1.2)
            ranks.annotate(
                f"epoch {best} chosen",
                (best, 0.04),
                xycoords=("data", "axes fraction"),
                xytext=(5, 0),
                textcoords="offset points",
                color=GREEN,
            )
        words = f"Losses and validation MRR over {len(series['epoch'])} epochs; epoch {best} is chosen."
        return encode(figure, words)


def score_distributions(scores: Mapping[str, Any]) -> Plot | None:
    """Histogram of the scores in the e-mail slots, one panel a system, each on its own scale."""
    filled = {system: histogram for system, histogram in scores.items() if histogram["counts"]}
    if not filled:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(9.4, 2.1, columns=len(filled))
        for axis, (system, histogram) in zip(axes, filled.items(), strict=True):
            colour = SYSTEM_COLOURS.get(system, MUTED)
            axis.stairs(histogram["counts"], histogram["edges"], fill=True, color=colour)
            axis.set(title=system, xlabel="score")
            axis.set_yticks([])
            axis.grid(visible=False)
        words = f"Scores of the first {SLOTS} ranks for systems {', '.join(filled)}."
        return encode(figure, words)


def part_type_mix(part_types: Mapping[str, Mapping[str, int]], *, limit: int = 12) -> Plot | None:
    """Share of e-mail slots by part type, one bar a source such as ``gnn``, ``sql`` and ``delivered``."""
    shares = {
        name: {kind: count / sum(counts.values()) for kind, count in counts.items()}
        for name, counts in part_types.items()
        if counts
    }
    if not shares:
        return None
    kinds = sorted(
        {kind for mix in shares.values() for kind in mix},
        key=lambda kind: (-max(mix.get(kind, 0.0) for mix in shares.values()), kind),
    )[:limit]
    colours = {**SYSTEM_COLOURS, "delivered": GREEN}
    height = 0.8 / len(shares)
    with matplotlib.rc_context(STYLE):
        figure, (axis,) = _figure(9.4, 0.7 + 0.36 * len(kinds))
        rows = np.arange(len(kinds))[::-1]
        for index, (name, mix) in enumerate(shares.items()):
            offset = (len(shares) - 1) * height / 2 - index * height
            values = [100.0 * mix.get(kind, 0.0) for kind in kinds]
            axis.barh(rows + offset, values, height=0.92 * height, color=colours.get(name, MUTED), label=name)
        axis.set_yticks(rows, [for_plot(kind) for kind in kinds], color=INK)
        axis.set(xlabel="% of the filled slots")
        axis.grid(visible=False, axis="y")
        axis.legend(loc="lower right")
        first = next(iter(shares))
        words = ", ".join(f"{for_html(kind)} {shares[first].get(kind, 0.0):.0%}" for kind in kinds[:3])
        return encode(figure, f"Part types in the first {SLOTS} slots; most frequent for {first}: {words}.")


def degree_distributions(degrees: Mapping[str, Any]) -> Plot | None:
    """Nodes by number of edges, in bins that double, one panel a side of a relation."""
    filled = {name: distribution for name, distribution in degrees.items() if distribution["counts"]}
    if not filled:
        return None
    columns = len(filled) if len(filled) <= 4 else 3
    lines = -(-len(filled) // columns)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.4, 2.2 * lines), layout="constrained")
        axes = np.atleast_1d(figure.subplots(lines, columns)).ravel()
        for axis in axes[len(filled) :]:
            axis.set_visible(False)
        for axis, (name, distribution) in zip(axes, filled.items(), strict=False):
            positions = np.arange(len(distribution["counts"]))
            axis.bar(positions, distribution["counts"], width=0.86, color=BLUE)
            step = max(1, -(-len(positions) // 5))
            axis.set_xticks(positions[::step], [f"{lower:,}" for lower in distribution["lower"][::step]])
            axis.set_title(name, fontsize=9)
            axis.set(xlabel="edges of a node, from", yscale="log")
            axis.yaxis.set_major_formatter("{x:,.0f}")
            axis.set_ylim(bottom=0.7)
            axis.grid(visible=False, axis="x")
        words = "; ".join(
            f"{name}: mean {distribution['mean']:.1f}, maximum {distribution['maximum']:,}"
            for name, distribution in filled.items()
        )
        return encode(figure, f"Nodes by degree. {words}.")


def apart(
    places: Mapping[str, tuple[float, float]], width: float, height: float
) -> dict[str, tuple[float, float]]:
    """Places of labels, from top to bottom, each moved down as far as one above it takes its room.

    Args:
        places: the middle of each label, by its words.
        width, height: of the plot, in the units of the places.
    """
    found: dict[str, tuple[float, float]] = {}
    for name, (across, middle) in sorted(places.items(), key=lambda item: -item[1][1]):
        near = [above for beside, above in found.values() if abs(across - beside) < 0.3 * width]
        found[name] = (across, min([middle, *(above - 0.06 * height for above in near)]))
    return found


def embedding_picture(points: pa.Table) -> Plot | None:
    """The embedding map: x, y, group (see :func:`.embedding_views.embedding_map`)."""
    if points.num_rows == 0:
        return None
    groups = np.array(points.column("group").to_pylist(), dtype=str)
    x, y = points.column("x").to_numpy(), points.column("y").to_numpy()
    names, counts = np.unique(groups, return_counts=True)
    order = sorted(range(len(names)), key=lambda index: (names[index] == "others", -counts[index]))
    with matplotlib.rc_context(STYLE):
        figure, (axis,) = _figure(9.4, 4.6)
        labels: dict[str, tuple[float, float]] = {}
        for colour, index in enumerate(order):
            inside = groups == names[index]
            others = names[index] == "others"
            axis.scatter(
                x[inside],
                y[inside],
                s=6 if others else 20,
                color="#c5ccd3" if others else GROUP_COLOURS[colour % len(GROUP_COLOURS)],
                marker="." if others else GROUP_SHAPES[colour % len(GROUP_SHAPES)],
                alpha=0.8,
                linewidths=0,
                label=f"{for_plot(names[index])} ({counts[index]:,})",
                zorder=1 if others else 2,
            )
            if not others:
                labels[for_plot(names[index])] = (float(np.median(x[inside])), float(np.median(y[inside])))
        for name, (across, up) in apart(labels, float(np.ptp(x)), float(np.ptp(y))).items():
            axis.annotate(
                name, (across, up), ha="center", va="center", fontsize=8.5, path_effects=HALO, zorder=3
            )
        axis.set_axis_off()
        axis.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.6)
        words = f"{points.num_rows:,} parts in the plane of the two main directions, by shape and colour of part type."
        return encode(figure, words, kind="png")
