"""Tables of what ``ruler.py`` measured.

    python tests/benchmarks/ruler_tables.py data/benchmarks/ruler-*.json --unseen 10 11

prints the tables of the first section of ``README.md`` from result files whose cells are of one commit
and machine. Means are over seeds; ± is the standard deviation over them. ``--unseen`` names seeds that nobody looked
at while the network was built.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from study import markdown, mean_and_spread, with_spread

from holley_assets.evaluation.car_traffic import NAMES
from holley_assets.sample_data.parameters import KINDS

BASELINE, ORACLE = "sql", "oracle"
EXPECTED = "expected_hit_rate@4"
MODEL, COUNT = "gnn", "visitor_demand"
LABELS = {"counted_popularity": "visitors", COUNT: "count by car", MODEL: "**`gnn`**"}

Cell = dict[str, Any]


def gap_closed(systems: dict[str, Any], name: str) -> float | None:
    """Share of the way from ``sql`` to the oracle, cold users."""
    low, high, value = (systems[one]["cold"] for one in (BASELINE, ORACLE, name))
    return None if None in (low, high, value) or high <= low else (value - low) / (high - low)


def cells_table(cells: list[Cell], scope: str, names: list[str]) -> str:
    """Mean and spread over seeds, in percent, one row a kind and traffic, one column a system."""
    rows = []
    for world, group in itertools.groupby(cells, key=lambda cell: (cell["kind"], cell["traffic"])):
        runs = [cell["systems"] for cell in group]
        rows.append(
            [
                f"{world[0]}, traffic {world[1]:g}",
                *(with_spread([run[name][scope] if name in run else None for run in runs]) for name in names),
            ]
        )
    return markdown([f"{scope} users, %", *names], rows)


def gaps_table(cells: list[Cell], names: list[str]) -> str:
    """Share of the gap from ``sql`` to the oracle that each system closes, cold users."""
    rows = []
    for world, group in itertools.groupby(cells, key=lambda cell: (cell["kind"], cell["traffic"])):
        runs = [cell["systems"] for cell in group]
        values = (
            with_spread([gap_closed(run, name) if name in run else None for run in runs]) for name in names
        )
        rows.append([f"{world[0]}, traffic {world[1]:g}", *values])
    return markdown(["gap to the oracle closed, %", *names], rows)


def slices_table(cells: list[Cell], names: list[str]) -> str:
    """Cold users of one world by the visits of their car's class, mean over seeds."""
    runs = [cell["systems"] for cell in cells]
    rows = []
    for name in NAMES:
        parts = [run[BASELINE]["slices"][name]["share"] for run in runs]
        values = (
            with_spread([run[one]["slices"][name][EXPECTED] for run in runs if one in run]) for one in names
        )
        rows.append([name, with_spread(parts), *values])
    return markdown([f"{cells[0]['kind']}, visits", "share of owners, %", *names], rows)


def print_tables(cells: list[Cell]) -> None:
    """Markdown of all cells: cold users, users with a history, gaps and slices."""
    cells = sorted(cells, key=lambda cell: (*KINDS, "run").index(cell["kind"]) * 100 - cell["traffic"])
    names = list(dict.fromkeys(name for cell in cells for name in cell["systems"]))
    for scope in ("cold", "history"):
        print(cells_table(cells, scope, names), end="\n\n")
    if all({BASELINE, ORACLE} <= cell["systems"].keys() for cell in cells):
        print(gaps_table(cells, names), end="\n\n")
    for _, group in itertools.groupby(cells, key=lambda cell: (cell["kind"], cell["traffic"])):
        print(slices_table(list(group), names), end="\n\n")


def scope_table(cells: list[Cell], scope: str, names: Sequence[str], unseen: Sequence[int]) -> str:
    """Means of each kind and traffic; for cold users how far the network is above the count by car.

    Args:
        scope: ``cold`` or ``history``.
        unseen: seeds whose mean stands in a column of its own.
    """
    heading = [f"{'cold users' if scope == 'cold' else 'users with a history'}", *map(_label, names)]
    if scope == "cold":
        heading += [
            "`gnn` above the count by car",
            f"seeds {' and '.join(map(str, unseen))}",
            "gap from `sql` closed",
        ]
    rows = []
    for (kind, traffic), group in itertools.groupby(cells, key=_world):
        runs = list(group)
        row = [f"`{kind}`, traffic {traffic:g}"]
        for name in names:
            mean, _ = mean_and_spread([_value(run, name, scope) for run in runs])
            shown = _points(mean)
            row.append(f"**{shown}**" if name == MODEL else shown)
        if scope == "cold":
            mean, spread = mean_and_spread([_gain(run) for run in runs])
            apart, _ = mean_and_spread([_gain(run) for run in runs if run["seed"] in unseen])
            closed, _ = mean_and_spread([gap_closed(run["systems"], MODEL) for run in runs])
            row += [
                _points(mean, "+") + ("" if spread is None else f" ± {_points(spread)}"),
                _points(apart, "+"),
                _percent(closed, digits=0),
            ]
        rows.append(row)
    return markdown(heading, rows)


