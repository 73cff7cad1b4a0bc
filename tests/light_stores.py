"""Dagster's SQLite stores, without what they make anew each time: migrations that are read, engines of SQLAlchemy.

A store reads all of alembic's migrations for each database, and there is a database for each run; it makes an engine,
whose statements are all compiled again, for each event. What the databases hold is the same.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from types import ModuleType
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from sqlalchemy import Engine, event
from sqlalchemy.pool import NullPool

STORES = (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage)
# A test has two or three databases, and one more for each run.
_ENGINES_KEPT = 32


def lighten() -> None:
    """Let the stores of this process share what they read and make."""
    read = ScriptDirectory.from_config
    directories: dict[str | None, ScriptDirectory] = {}

    def read_once(config: Config) -> ScriptDirectory:
        location = config.get_main_option("script_location")
        if location not in directories:
            directories[location] = read(config)
        return directories[location]

    ScriptDirectory.from_config = staticmethod(read_once)  # type: ignore[method-assign]
    for store in STORES:
        _share_engines(store)
    event.listen(Engine, "connect", _leave_writing_to_the_system)


def _share_engines(store: ModuleType) -> None:
    """An engine for each database. It keeps no connection, so that files may be moved, copied and removed."""
    create = store.create_engine

    @lru_cache(_ENGINES_KEPT)
    def kept(address: str, options: tuple[tuple[str, Any], ...]) -> Engine:
        engine: Engine = create(address, poolclass=NullPool, connect_args=dict(options))
        return engine

    def shared(
        address: str, *, poolclass: type[NullPool], connect_args: dict[str, Any] | None = None
    ) -> Engine:
        assert poolclass is NullPool
        return kept(address, tuple(sorted((connect_args or {}).items())))

    store.create_engine = shared  # type: ignore[attr-defined]


def _leave_writing_to_the_system(connection: Any, _: object) -> None:
    """Dagster commits each of a run's 800 events. What a test writes need not outlive a power failure."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA synchronous = OFF")
