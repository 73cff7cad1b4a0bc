"""An address in any text column of any source table stays in the tables: no file, artifact, log or record names it.

The folders of the run have names that are patterns, and the part types those that a formula has.
"""

from __future__ import annotations

import contextlib
import copy
import datetime
import io
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from small_run import AS_OF, SMALL_RUN, FinishedRun, execute_job

from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.sample_data import generate_sample

# In every planted address and nowhere else, in whatever case.
TOKEN = "zqplanted"
USERS = 600
FORMULA = "Kit $_$ \\frac{"
# Columns that lead to one person, in the tables that are made of it.
PERSONAL = {"email_lower", "user_id", "buyer", "visitor"}
JUST_BEFORE = datetime.datetime(2026, 1, 31, tzinfo=datetime.UTC)


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where the texts of a row are."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from leaves(item, (*path, name))
    elif isinstance(value, list):
        for place, item in enumerate(value):
            yield from leaves(item, (*path, place))
    elif isinstance(value, str):
        yield path


def planted(table: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Copies of ``rows``, each with an address in the place of one of its texts."""
    found = []
    for row in rows:
        for number, path in enumerate(leaves(row)):
            changed = copy.deepcopy(row)
            where: Any = changed
            for step in path[:-1]:
                where = where[step]
            # Of equally late values the first by the alphabet counts.
            address = f"0.{TOKEN}.{table[:12]}.{number}@{TOKEN}.example.com"
            is_image = str(where[path[-1]]).startswith(("http", "//"))
            where[path[-1]] = f"https://images.example.com/{address}.jpg" if is_image else address
            # What a customer says last is what counts.
            if "update_timestamp" in changed:
                changed["update_timestamp"] = JUST_BEFORE
            found.append(changed)
    return found


def rows_to_copy(table: str, source: pa.Table) -> list[dict[str, Any]]:
    """Rows that hold every text there is: of each event one, of accounts one with a vehicle."""
    rows = source.slice(0, 3000).to_pylist()
    if "event_name" in source.column_names:
        by_name = {
            str(row["event_name"]).strip().lower(): row for row in reversed(rows) if row["event_properties"]
        }
        return list(by_name.values())
    if "user_properties" in source.column_names:
        named = [
            (row, {str(item["property_name"]).strip().lower() for item in row["user_properties"] or []})
            for row in rows
        ]
        return [
            next(row for row, names in named if wanted in names)
            for wanted in ("email", "v1_make", "v1_model")
        ]
    return [row for row in rows if all(value is not None for value in row.values())][:1]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinishedRun]:
    """A run on a small sample with what is planted; its output is all that it wrote to the console."""
    folder = tmp_path_factory.mktemp("planted")
    sample, home, data = folder / "sample", folder / "home", folder / "it's [data] 50% ü"
    source = folder / "order_date=2020-01-01" / "week[2]"
    source.mkdir(parents=True)
    home.mkdir()
    generate_sample(
        sample,
        users=USERS,
        kind="segment",
        seed=0,
        as_of=datetime.date.fromisoformat(AS_OF),
        intent_start=datetime.date(2025, 9, 1),
        test_days=30,
    )
    for table in SOURCE_TABLES:
        rows = pq.read_table(sample / f"{table}.parquet")
        added = planted(table, rows_to_copy(table, rows))
        assert added, table
        rows = pa.concat_tables([rows, pa.Table.from_pylist(added, schema=rows.schema)])
        if table == "import_items":
            rows = with_a_formula(rows)
        pq.write_table(rows, source / f"{table}.parquet")
    shutil.rmtree(sample)
    settings = {**SMALL_RUN, "HOLLEY_SOURCE_DIR": str(source), "HOLLEY_DATA_DIR": str(data)}
    console = io.StringIO()
    with (
        pytest.MonkeyPatch.context() as environment,
        contextlib.redirect_stderr(console),
        contextlib.redirect_stdout(console),
        dg.DagsterInstance.local_temp(str(home)) as instance,
    ):
        for name in [name for name in os.environ if name.startswith("HOLLEY_")]:
            environment.delenv(name)
        for name, value in {**settings, "HOLLEY_TRAINING_EPOCHS": "1"}.items():
            environment.setenv(name, value)
        result = execute_job(instance=instance)
    assert result.success, console.getvalue()[-6000:]
    yield FinishedRun(data, home, console.getvalue())


def with_a_formula(items: pa.Table) -> pa.Table:
    """The catalogue with its most frequent part type called like a formula."""
    types = items["PartType"]
    most = max(pc.value_counts(types.drop_null()).to_pylist(), key=lambda item: item["counts"])["values"]
    renamed = pc.if_else(pc.equal(types, most), FORMULA, types)
    return items.set_column(items.schema.get_field_index("PartType"), "PartType", renamed)


def contents(path: Path) -> bytes:
    """What a file says, also where its format packs it."""
    if path.suffix == ".parquet":
        return json.dumps(pq.ParquetFile(path).read().to_pylist(), default=str).encode()
    if path.suffix == ".db":
        with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as connection:
            return "\n".join(connection.iterdump()).encode(errors="replace")
    return path.read_bytes()


def test_no_file_outside_the_tables_holds_an_address(run: FinishedRun) -> None:
    tables = {run.data_dir / "assets", run.data_dir / "warehouse.duckdb", run.data_dir / "tmp"}
    files = [
        path
        for folder in (run.data_dir, run.home)
        for path in folder.rglob("*")
        if path.is_file() and not tables & {path, *path.parents}
    ]
    assert {"model.pt", "heterodata.pt", "eval_report.html", "mlflow.db", "run_summary.json"} <= {
        path.name for path in files
    }
    named = [str(path) for path in files if TOKEN.encode() in contents(path).lower()]
    assert named == []
    assert TOKEN not in run.output.lower()


def test_in_the_tables_addresses_stand_where_customers_are_named(run: FinishedRun) -> None:
    columns = {}
    for path in (run.data_dir / "assets").glob("*.parquet"):
        table = pq.ParquetFile(path).read()
        for name in table.column_names:
            if TOKEN in json.dumps(table[name].to_pylist(), default=str).lower():
                columns[f"{path.stem}.{name}"] = name
    assert "user_accounts.email_lower" in columns, "an e-mail is where it belongs"
    assert {place for place, name in columns.items() if name not in PERSONAL} == set()
    with duckdb.connect(str(run.data_dir / "warehouse.duckdb"), read_only=True) as connection:
        delivered = connection.execute("FROM temp_holley_gnn.recommendations").to_arrow_table()
    assert delivered.num_rows > USERS / 2
    others = delivered.drop_columns(["email_lower"]).to_pylist()
    assert TOKEN not in json.dumps(others, default=str).lower()


def test_the_report_shows_a_part_type_that_looks_like_a_formula(run: FinishedRun) -> None:
    report = json.loads((run.data_dir / "latest_eval_report.json").read_text(encoding="utf-8"))
    assert FORMULA in report["delivered"]["part_types"]
    page = (run.run_folder(report["run_id"]) / "eval_report.html").read_text(encoding="utf-8")
    assert "could not be drawn" not in page
    assert sorted(path.name for path in run.data_dir.parent.iterdir()) == sorted(
        ["home", run.data_dir.name, "order_date=2020-01-01"]
    ), "no other folder was written"
