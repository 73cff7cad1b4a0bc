"""The query files: what they may hold, and how they reach DuckDB."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp

from holley_assets.resources.warehouse import sql_files
from holley_assets.resources.warehouse.duckdb.transpile import TranspileError, to_duckdb
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import (
    SQL_FOLDER,
    Datasets,
    Query,
    QueryError,
    query_names,
    read_query,
    shared_functions,
)


@pytest.mark.parametrize("name", query_names())
def test_every_query_is_one_select_that_says_what_a_row_is(name: str) -> None:
    query = read_query(name)
    (statement,) = sqlglot.parse(query.select, read="bigquery")
    assert isinstance(statement, exp.Query)
    assert query.select.startswith("-- One row")
    assert "{" not in re.sub(r"--[^\n]*|r'[^']*'", "", query.select)


@pytest.mark.parametrize("name", query_names())
def test_every_query_reads_source_tables_from_their_dataset(name: str) -> None:
    datasets = Datasets()
    for dataset, table in to_duckdb(read_query(name)).tables:
        if dataset != datasets.working:
            assert dataset == getattr(datasets, SOURCE_TABLES[table].dataset)


def test_every_definition_is_found_and_can_be_created_in_order() -> None:
    definitions = shared_functions()
    text = "".join(path.read_text() for path in (SQL_FOLDER / "functions").glob("*.sql"))
    # The function on aliases is written from its table.
    assert definitions.keys() - {"make_alias"} == set(re.findall(r"CREATE TEMP FUNCTION (\w+)", text))
    query = to_duckdb(Query("all", tuple(definitions.values()), "SELECT 1"))
    with duckdb.connect() as connection:
        for function in query.functions:
            connection.execute(function)


def test_base_sku_is_written_once() -> None:
    files = [path for path in SQL_FOLDER.rglob("*.sql") if "[BRGP]" in path.read_text()]
    assert files == [SQL_FOLDER / "functions" / "normal_forms.sql"]


def test_functions_travel_with_the_functions_that_they_call(monkeypatch: pytest.MonkeyPatch) -> None:
    definitions = {
        "inner": "CREATE TEMP FUNCTION inner(value STRING) AS (\n  UPPER(value)\n);",
        "outer": "CREATE TEMP FUNCTION outer(value STRING) AS (\n  inner(value)\n);",
        "other": "CREATE TEMP FUNCTION other(value STRING) AS (\n  value\n);",
    }
    monkeypatch.setattr(sql_files, "shared_functions", lambda: definitions)
    called = sql_files.called_functions("SELECT outer(name), t.other FROM t -- not other(name)")
    assert called == (definitions["inner"], definitions["outer"])


def test_text_for_bigquery_is_functions_and_select_with_full_names() -> None:
    datasets = Datasets(company="my-project.company_1950", working="my-project.scratch")
    query = read_query("interaction_events", datasets)
    assert "`my-project.company_1950.ingestion_unified_schema_incremental`" in query.text
    assert "`my-project.scratch.user_accounts`" in query.text
    statements = sqlglot.parse(query.text, read="bigquery")
    assert [type(statement) for statement in statements[-2:]] == [exp.Create, exp.Select]


@pytest.mark.parametrize(
    "name", ["a b", "a`b", "a;DROP", "", "p.d.t.x", "My-Project.data", "project-1.da-ta", "../x"]
)
def test_only_dataset_names_go_into_a_query(name: str) -> None:
    with pytest.raises(QueryError, match="is not a dataset"):
        Datasets(company=name)


def test_unknown_query_and_placeholder_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QueryError, match=r"no query is named 'nothing'.*user_nodes"):
        read_query("nothing")
    path = tmp_path / "wrong.sql"
    path.write_text("SELECT * FROM `{somewhere}.t`")
    monkeypatch.setattr(sql_files, "_query_paths", lambda: {"wrong": path})
    with pytest.raises(QueryError, match=r"query wrong: \{somewhere\} is no dataset"):
        read_query("wrong")


def run_duckdb(select: str, rows: str = "SELECT 1 AS x") -> list[tuple[Any, ...]]:
    query = to_duckdb(Query("test", (), f"WITH t AS ({rows}) {select}"))
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        for function in query.functions:
            connection.execute(function)
        return connection.execute(query.select).fetchall()


def test_rewrites_mean_in_duckdb_what_they_mean_in_bigquery() -> None:
    assert run_duckdb("SELECT SAFE_CAST('NONE' AS DATE), REGEXP_EXTRACT('b', r'^a(.)')") == [(None, None)]
    assert run_duckdb("SELECT COUNTIF(x), COUNTIF(NOT x) FROM t", "SELECT CAST(NULL AS BOOL) AS x") == [
        (0, 0)
    ]
    fingerprint = "FARM_FINGERPRINT(TO_JSON_STRING(STRUCT(x)))"
    ((distinct,),) = run_duckdb(
        f"SELECT COUNT(DISTINCT {fingerprint}) FROM t", "SELECT 1 AS x UNION ALL SELECT 2"
    )
    assert distinct == 2


def test_left_join_unnest_keeps_rows_without_elements() -> None:
    rows = "SELECT 1 AS id, [1, 2] AS xs UNION ALL SELECT 2, [] UNION ALL SELECT 3, NULL"
    select = "SELECT t.id, x FROM t {join} UNNEST(t.xs) AS x ORDER BY t.id, x"
    assert run_duckdb(select.format(join="LEFT JOIN"), rows) == [(1, 1), (1, 2), (2, None), (3, None)]
    assert run_duckdb(select.format(join="CROSS JOIN"), rows) == [(1, 1), (1, 2)]


def test_unnesting_is_streamed() -> None:
    query = to_duckdb(Query("test", (), "SELECT t.id, x FROM d.t LEFT JOIN UNNEST(t.xs) AS x WHERE x > t.id"))
    with duckdb.connect() as connection:
        connection.execute("CREATE SCHEMA d")
        connection.execute("CREATE TABLE d.t AS SELECT 1 AS id, [1, 2] AS xs")
        ((_, plan),) = connection.execute(f"EXPLAIN {query.select}").fetchall()
    assert "UNNEST" in plan
    assert "JOIN" not in plan


def test_what_is_not_one_select_is_refused() -> None:
    with pytest.raises(TranspileError, match="a query must be one SELECT, this is DELETE"):
        to_duckdb(Query("rows", (), "DELETE FROM parts WHERE TRUE"))
