"""Which rows take the place of those that are served, and which go beside them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path

import pyarrow as pa
import pytest
from experiment_world import declaration_text

from holley_assets.assets.publisher import Target, beside_target
from holley_assets.core.asset_keys import DELIVERED_TABLE, SERVING_TABLE
from holley_assets.resources.serving_switch import State, record_decision
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse

SERVED = Target(SERVING_TABLE, "holley_serving", "email_recommendations")
DELIVERED = Target(DELIVERED_TABLE, "temp_holley_gnn", "recommendations")
HELD, OLDER = datetime.date(2026, 2, 20), datetime.date(2026, 2, 19)
BESIDE = "email_recommendations_of_20260219"


class Tables:
    """A warehouse of two rows in each table, of the day that is held."""

    def __init__(self, folder: Path) -> None:
        self.warehouse = DuckDBWarehouse(
            sources={}, assets={}, database=folder / "warehouse.duckdb", temporary_directory=folder / "tmp"
        )
        self.fill(DELIVERED, {})

    def fill(self, target: Target, columns: dict[str, list[str]]) -> None:
        at = datetime.datetime.combine(HELD, datetime.time(), datetime.UTC)
        rows = pa.table({"generated_at": [at, at], **columns})
        self.warehouse.replace_table(target.dataset, target.table, rows)

    def decide(self, state: State) -> None:
        settings = SettingsResource().load()
        record_decision(self.warehouse, settings, state, by="ada", reason="a test", run_id=state)

    def beside(self, day: datetime.date = OLDER, target: Target = SERVED) -> str | None:
        return beside_target(self.warehouse, SettingsResource().load(), target, day)


@pytest.fixture
def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tables:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    return Tables(tmp_path)


def test_a_pulled_switch_takes_the_graph_away_from_rows_of_a_later_day(tables: Tables) -> None:
    """A run of a day in the future had served the graph: the job of the switch ended well and left it there."""
    tables.fill(SERVED, {"arm": ["graph", "sql"]})
    assert (tables.beside(), tables.beside(HELD)) == (BESIDE, None)
    tables.decide("on")
    assert tables.beside() is None
    assert tables.beside(target=DELIVERED) == "recommendations_of_20260219", "nobody serves from it"
    tables.decide("off")
    assert tables.beside() == BESIDE


def test_a_switch_that_a_setting_holds_does_so_too(tables: Tables, monkeypatch: pytest.MonkeyPatch) -> None:
    tables.fill(SERVED, {"arm": ["sql", "graph"]})
    monkeypatch.setenv("HOLLEY_SERVING_KILL_SWITCH", "true")
    assert tables.beside() is None


@pytest.mark.parametrize(("share", "expected"), [(0.0, None), (0.1, BESIDE)])
def test_so_does_a_readout_that_takes_the_graph_from_everybody(
    tables: Tables, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float, expected: str | None
) -> None:
    tables.fill(SERVED, {"arm": ["graph", "sql"]})
    declaration = tmp_path / "spring.toml"
    declaration.write_text(declaration_text())
    monkeypatch.setenv("HOLLEY_EXPERIMENT_DECLARATION", str(declaration))
    monkeypatch.setenv("HOLLEY_SERVING_EXPERIMENT", "spring")
    monkeypatch.setenv("HOLLEY_SERVING_MODE", "rollout")
    kept = tmp_path / "experiments" / "spring.json"
    kept.parent.mkdir()
    readout = {"decision": {"outcome": "harm"}, "next_share": {"share": share, "reason": "Clicks are fewer."}}
    kept.write_text(json.dumps(readout))
    assert tables.beside() == expected


@pytest.mark.parametrize("columns", [{"arm": ["sql", "sql"]}, {}])
def test_later_rows_without_the_graph_stay_while_the_switch_is_on(
    tables: Tables, columns: dict[str, list[str]]
) -> None:
    tables.fill(SERVED, columns)
    tables.decide("on")
    assert tables.beside() == BESIDE
