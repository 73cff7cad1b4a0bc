"""A path is the name of one file: never a pattern, never a partition, whatever its folders are called."""

from __future__ import annotations

import os
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.checks.violations import open_tables
from holley_assets.resources.storage.interface import FolderStore
from holley_assets.resources.tracking.mlflow_store import open_client, sqlite_uri
from holley_assets.resources.warehouse.bigquery.reads import sort_parquet
from holley_assets.resources.warehouse.duckdb import warehouse as warehouse_module
from holley_assets.resources.warehouse.duckdb.files import PathError, exact_pattern, part_files
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SourceTableError
from holley_assets.resources.warehouse.sql_files import Query
from holley_assets.resources.warehouse_resource import source_path
from holley_assets.settings import SettingsError, TrackingSettings, load_settings

# Each beside a folder that it would match, or be, if it were read as a pattern or an address.
NAMES = {
    "week[2]": "week2",
    "a*b": "axb",
    "**": "any",
    "q?r": "qxr",
    "[!a]": "b",
    "p%20q": "p q",
    "it's": "its",
    'a "quoted" name': "a quoted name",
    "two\nlines": "twolines",
    "Überspaß 日本": "Uberspass",
    "{a,b}": "a",
    "#part;1": "#part",
    "~": "home",
    "ITEM=other": "plain",
    "back\\slash": "back",
}
ORDERS = ("ITEM", "SHIP_TO_EMAIL", "ORDER_DATE")
WITHOUT_QUESTION_MARK = [name for name in NAMES if "?" not in name]


def orders(*items: str) -> pa.Table:
    return pa.table({"ITEM": items, "SHIP_TO_EMAIL": items, "ORDER_DATE": items})


