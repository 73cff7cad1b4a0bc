"""BigQuery SQL to DuckDB SQL: SQLGlot, and the few rewrites that it misses.

The files under ``sql/`` are what BigQuery runs. Here the same text becomes what DuckDB runs, so that there
are never two copies of a query.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import NamedTuple

import sqlglot
from sqlglot import exp

from holley_assets.resources.warehouse.duckdb import googlesql
from holley_assets.resources.warehouse.sql_files import Query


class TranspileError(ValueError):
    """A query uses what has no equal in DuckDB."""


class DuckDBQuery(NamedTuple):
    """A query in DuckDB's dialect and what it needs to run."""

    functions: tuple[str, ...]
    """CREATE TEMPORARY FUNCTION statements."""
    select: str
    tables: frozenset[tuple[str, str]]
    """(dataset, table) of every table that is read."""
    columns: tuple[str, ...]
    """Names of the result's columns."""


@functools.cache
def to_duckdb(query: Query) -> DuckDBQuery:
    """Translate ``query``; parameters stay parameters (``@cutoff`` becomes ``$cutoff``)."""
    select = sqlglot.parse_one(query.select, read="bigquery")
    if not isinstance(select, exp.Query):
        raise TranspileError(f"a query must be one SELECT, this is {select.key.upper()}")
    functions = tuple(_generate(sqlglot.parse_one(function, read="bigquery")) for function in query.functions)
    translated = _generate(select)
    order = "\nORDER BY " + ", ".join(map(_order_term, query.order)) if query.order else ""
    return DuckDBQuery(
        functions=googlesql.called_macros(*functions, translated) + functions,
        select=translated + order,
        tables=frozenset((table.db, table.name) for table in select.find_all(exp.Table) if table.db),
        columns=tuple(select.named_selects),
    )


@functools.cache
def order_terms(query: Query, columns: tuple[str, ...]) -> str:
    """Terms of DuckDB's ORDER BY that put the rows of a query's result in the query's own order.

    What the query sorts by and does not select is left out; ties go by the other columns, so that equal rows
    alone may change places.

    Args:
        columns: of the result, nested ones left out.
    """
    ordered = [name for name in query.order if name in columns]
    return ", ".join(
        [*map(_order_term, ordered), *(f'"{column}"' for column in columns if column not in ordered)]
    )


def _order_term(column: str) -> str:
    # BigQuery puts NULL first.
    return f'"{column}" NULLS FIRST'


def _generate(tree: exp.Expr) -> str:
    return tree.transform(_rewrite).sql(dialect="duckdb")


def _rewrite(node: exp.Expr) -> exp.Expr:
    macro = googlesql.macro_call(node, _rewrite)
    if macro is not None:
        return macro
    for kind, rewrite in _REWRITES.items():
        if isinstance(node, kind):
            return rewrite(node)
    return node


def _refuse_safe(node: exp.SafeFunc) -> exp.Expr:
    # SQLGlot drops the SAFE, and an error would end the run.
    raise TranspileError(f"{node.sql(dialect='bigquery')}: SAFE. has no translation; use SAFE_CAST")


def _divide_whole(node: exp.IntDiv) -> exp.Expr:
    # DIV(a + b, c). SQLGlot writes a + b // c.
    return exp.IntDiv(
        this=exp.Paren(this=node.this.transform(_rewrite)),
        expression=exp.Paren(this=node.expression.transform(_rewrite)),
    )


def _fingerprint(node: exp.FarmFingerprint) -> exp.Expr:
    # FARM_FINGERPRINT(TO_JSON_STRING(value)) names a row by what it says. DuckDB hashes the value itself; the
    # two numbers differ, and no result holds them.
    (fingerprinted,) = node.expressions
    value = fingerprinted.this if isinstance(fingerprinted, exp.JSONFormat) else fingerprinted
    return exp.func("HASH", value.transform(_rewrite))


def _extract(node: exp.RegexpExtract) -> exp.Expr:
    # SQLGlot collects all matches to pick the first. DuckDB's own function answers '' where BigQuery answers
    # NULL; no pattern in sql/ captures an empty string.
    arguments = [node.this.transform(_rewrite), node.expression, node.args["group"]]
    match = exp.Anonymous(this="REGEXP_EXTRACT", expressions=arguments)
    return exp.func("NULLIF", match, exp.Literal.string(""))


def _count_if(node: exp.CountIf) -> exp.Expr:
    # DuckDB's COUNT_IF answers NULL, not 0, where its argument is NULL in every row.
    condition = exp.Where(this=node.this.transform(_rewrite))
    return exp.Filter(this=exp.Count(this=exp.Star()), expression=condition)


def _drop_types(node: exp.UserDefinedFunction) -> exp.Expr:
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


_REWRITES: dict[type[exp.Expr], Callable[..., exp.Expr]] = {
    exp.SafeFunc: _refuse_safe,
    exp.IntDiv: _divide_whole,
    exp.FarmFingerprint: _fingerprint,
    exp.RegexpExtract: _extract,
    exp.CountIf: _count_if,
    exp.Select: _stream_unnest,
    exp.UserDefinedFunction: _drop_types,
}
