"""BigQuery SQL to DuckDB SQL: SQLGlot, and the few rewrites that it misses.

The files under ``sql/`` are what BigQuery runs. Here the same text becomes what DuckDB runs, so that there
are never two copies of a query.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from holley_assets.resources.warehouse.sql_files import Query


class DuckDBQuery(NamedTuple):
    """A query in DuckDB's dialect and what it needs to run."""

    functions: tuple[str, ...]
    """CREATE TEMPORARY FUNCTION statements."""
    select: str
    tables: frozenset[tuple[str, str]]
    """(dataset, table) of every table that is read."""
    parameters: frozenset[str]
    """Names of the query's parameters, without the @."""


@functools.cache
def to_duckdb(query: Query) -> DuckDBQuery:
    """Translate ``query``; parameters stay parameters (``@cutoff`` becomes ``$cutoff``)."""
    select = sqlglot.parse_one(query.select, read="bigquery")
    return DuckDBQuery(
        functions=tuple(
            _generate(sqlglot.parse_one(function, read="bigquery")) for function in query.functions
        ),
        select=_generate(select),
        tables=frozenset((table.db, table.name) for table in select.find_all(exp.Table) if table.db),
        parameters=frozenset(parameter.name for parameter in select.find_all(exp.Parameter)),
    )


@functools.cache
def order_terms(query: Query, columns: tuple[str, ...]) -> str:
    """Terms of DuckDB's ORDER BY that put the rows of a query's result in the query's own order.

    What the query sorts by and does not select is left out; ties go by the other columns, so that equal rows
    alone may change places.

    Args:
        columns: of the result, nested ones left out.
    """
    order = sqlglot.parse_one(query.select, read="bigquery").args.get("order")
    ordered = {term.this.name: term for term in order.expressions} if order is not None else {}
    terms = [
        exp.Ordered(
            this=exp.column(name, quoted=True), desc=term.args["desc"], nulls_first=term.args["nulls_first"]
        ).sql(dialect="duckdb")
        for name, term in ordered.items()
        if name in columns
    ]
    return ", ".join(terms + [f'"{column}"' for column in columns if column not in ordered])


def _generate(tree: exp.Expr) -> str:
    return tree.transform(_rewrite).sql(dialect="duckdb")


def _rewrite(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.SafeFunc) and isinstance(node.this, exp.StrToDate):
        # SAFE.PARSE_DATE(format, text). SQLGlot drops the SAFE.
        parsed = exp.func("TRY_STRPTIME", node.this.this.transform(_rewrite), node.this.args["format"])
        return exp.cast(parsed, "DATE")
    if isinstance(node, exp.FarmFingerprint):
        # FARM_FINGERPRINT(TO_JSON_STRING(value)) names a row by what it says. DuckDB hashes the value itself;
        # the two numbers differ, and no result holds them.
        (fingerprinted,) = node.expressions
        value = fingerprinted.this if isinstance(fingerprinted, exp.JSONFormat) else fingerprinted
        return exp.func("HASH", value.transform(_rewrite))
    if isinstance(node, exp.RegexpExtract):
        # SQLGlot collects all matches to pick the first. DuckDB's own function answers '' where BigQuery
        # answers NULL; no pattern in sql/ captures an empty string.
        arguments = [node.this.transform(_rewrite), node.expression, node.args["group"]]
        match = exp.Anonymous(this="REGEXP_EXTRACT", expressions=arguments)
        return exp.func("NULLIF", match, exp.Literal.string(""))
    if isinstance(node, exp.CountIf):
        # DuckDB's COUNT_IF answers NULL, not 0, where its argument is NULL in every row.
        condition = exp.Where(this=node.this.transform(_rewrite))
        return exp.Filter(this=exp.Count(this=exp.Star()), expression=condition)
    if isinstance(node, exp.Select):
        return _stream_unnest(node)
    if isinstance(node, exp.UserDefinedFunction):
        # A DuckDB macro without types takes what its body takes: sums of INT64 are wider there.
        node.set("expressions", [parameter.this for parameter in node.expressions])
    return node


def _stream_unnest(select: exp.Select) -> exp.Select:
    """``FROM t JOIN UNNEST(t.array) AS element`` as an UNNEST in a select list, which DuckDB streams.

    As a join, most of its forms are planned as one that puts elements and rows together again by a row
    number, at many times the time and memory. In a LEFT JOIN an array without elements counts as one of a
    NULL.
    """
    joins = select.args.get("joins") or []
    if not joins or not isinstance(joins[0].this, exp.Unnest):
        return select
    join, source = joins[0], select.args["from_"].this
    (array,) = join.this.expressions
    (element,) = join.this.args["alias"].columns
    if join.side == "LEFT":
        array = exp.maybe_parse(f"IF(LEN({array}) > 0, {array}, [NULL])", dialect="duckdb")
    unnested = exp.select("*", exp.alias_(exp.Explode(this=array), element)).from_(source)
    select.set("from_", exp.From(this=unnested.subquery(source.alias_or_name)))
    select.set("joins", joins[1:])
    return select