def write(path: Path, *items: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(orders(*items), path)
    return path


@pytest.fixture
def odd(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A folder with an odd name, beside one with the decoys."""
    name: str = request.param
    folder, decoy = tmp_path / name, tmp_path / NAMES[name]
    for file in ("import_orders.parquet", "import_orders1.parquet", "user_nodes.parquet"):
        write(decoy / file, "decoy")
    folder.mkdir(exist_ok=True)
    return folder


def warehouse_over(source: Path, data: Path) -> DuckDBWarehouse:
    return DuckDBWarehouse(
        sources={"import_orders": source_path(source, "import_orders")},
        assets={"user_nodes": data / "user_nodes.parquet"},
        database=data / "warehouse.duckdb",
        temporary_directory=data / "tmp",
        lock_seconds=0.5,
    )


def items_read(
    monkeypatch: pytest.MonkeyPatch, warehouse: DuckDBWarehouse, table: str, path: Path
) -> pa.Table:
    select = f"SELECT * FROM `{table}` ORDER BY ITEM"
    monkeypatch.setattr(warehouse_module, "read_query", lambda name, _: Query(name, (), select))
    warehouse.query_to_parquet("result", {}, path)
    return pq.ParquetFile(path).read()


@pytest.mark.parametrize("odd", NAMES, indirect=True)
@pytest.mark.parametrize("part", ["import_orders.parquet", "import_orders.parquet/part 1.parquet"])
def test_a_source_folder_is_read_as_it_is(
    monkeypatch: pytest.MonkeyPatch, odd: Path, tmp_path: Path, part: str
) -> None:
    write(odd / part, "mine")
    warehouse = warehouse_over(odd, tmp_path / "data")
    assert warehouse.describe_source("import_orders").rows == 1
    table = items_read(monkeypatch, warehouse, "data_company_1950.import_orders", tmp_path / "result.parquet")
    assert table.equals(orders("mine"))


def test_a_part_file_is_read_as_it_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "import_orders"
    for name in ("part[1]", "part1", "part*", "order_date=x", "ITEM=y", "50%"):
        write(folder / f"{name}.parquet", name)
    write(folder / "ITEM=z" / "part.parquet", "nested")
    table = items_read(
        monkeypatch,
        warehouse_over(tmp_path, tmp_path / "data"),
        "data_company_1950.import_orders",
        tmp_path / "result.parquet",
    )
    assert table.column_names == list(ORDERS)
    assert table["ITEM"].to_pylist() == [
        "50%",
        "ITEM=y",
        "nested",
        "order_date=x",
        "part*",
        "part1",
        "part[1]",
    ]


@pytest.mark.parametrize("odd", WITHOUT_QUESTION_MARK, indirect=True)
def test_a_data_folder_is_used_as_it_is(monkeypatch: pytest.MonkeyPatch, odd: Path, tmp_path: Path) -> None:
    """Assets, results, staged and output tables, and what spills; of the odd folder and no other."""
    source = tmp_path / "source"
    write(source / "import_orders.parquet", "mine")
    asset = write(odd / "user_nodes.parquet", "asset")
    warehouse = warehouse_over(source, odd)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.parquet")}
    result = odd / "result.parquet"
    assert items_read(monkeypatch, warehouse, "temp_holley_gnn.user_nodes", result).equals(orders("asset"))
    assert warehouse.replace_table("out", "first", asset) == 1
    staged = warehouse.stage_table("user_nodes", asset, "0" * 64)
    judged = warehouse.with_staged({"user_nodes": staged})
    assert items_read(monkeypatch, judged, "temp_holley_gnn.user_nodes", result).equals(orders("asset"))
    assert warehouse.publish_staged(staged, "out", "second") == 1
    for table in ("first", "second"):
        assert warehouse.read_table("out", table).equals(orders("asset"))
    with open_tables({"seen": result}) as connection:
        assert connection.execute("FROM seen").to_arrow_table().equals(orders("asset"))
    sort_parquet(write(odd / "unsorted.parquet", "b", "a"), odd / "sorted.parquet", "ITEM", odd / "tmp")
    assert pq.ParquetFile(odd / "sorted.parquet").read().equals(orders("a", "b"))
    assert {path: path.stat().st_mtime_ns for path in before} == before


@pytest.mark.parametrize("odd", WITHOUT_QUESTION_MARK, indirect=True)
def test_a_store_leaves_other_files_alone(odd: Path) -> None:
    store = FolderStore(odd)
    for key in ("assets/a[1].parquet", "assets/a1.parquet", "assets/*.parquet"):
        staged = store.staging_path(key)
        staged.write_text(key)
        left = staged.with_name(staged.name + "0")
        left.write_text("of a process that was killed")
        store.publish(staged, key)
        assert not left.exists()
    beside = odd / "assets" / ".a1.parquet.1"
    beside.write_text("of another file")
    staged = store.staging_path("assets/a[1].parquet")
    staged.write_text("again")
    store.publish(staged, "assets/a[1].parquet")
    assert beside.exists()
    assert store.keys("assets/") == ["assets/*.parquet", "assets/a1.parquet", "assets/a[1].parquet"]


@pytest.mark.parametrize("odd", WITHOUT_QUESTION_MARK, indirect=True)
def test_mlflow_keeps_its_store_in_the_data_folder(odd: Path, empty_mlflow_database: bytes) -> None:
    (odd / "mlflow.db").write_bytes(empty_mlflow_database)
    client = open_client(sqlite_uri(odd / "mlflow.db"), TrackingSettings())
    experiment = client.create_experiment("odd", (odd / "artifacts").as_uri())
    run = client.create_run(experiment).info.run_id
    file = odd / "note.txt"
    file.write_text("kept", encoding="utf-8")
    client.log_artifact(run, str(file))
    (kept,) = (odd / "artifacts").rglob("note.txt")
    assert kept.read_text(encoding="utf-8") == "kept"


def test_a_data_folder_that_duckdb_cannot_open_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """DuckDB ends the name of a database at a question mark, also behind a symbolic link."""
    real, link = tmp_path / "what?" / "data", tmp_path / "link"
    real.mkdir(parents=True)
    link.symlink_to(real)
    with pytest.raises(duckdb.Error), duckdb.connect(str(real / "x.duckdb")) as connection:
        connection.execute("CREATE TABLE t AS SELECT 1")
    for folder in (real, link, link / "below"):
        monkeypatch.setenv("HOLLEY_DATA_DIR", str(folder))
        with pytest.raises(
            SettingsError, match=r"HOLLEY_DATA_DIR=.* allowed: a folder without \? in its path"
        ):
            load_settings()


class TestSymbolicLinks:
    def test_parts_behind_links_are_read_once_each(self, tmp_path: Path) -> None:
        elsewhere = tmp_path / "elsewhere"
        first, second = write(elsewhere / "1.parquet", "1"), write(elsewhere / "days" / "2.parquet", "2")
        folder = tmp_path / "import_orders"
        folder.mkdir()
        (folder / "a.parquet").symlink_to(first)
        (folder / "latest.parquet").symlink_to(folder / "a.parquet")
        (folder / "days").symlink_to(second.parent)
        (folder / "newest").symlink_to(second.parent)
        (folder / "loop").symlink_to(folder)
        assert [os.path.realpath(part) for part in part_files(folder)] == [str(first), str(second)]

    def test_a_link_to_nothing_is_a_missing_part(self, tmp_path: Path) -> None:
        folder = tmp_path / "import_orders"
        write(folder / "1.parquet", "1")
        (folder / "2.parquet").symlink_to(tmp_path / "gone.parquet")
        with pytest.raises(SourceTableError, match=r"import_orders: .*2\.parquet cannot be read") as raised:
            warehouse_over(tmp_path, tmp_path / "data").describe_source("import_orders")
        assert "\n" not in str(raised.value)

    def test_a_table_may_be_a_link(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        source = tmp_path / "source"
        source.mkdir()
        (source / "import_orders.parquet").symlink_to(write(tmp_path / "x[1]" / "o.parquet", "linked"))
        table = items_read(
            monkeypatch,
            warehouse_over(source, tmp_path / "data"),
            "data_company_1950.import_orders",
            tmp_path / "result.parquet",
        )
        assert table.equals(orders("linked"))


def test_a_part_in_upper_case_is_no_part_lost(tmp_path: Path) -> None:
    write(tmp_path / "import_orders" / "1.parquet", "1")
    write(tmp_path / "import_orders" / "2.PARQUET", "2")
    assert warehouse_over(tmp_path, tmp_path / "data").describe_source("import_orders").rows == 2


@pytest.mark.parametrize("name", ["back\\slash [1]", b"\xff".decode("utf-8", "surrogateescape")])
def test_a_path_that_duckdb_cannot_be_told_of_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(PathError, match="rename it"):
        exact_pattern(tmp_path / name)
    part = write(tmp_path / "import_orders" / "part.parquet", "1")
    part.rename(part.with_name(f"{name}.parquet"))
    with pytest.raises(SourceTableError, match=r"import_orders: .* rename it") as raised:
        warehouse_over(tmp_path, tmp_path / "data").describe_source("import_orders")
    str(raised.value).encode()
