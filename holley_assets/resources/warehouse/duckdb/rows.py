"""What statements that return one row return."""

from typing import Any

import duckdb


def only_row(statement: duckdb.DuckDBPyConnection) -> tuple[Any, ...]:
    """The row of a statement that was executed and always returns one, such as an aggregate over a table."""
    row = statement.fetchone()
    assert row is not None, "an aggregate, a COPY and the description of a table that is there return a row"
    return row


def count_rows(connection: duckdb.DuckDBPyConnection, relation: str) -> int:
    """Rows of ``relation``, a quoted name or an expression in SQL."""
    (rows,) = only_row(connection.execute(f"SELECT count(*) FROM {relation}"))
    return int(rows)
