"""A PostgreSQL server, where one is installed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from deploy.postgres import PostgresServer, postgres_programs, running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """An empty PostgreSQL server."""
    programs = postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed here; Debian's package is called postgresql")
    with running_postgres(programs) as server:
        yield server
