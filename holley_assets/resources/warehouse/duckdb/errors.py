"""What DuckDB says of a failure, in one line, without the values that it quotes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import duckdb

from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.texts import for_log, without_values

# These come before any row is read: they name tables and columns, and no value.
_BEFORE_READING = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException)


@contextlib.contextmanager
def without_quoted_values(doing: str) -> Iterator[None]:
    """Turn what DuckDB raises into one line. Its own words and their trace may quote a customer's address.

    Args:
        doing: what is done, such as ``query fitment``.

    Raises:
        WarehouseError: whatever DuckDB could not do.
    """
    try:
        yield
    except duckdb.Error as error:
        words = str(error).split("LINE")[0] if isinstance(error, _BEFORE_READING) else None
        said = for_log(" ".join(words.split())) if words else without_values(str(error))
        raise WarehouseError(f"DuckDB: {doing} failed: {said}") from None
