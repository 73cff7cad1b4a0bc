"""DuckDB's queries, each run once a process for the same rows: many tests need the same upstream tables."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.interface import QueryResult
from holley_assets.resources.warehouse.sql_files import read_query

# By query, parameters and the bytes of its inputs: the bytes of the file that it wrote, and its counts.
_ANSWERS: dict[tuple[object, ...], tuple[bytes, QueryResult]] = {}


class RememberingWarehouse(DuckDBWarehouse):
    """A query's answer depends on its text, its parameters and its tables alone: each is evaluated once.

    What fails is not remembered, nor is a table that consists of several files.
    """

    def query_to_parquet(self, name: str, parameters: Mapping[str, object], path: Path) -> QueryResult:
        """As the class above does."""
        read = read_query(name, self._datasets)
        query = to_duckdb(read)
        inputs = [self._input(dataset, table) for dataset, table in sorted(query.tables)]
        if not all(path is not None and path.is_file() for path in inputs):
            # Missing, or in several files.
            return super().query_to_parquet(name, parameters, path)
        values = [repr(parameters.get(parameter)) for parameter in sorted(read.parameters)]
        key = (query, *values, *(path.read_bytes() for path in inputs if path))
        if key not in _ANSWERS:
            result = super().query_to_parquet(name, parameters, path)
            _ANSWERS[key] = (path.read_bytes(), result)
            return result
        content, result = _ANSWERS[key]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return result._replace(path=path, dropped=dict(result.dropped))

    def _input(self, dataset: str, table: str) -> Path | None:
        files = self._assets if dataset == self._datasets.working else self._sources
        return files.get(table)
