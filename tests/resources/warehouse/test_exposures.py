"""The log of exposures is written with the table that shows the parts, or not at all, and once a user and day."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.ranking.arms import SERVING_SCHEMA
from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.bigquery.client import open_client
from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA
from holley_assets.resources.warehouse.interface import (
    ChangedError,
    Exposures,
    Unchanged,
    Warehouse,
    WarehouseError,
)

DATASET, TABLE, LOG = "exposure_output", "served", "experiment_exposures"
RECORD = Unchanged(DATASET, "record", 1)
MONDAY, TUESDAY = datetime.date(2026, 2, 2), datetime.date(2026, 2, 3)
ARMS = {"graph": "gnn", "sql": "sql"}


def served(*users: tuple[str, str, str], part: str = "A") -> pa.Table:
    """A serving table of users, each with the arm that was assigned and the one that was received."""
    rows = [
        {
            "email_lower": f"{name}@x.com",
            "arm": received,
            "assigned_arm": assigned,
            "model_version": "m" if received == "graph" else "sql",
            "rec_part_1": part,
            "rec_part_2": "B",
            "rec_part_3": "C",
        }
        for name, assigned, received in users
    ]
    return pa.Table.from_pylist(rows, schema=SERVING_SCHEMA)


def exposures(day: datetime.date = MONDAY, share: float = 0.5, **others: Any) -> Exposures:
    return Exposures(**{"run_id": "run-1", "experiment": "spring", **others}, dataset=DATASET, table=LOG,
                     day=day, share=share, systems=ARMS)  # fmt: skip


class World:
    """A warehouse with a record that a condition asks, and what one may do to it."""

    def __init__(self, warehouse: Warehouse, folder: Path) -> None:
        self.warehouse = warehouse
        self.folder = folder
        warehouse.append_rows(DATASET, RECORD.table, pa.table({"state": ["begun"]}))

    def publish(self, table: pa.Table, logged: Exposures | None, condition: Unchanged = RECORD) -> int:
        path = self.folder / "staged.parquet"
        pq.write_table(table, path)
        staged = self.warehouse.stage_table(TABLE, path, checksum(path))
        return self.warehouse.publish_staged(
            staged, DATASET, TABLE, unless_changed=condition, exposures=logged
        )

    def log(self) -> list[dict[str, Any]]:
        rows = self.warehouse.read_table(DATASET, LOG).to_pylist()
        return sorted(rows, key=lambda row: (row["experiment"], row["exposure_day"], row["email_lower"]))

    def users(self) -> list[tuple[str, int, str, str]]:
        return [
            (
                row["email_lower"][0],
                row["exposure_day"].day,
                f"{row['assigned_arm']}>{row['received_arm']}",
                row["rec_part_1"],
            )
            for row in self.log()
        ]

    def parts(self) -> list[str]:
        return sorted(self.warehouse.read_table(DATASET, TABLE)["rec_part_1"].to_pylist())


@pytest.fixture(params=["duckdb", "bigquery"])
def world(
    request: pytest.FixtureRequest, bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> Iterator[World]:
    if request.param == "duckdb":
        warehouse: Warehouse = DuckDBWarehouse(
            sources={},
            assets={},
            database=tmp_path / "warehouse.duckdb",
            temporary_directory=tmp_path,
            guarded=[(DATASET, TABLE)],
        )
        yield World(warehouse, tmp_path)
        return
    settings = bigquery_emulator.settings(working_dataset="exposure_work", retry_seconds=10.0)
    bigquery_emulator.create_datasets("exposure_work", DATASET)
    yield World(
        BigQueryWarehouse(
            open_client(settings),
            None,
            settings,
            temporary_directory=tmp_path / "tmp",
            guarded=[(DATASET, TABLE)],
        ),
        tmp_path,
    )
    with bigquery_emulator.client() as client:
        client.delete_dataset(DATASET, delete_contents=True)


def test_a_user_has_one_row_a_day_the_last_that_was_served(world: World) -> None:
    first = served(("a", "graph", "graph"), ("b", "graph", "sql"), ("c", "sql", "sql"))
    assert world.publish(first, exposures()) == 3
    assert world.users() == [
        ("a", 2, "graph>graph", "A"),
        ("b", 2, "graph>sql", "A"),
        ("c", 2, "sql>sql", "A"),
    ]
    row = world.log()[0]
    assert list(row) == EXPOSURES_SCHEMA.names
    assert (row["experiment"], row["share"], row["system"], row["model_version"], row["run_id"]) == (
        "spring",
        0.5,
        "gnn",
        "m",
        "run-1",
    )
    assert [row[f"rec_part_{slot}"] for slot in (2, 3, 4)] == ["B", "C", None]
    assert abs(datetime.datetime.now(datetime.UTC) - row["published_at"]) < datetime.timedelta(minutes=5)
    assert [each["system"] for each in world.log()] == ["gnn", "sql", "sql"]

    # The same again, as a retry does.
    assert world.publish(first, exposures()) == 3
    assert len(world.log()) == 3
    # A second delivery of the day, without c, who was shown the first one.
    assert (
        world.publish(served(("a", "graph", "sql"), ("b", "sql", "sql"), part="Z"), exposures(share=0.25))
        == 2
    )
    assert world.users() == [("a", 2, "graph>sql", "Z"), ("b", 2, "sql>sql", "Z"), ("c", 2, "sql>sql", "A")]
    assert [each["share"] for each in world.log()] == [0.25, 0.25, 0.5]
    # The next day, and another experiment: nothing that was is touched.
    before = world.log()
    assert world.publish(first, exposures(TUESDAY)) == 3
    assert world.publish(first, exposures(experiment="summer")) == 3
    assert [
        row for row in world.log() if row["exposure_day"] == MONDAY and row["experiment"] == "spring"
    ] == before
    assert len(world.log()) == 9
    assert world.parts() == ["A"] * 3


def test_nothing_is_logged_without_an_experiment(world: World) -> None:
    world.publish(served(("a", "graph", "graph")), None)
    with pytest.raises(WarehouseError, match="does not exist"):
        world.log()


def test_what_is_refused_is_not_logged(world: World) -> None:
    world.publish(served(("a", "graph", "graph")), exposures())
    world.warehouse.append_rows(DATASET, RECORD.table, pa.table({"state": ["on"]}))
    with pytest.raises(ChangedError):
        world.publish(served(("a", "graph", "graph"), part="Z"), exposures(TUESDAY))
    assert world.users() == [("a", 2, "graph>graph", "A")]
    assert world.parts() == ["A"]


def test_a_version_that_comes_back_is_what_was_served(world: World) -> None:
    world.publish(served(("a", "graph", "graph")), exposures())
    world.publish(served(("a", "graph", "graph"), part="Z"), exposures(TUESDAY))
    (snapshot,) = world.warehouse.list_snapshots(DATASET, TABLE)
    rows = world.warehouse.restore_snapshot(
        DATASET, TABLE, snapshot, unless_changed=RECORD, exposures=exposures(TUESDAY, run_id="run-2")
    )
    assert rows == 1
    assert world.users() == [("a", 2, "graph>graph", "A"), ("a", 3, "graph>graph", "A")]
    assert [row["run_id"] for row in world.log()] == ["run-1", "run-2"]
    assert world.parts() == ["A"]
    assert len(world.warehouse.list_snapshots(DATASET, TABLE)) == 2


def test_a_table_of_other_columns_is_replaced_as_a_whole(world: World) -> None:
    world.publish(served(("a", "graph", "graph")).drop_columns(["rec4_image"]), None)
    assert world.publish(served(("a", "graph", "graph")), exposures()) == 1
    assert world.warehouse.read_table(DATASET, TABLE).column_names == SERVING_SCHEMA.names
    assert world.users() == [("a", 2, "graph>graph", "A")]


@pytest.mark.parametrize("wrong", [{"experiment": "a'b"}, {"run_id": "x' OR 1=1"}])
def test_a_text_that_is_no_name_is_refused(world: World, wrong: dict[str, Any]) -> None:
    with pytest.raises(WarehouseError, match=r"is not an identifier|cannot be logged"):
        world.publish(served(("a", "graph", "graph")), exposures(**wrong))
