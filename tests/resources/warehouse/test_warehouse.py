"""The DuckDB warehouse: queries to Parquet, and an output table that is old or new but never half."""

from __future__ import annotations

import datetime
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.resources.warehouse.duckdb import warehouse as warehouse_module
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import (
    ChangedError,
    Unchanged,
    WarehouseError,
    snapshot_name,
)
from holley_assets.resources.warehouse.sql_files import Query, QueryError

DATASET, TABLE = "temp_holley_gnn", "recommendations"
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def warehouse(tmp_path: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        sources={"import_orders": tmp_path / "import_orders.parquet"},
        assets={"user_nodes": tmp_path / "user_nodes.parquet"},
        database=tmp_path / "warehouse.duckdb",
        temporary_directory=tmp_path / "tmp",
        lock_seconds=0.5,
    )


@pytest.fixture
def write_query(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Puts a SELECT in the place of every query."""

    def write(select: str) -> None:
        monkeypatch.setattr(warehouse_module, "read_query", lambda name, _: Query(name, (), select))

    return write


def table(*values: object) -> pa.Table:
    return pa.table({"email_lower": pa.array(values)})


class TestQueryToParquet:
    def test_rows_are_written_in_order_with_bigquery_types(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query(
            """
            SELECT x AS a, SUM(x) OVER (ORDER BY x) AS b, 1.5 AS c, x > 1 AS d, CAST(@day AS DATE) AS e,
              TIMESTAMP(@day) AS f, 'text' AS g, COUNTIF(x > 1) OVER () AS h
            FROM UNNEST([3, 1, 2]) AS x ORDER BY a
            """
        )
        path = tmp_path / "deep" / "er" / "rows.parquet"
        result = warehouse.query_to_parquet("rows", {"day": datetime.date(2026, 2, 1), "other": 1}, path)
        assert result == (path, 3, {}, {})
        rows = pq.read_table(path)
        assert rows.schema == pa.schema(
            [
                ("a", pa.int64()),
                ("b", pa.int64()),
                ("c", pa.float64()),
                ("d", pa.bool_()),
                ("e", pa.date32()),
                ("f", pa.timestamp("us", "UTC")),
                ("g", pa.string()),
                ("h", pa.int64()),
            ]
        )
        assert rows["a"].to_pylist() == [1, 2, 3]
        assert rows["f"][0].as_py() == datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)

    def test_dropped_rows_are_counted_and_left_out(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query(
            """
            SELECT x, IF(x > 2, 'too large', NULL) AS drop_reason, IF(x = 2, 5, 0) AS duplicate_rows
            FROM UNNEST([1, 2, 3, 4]) AS x ORDER BY x
            """
        )
        result = warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet")
        assert result.dropped == {"duplicate row": 5, "too large": 2}
        assert pq.read_table(result.path).to_pydict() == {"x": [1, 2]}

    def test_repeats_of_a_dropped_row_are_dropped_for_its_reason(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT 1 AS x, 'unusable' AS drop_reason, 3 AS duplicate_rows")
        assert warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet").dropped == {"unusable": 4}

    def test_no_row_at_all_is_a_file_with_columns(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT x, CAST(NULL AS STRING) AS drop_reason FROM UNNEST([1]) AS x WHERE x > 1")
        result = warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet")
        assert (result.rows, result.dropped) == (0, {})
        assert pq.read_table(result.path).column_names == ["x"]

    def test_failed_query_leaves_the_old_file_and_nothing_else(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        path = tmp_path / "assets" / "rows.parquet"
        write_query("SELECT 1 AS x")
        warehouse.query_to_parquet("rows", {}, path)
        write_query("SELECT ERROR('broken') AS x")
        with pytest.raises(WarehouseError, match=r"query .* failed"):
            warehouse.query_to_parquet("rows", {}, path)
        assert pq.read_table(path).to_pydict() == {"x": [1]}
        assert [file.name for file in path.parent.iterdir()] == ["rows.parquet"]
        assert list((tmp_path / "tmp").iterdir()) == []

    def test_missing_parameter_is_named(self, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
        with pytest.raises(QueryError, match="query order_lines: no value for intent_start"):
            warehouse.query_to_parquet(
                "order_lines", {"as_of": datetime.date(2026, 2, 1)}, tmp_path / "rows.parquet"
            )

    @pytest.mark.parametrize(
        ("query", "missing"),
        [("owns_edges", "user_nodes, which is missing"), ("fits_edges", "fitment, which is missing")],
    )
    def test_missing_asset_is_named(
        self, warehouse: DuckDBWarehouse, tmp_path: Path, query: str, missing: str
    ) -> None:
        with pytest.raises(WarehouseError, match=f"query {query} reads {missing}"):
            warehouse.query_to_parquet(query, {}, tmp_path / "rows.parquet")

    def test_missing_source_is_named(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT ITEM FROM `data_company_1950.import_orders`")
        with pytest.raises(WarehouseError, match="query rows reads import_orders, which is missing"):
            warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet")

    def test_source_in_the_wrong_dataset_is_refused(
        self, warehouse: DuckDBWarehouse, write_query: Callable[[str], None], tmp_path: Path
    ) -> None:
        write_query("SELECT ITEM FROM `company_1950.import_orders`")
        with pytest.raises(QueryError, match="import_orders is in data_company_1950"):
            warehouse.query_to_parquet("rows", {}, tmp_path / "rows.parquet")

    def test_paths_with_quotes(self, write_query: Callable[[str], None], tmp_path: Path) -> None:
        folder = tmp_path / "o'hara"
        folder.mkdir()
        pq.write_table(
            pa.table({name: ["a"] for name in ("ITEM", "SHIP_TO_EMAIL", "ORDER_DATE")}),
            folder / "import_orders.parquet",
        )
        warehouse = DuckDBWarehouse(
            sources={"import_orders": folder / "import_orders.parquet"},
            assets={},
            database=folder / "warehouse.duckdb",
            temporary_directory=folder / "tmp",
        )
        write_query("SELECT ITEM FROM `data_company_1950.import_orders`")
        assert warehouse.query_to_parquet("rows", {}, folder / "rows.parquet").rows == 1

    def test_sources_are_read_in_utc_whatever_the_unit(
        self, tmp_path: Path, write_query: Callable[[str], None]
    ) -> None:
        path = tmp_path / "treatment_interaction.parquet"
        at = datetime.datetime(2026, 1, 1, 23, 30)  # noqa: DTZ001 - a column without a zone
        pq.write_table(
            pa.table(
                {
                    "user_id": pa.array(["u"]).dictionary_encode(),
                    "treatment_id": pa.array([1], pa.int32()),
                    "treatment_tracking_id": pa.nulls(1),
                    "interaction_type": pa.array(["CLICKED"], pa.large_string()),
                    "interaction_timestamp_micros": pa.array([at], pa.timestamp("ns")),
                }
            ),
            path,
        )
        warehouse = DuckDBWarehouse(
            sources={"treatment_interaction": path},
            assets={},
            database=tmp_path / "warehouse.duckdb",
            temporary_directory=tmp_path / "tmp",
        )
        write_query(
            "SELECT *, DATE(interaction_timestamp_micros) AS day FROM `company_1950.treatment_interaction`"
        )
        (row,) = pq.read_table(
            warehouse.query_to_parquet("rows", {}, tmp_path / "x.parquet").path
        ).to_pylist()
        assert row == {
            "user_id": "u",
            "treatment_id": 1,
            "treatment_tracking_id": None,
            "interaction_type": "CLICKED",
            "interaction_timestamp_micros": at.replace(tzinfo=datetime.UTC),
            "day": datetime.date(2026, 1, 1),
        }


class TestReplaceTable:
    def test_arrow_and_parquet_take_the_place_of_the_table(
        self, warehouse: DuckDBWarehouse, tmp_path: Path
    ) -> None:
        assert warehouse.replace_table(DATASET, TABLE, table("a", "b")) == 2
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"email_lower": ["a", "b"]}
        path = tmp_path / "new.parquet"
        pq.write_table(pa.table({"other": [1.5]}), path)
        assert warehouse.replace_table(DATASET, TABLE, path) == 1
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"other": [1.5]}

    def test_timestamps_and_order_survive(self, warehouse: DuckDBWarehouse) -> None:
        at = datetime.datetime(2026, 2, 1, 12, tzinfo=datetime.UTC)
        rows = pa.table(
            {"n": list(range(5000)), "generated_at": pa.array([at] * 5000, pa.timestamp("us", "UTC"))}
        )
        warehouse.replace_table(DATASET, TABLE, rows)
        assert warehouse.read_table(DATASET, TABLE).equals(rows)

    @pytest.mark.parametrize(("dataset", "name"), [("a b", "t"), ("d", 't"; DROP TABLE x'), ("", "t")])
    def test_names_are_identifiers(self, warehouse: DuckDBWarehouse, dataset: str, name: str) -> None:
        with pytest.raises(WarehouseError, match="is not an identifier"):
            warehouse.replace_table(dataset, name, table("a"))

    def test_missing_database_or_table_is_named(self, warehouse: DuckDBWarehouse) -> None:
        with pytest.raises(WarehouseError, match=r"temp_holley_gnn.recommendations does not exist"):
            warehouse.read_table(DATASET, TABLE)
        warehouse.replace_table(DATASET, "other", table("a"))
        with pytest.raises(WarehouseError, match=r"temp_holley_gnn.recommendations does not exist"):
            warehouse.read_table(DATASET, TABLE)

    def test_a_table_is_described_without_its_rows(self, warehouse: DuckDBWarehouse) -> None:
        before = datetime.datetime.now(datetime.UTC)
        at = pa.array([before], pa.timestamp("us", "UTC"))
        rows = pa.table({"email_lower": ["a"], "embedding": [[0.5, 1.5]], "n": [1], "generated_at": at})
        warehouse.replace_table(DATASET, TABLE, rows)
        described = warehouse.describe_table(DATASET, TABLE)
        assert (described.rows, described.columns) == (
            1,
            {"email_lower": "STRING", "embedding": ["FLOAT64"], "n": "INT64", "generated_at": "TIMESTAMP"},
        )
        assert before <= described.last_modified <= datetime.datetime.now(datetime.UTC)
        with pytest.raises(WarehouseError, match=r"temp_holley_gnn.other does not exist"):
            warehouse.describe_table(DATASET, "other")

    def test_earlier_versions_are_kept_and_restored(self, warehouse: DuckDBWarehouse) -> None:
        written = []
        for name in ("first", "second", "third", "fourth"):
            warehouse.replace_table(DATASET, TABLE, table(name))
            written.append(warehouse.describe_table(DATASET, TABLE).last_modified)
        snapshots = warehouse.list_snapshots(DATASET, TABLE)
        assert snapshots == [snapshot_name(TABLE, at) for at in reversed(written[:3])]
        warehouse.drop_snapshot(DATASET, TABLE, snapshots[2])
        assert warehouse.list_snapshots(DATASET, TABLE) == snapshots[:2]
        with pytest.raises(WarehouseError, match="is not a snapshot"):
            warehouse.drop_snapshot(DATASET, TABLE, TABLE)
        assert warehouse.restore_snapshot(DATASET, TABLE, snapshots[1]) == 1
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"email_lower": ["second"]}
        undone = warehouse.list_snapshots(DATASET, TABLE)[0]
        assert warehouse.read_table(DATASET, undone).to_pydict() == {"email_lower": ["fourth"]}
        assert warehouse.describe_table(DATASET, TABLE).last_modified > written[-1]

    def test_a_guarded_table_is_replaced_while_its_condition_holds_and_never_without_one(
        self, tmp_path: Path
    ) -> None:
        warehouse = DuckDBWarehouse(
            sources={},
            assets={},
            database=tmp_path / "guarded.duckdb",
            temporary_directory=tmp_path,
            guarded=[("served", TABLE)],
        )
        pq.write_table(table("new"), tmp_path / "new.parquet")
        staged = warehouse.stage_table(TABLE, tmp_path / "new.parquet", "0123456789abcdef")
        record = Unchanged("served", "record", 1)
        with pytest.raises(ChangedError, match=r"served.record has 0 rows, it had 1"):
            warehouse.publish_staged(staged, "served", TABLE, unless_changed=record)
        warehouse.append_rows("served", "record", table("first decision"))
        assert warehouse.publish_staged(staged, "served", TABLE, unless_changed=record) == 1
        assert warehouse.publish_staged(staged, "served", TABLE, unless_changed=record) == 1
        (snapshot,) = warehouse.list_snapshots("served", TABLE)
        warehouse.append_rows("served", "record", table("second decision"))
        changed_since: list[Callable[[], object]] = [
            lambda: warehouse.publish_staged(staged, "served", TABLE, unless_changed=record),
            lambda: warehouse.restore_snapshot("served", TABLE, snapshot, unless_changed=record),
        ]
        for replace in changed_since:
            with pytest.raises(ChangedError, match=r"has 2 rows, it had 1"):
                replace()
        unguarded: list[Callable[[], object]] = [
            lambda: warehouse.publish_staged(staged, "served", TABLE),
            lambda: warehouse.restore_snapshot("served", TABLE, snapshot),
            lambda: warehouse.replace_table("served", TABLE, table("by hand")),
        ]
        for replace in unguarded:
            with pytest.raises(WarehouseError, match="by the publisher alone"):
                replace()
        assert warehouse.list_snapshots("served", TABLE) == [snapshot], "what is refused leaves no version"
        assert (
            warehouse.restore_snapshot("served", TABLE, snapshot, unless_changed=record._replace(rows=2)) == 1
        )

    def test_rows_are_counted_by_values(self, warehouse: DuckDBWarehouse) -> None:
        warehouse.replace_table(DATASET, TABLE, table("a", "b", "a"))
        assert warehouse.value_counts(DATASET, TABLE, ["email_lower"]) == {("a",): 2, ("b",): 1}
        with pytest.raises(WarehouseError, match="has not the columns"):
            warehouse.value_counts(DATASET, TABLE, ["arm"])
        with pytest.raises(WarehouseError, match="is not an identifier"):
            warehouse.value_counts(DATASET, TABLE, ["email_lower, 1"])

    def test_a_table_may_be_replaced_without_a_snapshot(self, warehouse: DuckDBWarehouse) -> None:
        assert warehouse.list_snapshots(DATASET, TABLE) == []
        for name in ("first", "second"):
            warehouse.replace_table(DATASET, TABLE, table(name), keep_snapshot=False)
        assert warehouse.list_snapshots(DATASET, TABLE) == []

    def test_a_snapshot_that_is_none_is_refused(self, warehouse: DuckDBWarehouse) -> None:
        warehouse.replace_table(DATASET, TABLE, table("now"))
        for name, reason in (
            ("other", "is not a snapshot of recommendations; expected recommendations_YYYYMMDDTHHMMSSmmm"),
            (f"{TABLE}_20260201T031500000", "does not exist"),
        ):
            with pytest.raises(WarehouseError, match=reason):
                warehouse.restore_snapshot(DATASET, TABLE, name)
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"email_lower": ["now"]}

    def test_failed_replacement_leaves_the_old_table(
        self, warehouse: DuckDBWarehouse, tmp_path: Path
    ) -> None:
        warehouse.replace_table(DATASET, TABLE, table("old"))
        broken = tmp_path / "broken.parquet"
        broken.write_bytes(b"no Parquet")
        with pytest.raises(WarehouseError):
            warehouse.replace_table(DATASET, TABLE, broken)
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"email_lower": ["old"]}

    def test_lock_of_another_process_is_waited_for(self, warehouse: DuckDBWarehouse, tmp_path: Path) -> None:
        warehouse.replace_table(DATASET, TABLE, table("old"))
        with holding(tmp_path / "warehouse.duckdb"):
            with pytest.raises(WarehouseError, match=r"cannot be opened after 0.5 s .*lock"):
                warehouse.replace_table(DATASET, TABLE, table("new"))
            with pytest.raises(WarehouseError, match="lock"):
                warehouse.read_table(DATASET, TABLE)
        assert warehouse.read_table(DATASET, TABLE).to_pydict() == {"email_lower": ["old"]}
        warehouse._lock_seconds = 20.0
        with holding(tmp_path / "warehouse.duckdb", seconds=0.5):
            assert warehouse.replace_table(DATASET, TABLE, table("new")) == 1

    def test_process_killed_while_it_writes_leaves_the_old_table_or_the_new_one(
        self, warehouse: DuckDBWarehouse, tmp_path: Path
    ) -> None:
        numbers = np.arange(400_000)
        texts = pa.array([f"row {number}" for number in numbers])
        old, new = (pa.table({"n": numbers + shift, "text": texts}) for shift in (0, 1))
        warehouse.replace_table(DATASET, TABLE, old)
        pq.write_table(new, tmp_path / "new.parquet")
        code = (
            "import sys\n"
            "from pathlib import Path\n"
            "from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse\n"
            "folder = Path(sys.argv[1])\n"
            "warehouse = DuckDBWarehouse(sources={}, assets={}, database=folder / 'warehouse.duckdb',\n"
            "    temporary_directory=folder / 'tmp')\n"
            "print('writing', flush=True)\n"
            f"warehouse.replace_table('{DATASET}', '{TABLE}', folder / 'new.parquet')\n"
        )
        killed = 0
        for delay in (0.0, 0.02, 0.05, 0.1, 0.2):
            with subprocess.Popen(
                [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, cwd=REPOSITORY
            ) as process:
                assert process.stdout is not None
                assert process.stdout.readline() == b"writing\n"
                time.sleep(delay)
                process.kill()
            killed += process.returncode == -signal.SIGKILL
            found = warehouse.read_table(DATASET, TABLE)
            assert found.equals(old) or found.equals(new)
        assert killed


class holding:  # noqa: N801 - reads as a verb
    """Another process that holds the database."""

    def __init__(self, database: Path, seconds: float = 60.0) -> None:
        code = (
            "import duckdb, sys, time\n"
            "connection = duckdb.connect(sys.argv[1])\n"
            "print('held', flush=True)\n"
            "time.sleep(float(sys.argv[2]))\n"
        )
        self.command = [sys.executable, "-c", code, str(database), str(seconds)]

    def __enter__(self) -> None:
        self.process = subprocess.Popen(self.command, stdout=subprocess.PIPE)
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"held\n"

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.communicate()
