"""How the steps of the whole job grow with users: a table with exponents, and a picture of the longest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import growth_exponent
from study import markdown

Entry = dict[str, Any]
# Of what is shorter at the greatest size, chance alone would make an exponent.
SHORTEST_SECONDS = 1.0
# Two sizes have an exponent, but do not show whether it stays.
LEAST_SIZES = 3
# A stage that takes as long as one of its steps at every size is that step.
SAME_SHARE = 0.02
# Lines of the picture, the longest steps; more of them cannot be told apart.
LINES = 8
KINDS = ("seconds", "cpu_seconds", "peak_mib")


def series_of(entries: Sequence[Entry]) -> list[list[Entry]]:
    """The whole job as of one day at several sizes, the smallest first: a list for each day and kind of machine."""
    found: dict[tuple[str, str, int], list[Entry]] = {}
    for each in sorted(entries, key=lambda each: each["users"]):
        if each["benchmark"] == "end_to_end":
            machine = each["machine"]
            found.setdefault((each["as_of"], machine["processor"], machine["cores"]), []).append(each)
    return [found[key] for key in sorted(found) if len(found[key]) >= LEAST_SIZES]


def grown(series: Sequence[Entry]) -> dict[str, list[dict[str, float]]]:
    """What was measured at every size, by name, the longest at the greatest size first; of a stage and its only step
    the step."""
    by_name = [{each["name"]: each for each in entry["measurements"]} for entry in series]
    names = [name for name in by_name[-1] if all(name in known for known in by_name)]
    long = [name for name in names if by_name[-1][name]["seconds"] >= SHORTEST_SECONDS]
    long.sort(key=lambda name: -by_name[-1][name]["seconds"])
    found: dict[str, list[dict[str, float]]] = {}
    for name in long:
        measured = [known[name] for known in by_name]
        # The stage stands before its step, because it takes a moment longer.
        if found and all(map(_is_same, measured, found[next(reversed(found))])):
            found.popitem()
        found[name] = measured
    return found


def _is_same(one: dict[str, float], other: dict[str, float]) -> bool:
    return all(abs(one[kind] - other[kind]) <= SAME_SHARE * other[kind] for kind in KINDS)


def exponents(sizes: Sequence[float], measured: Sequence[dict[str, float]]) -> list[float]:
    """Of seconds, processor seconds and memory as powers of users."""
    return [growth_exponent(sizes, [max(each[kind], 0.01) for each in measured]) for kind in KINDS]


def growth_table(series: Sequence[Entry]) -> str:
    """Seconds and memory at each size, and the three exponents."""
    sizes = [entry["users"] for entry in series]
    rows = [
        [
            name,
            *(f"{each['seconds']:.1f} s, {each['peak_mib']:,.0f} MiB" for each in measured),
            *(f"{exponent:.2f}" for exponent in exponents(sizes, measured)),
        ]
        for name, measured in grown(series).items()
    ]
    header = ["", *(f"{size:,} users" for size in sizes), "exponent", "of CPU", "of memory"]
    return markdown(header, rows)


def draw_growth(series: Sequence[Entry], path: Path) -> None:
    """Processor seconds by users, both logarithmic, of the longest steps; the exponent stands beside each line."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    sizes = [entry["users"] for entry in series]
    with mpl.rc_context({"svg.hashsalt": "holley_assets"}):
        figure = Figure(figsize=(8, 5), layout="constrained")
        axes = figure.add_subplot(xscale="log", yscale="log", xlabel="users", ylabel="processor seconds")
        for name, measured in list(grown(series).items())[:LINES]:
            _, exponent, _ = exponents(sizes, measured)
            label = f"{name}: {exponent:.2f}"
            axes.plot(sizes, [each["cpu_seconds"] for each in measured], marker="o", label=label)
        axes.set_xticks(sizes, [f"{size:,}" for size in sizes], minor=False)
        axes.minorticks_off()
        axes.grid(visible=True, alpha=0.3)
        axes.legend(title="exponent", fontsize="small")
        figure.savefig(path, metadata={"Date": None})
