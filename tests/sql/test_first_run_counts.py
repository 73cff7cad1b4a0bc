"""The query that sql/README.md advises for a first run counts what is lost at each join."""

from __future__ import annotations

import re
from pathlib import Path

import duckdb
import pytest

README = Path(__file__).parents[2] / "sql" / "README.md"
TABLES = {
    "user_nodes": "SELECT unnest(['UNKNOWN', 'CAMARO', 'NOVA', 'UNKNOWN', 'C10']) AS model",
    "fitment": "SELECT unnest(['A', 'A', 'B', 'X']) AS base_sku",
    "parts": "SELECT unnest(['A', 'A', 'B', 'C']) AS base_sku",
    "order_lines": "SELECT unnest(['A', 'C', 'C', 'X', 'X', 'Y']) AS base_sku",
}


def test_the_three_counts_of_a_first_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (query,) = re.findall(r"```sql\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.S)
    monkeypatch.chdir(tmp_path)
    with duckdb.connect() as connection:
        for name, rows in TABLES.items():
            connection.sql(rows).write_parquet(f"{name}.parquet")
        assert sorted(connection.sql(query).fetchall()) == [
            ("orders of unknown parts", 3, 6),
            ("parts that fit no vehicle", 1, 4),
            ("users whose vehicle no part fits", 2, 5),
        ]
