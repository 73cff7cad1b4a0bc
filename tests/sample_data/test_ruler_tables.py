"""The tables of the ruler's results, by hand."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from holley_assets.evaluation.car_traffic import NAMES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def ruler_tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("ruler_tables")


def cell(seed: int, traffic: float = 1.0, **cold: float) -> dict[str, Any]:
    """A cell of kind real_cars; users with a history have half of what cold users have, the first slice twice."""
    systems = {
        name: {
            "cold": value,
            "history": value / 2,
            "slices": {
                one: {
                    "share": 0.25 if one == NAMES[0] else None,
                    "expected_hit_rate@4": 2 * value if one == NAMES[0] else None,
                }
                for one in NAMES
            },
        }
        for name, value in cold.items()
    }
    return {"kind": "real_cars", "traffic": traffic, "seed": seed, "systems": systems}


CELLS = [
    cell(1, sql=0.10, visitor_demand=0.20, als=0.31, gnn=0.30, oracle=0.50),
    cell(7, sql=0.20, visitor_demand=0.25, gnn=0.40, oracle=0.60),
    cell(7, 0.1, sql=0.10, visitor_demand=0.20, gnn=0.19, oracle=0.40),
]


def test_gains_gaps_and_unseen_seeds(ruler_tables: ModuleType) -> None:
    """The gains are 10 and 15 points; of the way from sql to the oracle half is closed twice, then three tenths."""
    lines = ruler_tables.scope_table(
        CELLS, "cold", ["sql", "visitor_demand", "gnn", "oracle"], [7]
    ).splitlines()
    assert lines[0] == (
        "| cold users | sql | count by car | **`gnn`** | oracle | `gnn` above the count by car | seeds 7 "
        "| gap from `sql` closed |"
    )
    assert lines[2:] == [
        "| `real_cars`, traffic 1 | 15.0 | 22.5 | **35.0** | 55.0 | +12.5 ± 3.5 | +15.0 | 50 % |",
        "| `real_cars`, traffic 0.1 | 10.0 | 20.0 | **19.0** | 40.0 | -1.0 | -1.0 | 30 % |",
    ]


def test_a_system_that_some_cells_lack_is_the_mean_of_the_others(ruler_tables: ModuleType) -> None:
    lines = ruler_tables.scope_table(CELLS, "history", ["als", "gnn"], []).splitlines()
    assert lines[0] == "| users with a history | als | **`gnn`** |"
    assert lines[2:] == [
        "| `real_cars`, traffic 1 | 15.5 | **17.5** |",
        "| `real_cars`, traffic 0.1 | – | **9.5** |",
    ]


def test_slices_are_of_one_kind_and_traffic(ruler_tables: ModuleType) -> None:
    lines = ruler_tables.traffic_table(CELLS, "real_cars", 1.0, ["visitor_demand", "gnn"]).splitlines()
    assert lines[2] == f"| {NAMES[0]} | 25.0 % | 45.0 | **70.0** |"
    assert lines[3] == f"| {NAMES[1]} | – | – | **–** |"


def test_the_worst_cell_of_each_rival_is_named(ruler_tables: ModuleType) -> None:
    lines = ruler_tables.worst_cells(CELLS, ["visitor_demand", "als", "lightgcn"]).splitlines()
    assert lines[2:] == [
        "| visitor_demand | 3 | 1 | -1.0 | real_cars, traffic 0.1, seed 7 |",
        "| als | 1 | 1 | -1.0 | real_cars, traffic 1, seed 1 |",
    ]


def test_files_are_put_together_in_the_order_of_kinds_and_traffics(
    ruler_tables: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    files = [tmp_path / "thin.json", tmp_path / "full.json"]
    files[0].write_text(json.dumps({"cells": CELLS[2:]}))
    files[1].write_text(json.dumps({"cells": CELLS[:2]}))
    monkeypatch.setattr(sys, "argv", ["ruler_tables.py", *map(str, files), "--unseen", "7"])
    ruler_tables.main()
    printed = capsys.readouterr().out
    assert printed.index("`real_cars`, traffic 1 |") < printed.index("`real_cars`, traffic 0.1 |")
    assert "| als | 1 | 1 | -1.0 |" in printed
