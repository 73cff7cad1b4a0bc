"""What a query costs in the cloud and not here: BigQuery computes a CTE as often as it is read."""

from __future__ import annotations

import functools

import pytest
import sqlglot
from sqlglot import exp

from holley_assets.resources.warehouse.sql_files import Query, query_names, read_query

MAXIMUM_SCANS = 40


def expanded_scans(text: str) -> int:
    """How many times a SELECT reads a table, with every CTE put in the place of each of its names."""
    select = sqlglot.parse_one(text, read="bigquery")
    definitions = {cte.alias: cte.this for cte in select.find_all(exp.CTE)}

    @functools.cache
    def scans(name: str) -> int:
        return count(definitions[name]) if name in definitions else 1

    def count(tree: exp.Expr) -> int:
        tables = (
            table for table in tree.find_all(exp.Table) if table.find_ancestor(exp.CTE) in (None, tree.parent)
        )
        return sum(1 if table.db else scans(table.name) for table in tables)

    return count(select)


def faults(query: Query) -> list[str]:
    """What would be slow, dear or impossible for ``query`` in the cloud."""
    select = sqlglot.parse_one(query.select, read="bigquery")
    found = []
    if (scans := expanded_scans(query.select)) > MAXIMUM_SCANS:
        found.append(f"{scans} scans")
    if select.args.get("order"):
        found.append("ORDER BY over the whole result, on one worker")
    windows = select.find_all(exp.Window)
    if any(isinstance(each.this, exp.DenseRank) and not each.args.get("partition_by") for each in windows):
        found.append("a rank over all rows, on one worker")
    sides = (side.unnest() for either in select.find_all(exp.Or) for side in (either.left, either.right))
    if any(isinstance(side, exp.Is) and isinstance(side.this, exp.Parameter) for side in sides):
        found.append("a filter that holds for every partition where a parameter is NULL")
    return found


@pytest.mark.parametrize("name", query_names())
def test_no_query_costs_more_than_it_may(name: str) -> None:
    assert faults(read_query(name)) == []


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("SELECT a FROM `d.t` ORDER BY a DESC", "ORDER BY"),
        ("SELECT DENSE_RANK() OVER (ORDER BY a) AS a FROM `d.t`", "rank"),
        ("SELECT a FROM `d.t` WHERE @since IS NULL OR a > @since", "filter"),
        ("SELECT a FROM `d.t` WHERE (a > @since OR (@since IS NULL))", "filter"),
    ],
)
def test_each_fault_is_found(text: str, fault: str) -> None:
    (found,) = faults(Query("test", (), text))
    assert fault in found


def test_a_cte_counts_as_often_as_it_is_read() -> None:
    once = "WITH a AS (SELECT x FROM `d.t`), b AS (SELECT x FROM a JOIN a AS other USING (x)) SELECT x FROM b"
    assert expanded_scans(once) == 2
    assert expanded_scans(f"{once} JOIN b AS c USING (x)") == 4
    assert expanded_scans("SELECT x FROM `d.t` WHERE x IN (SELECT x FROM `d.s`)") == 2