def traffic_table(cells: list[Cell], kind: str, traffic: float, names: Sequence[str]) -> str:
    """Cold users of one kind and traffic by the visits of their car's class."""
    runs = [cell for cell in cells if _world(cell) == (kind, traffic)]
    heading = [
        f"`{kind}`, traffic {traffic:g}, visits of the car's class",
        "share of owners",
        *map(_label, names),
    ]
    rows = []
    for slice_name in NAMES:
        share, _ = mean_and_spread([run["systems"][BASELINE]["slices"][slice_name]["share"] for run in runs])
        means = [
            mean_and_spread([run["systems"][name]["slices"][slice_name][EXPECTED] for run in runs])[0]
            for name in names
        ]
        shown = [
            f"**{_points(mean)}**" if name == MODEL else _points(mean)
            for name, mean in zip(names, means, strict=True)
        ]
        rows.append([slice_name, _percent(share), *shown])
    return markdown(heading, rows)


def worst_cells(cells: list[Cell], rivals: Sequence[str], scope: str = "cold") -> str:
    """For each rival how many cells the network is below it in, and by how many points at most."""
    rows = []
    for rival in rivals:
        leads = [
            (model - other, f"{cell['kind']}, traffic {cell['traffic']:g}, seed {cell['seed']}")
            for cell in cells
            if rival in cell["systems"]
            and (model := _value(cell, MODEL, scope)) is not None
            and (other := _value(cell, rival, scope)) is not None
        ]
        if leads:
            least, where = min(leads)
            rows.append(
                [rival, str(len(leads)), str(sum(lead < 0 for lead, _ in leads)), _points(least, "+"), where]
            )
    return markdown(["rival", "cells", "cells that it wins", "least lead of `gnn`, points", "where"], rows)


def _label(name: str) -> str:
    return LABELS.get(name, name)


def _world(cell: Cell) -> tuple[str, float]:
    return cell["kind"], cell["traffic"]


def _value(cell: Cell, name: str, scope: str) -> float | None:
    return cell["systems"][name][scope] if name in cell["systems"] else None


def _gain(cell: Cell) -> float | None:
    model, count = _value(cell, MODEL, "cold"), _value(cell, COUNT, "cold")
    return None if model is None or count is None else model - count


def _points(value: float | None, sign: str = "", digits: int = 1) -> str:
    return "–" if value is None else f"{100 * value:{sign}.{digits}f}"


def _percent(value: float | None, digits: int = 1) -> str:
    return "–" if value is None else f"{_points(value, digits=digits)} %"


def _in_order(cells: list[Cell]) -> list[Cell]:
    return sorted(cells, key=lambda cell: (*KINDS, "run").index(cell["kind"]) * 100 - cell["traffic"])


def main() -> None:
    """Print the tables of the documents."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", nargs="+", type=Path, help="JSON files that ruler.py wrote")
    parser.add_argument("--unseen", nargs="*", type=int, default=[], help="seeds with a column of their own")
    arguments = parser.parse_args()
    cells = _in_order([cell for path in arguments.results for cell in json.loads(path.read_text())["cells"]])
    everywhere = set.intersection(*(set(cell["systems"]) for cell in cells))

    def known(*names: str) -> list[str]:
        # The mean of fewer cells would stand beside those of all.
        return [name for name in names if name in everywhere]

    cold = (BASELINE, "popularity", "counted_popularity", COUNT, "als", "lightgcn")
    history = (BASELINE, COUNT, "item_to_item", "last_seen", "als", "sql_similar")
    last = ("hybrid", MODEL, ORACLE)
    tables: list[Callable[[], str]] = [
        lambda: scope_table(cells, "cold", known(*cold, *last), arguments.unseen),
        lambda: scope_table(cells, "history", known(*history, *last), arguments.unseen),
        lambda: traffic_table(cells, "real_cars", 1.0, known(BASELINE, COUNT, MODEL, ORACLE)),
        lambda: worst_cells(cells, (*cold, "hybrid")),
        lambda: worst_cells(cells, (*history, "hybrid"), "history"),
    ]
    print("\n\n".join(table() for table in tables))


if __name__ == "__main__":
    main()
