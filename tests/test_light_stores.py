"""The lightened stores of Dagster hold what they are told, also where a folder is emptied and used again."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import dagster as dg
from light_stores import STORES
from sqlalchemy import text
from sqlalchemy.pool import NullPool


@dg.asset
def thing() -> None: ...


def history(home: Path) -> tuple[int, int]:
    """Runs, and materializations of the asset, that a home knows after one more run."""
    home.mkdir(exist_ok=True)
    with dg.DagsterInstance.local_temp(str(home)) as instance:
        assert dg.materialize([thing], instance=instance).success
        found = instance.fetch_materializations(thing.key, limit=10).records
        return instance.get_runs_count(), len(found)


def test_a_folder_that_is_emptied_starts_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert [history(home), history(home)] == [(1, 1), (2, 2)]
    shutil.copytree(home, tmp_path / "copy")
    shutil.rmtree(home)
    assert history(home) == (1, 1)
    assert history(tmp_path / "copy") == (3, 3)


def test_every_database_is_stamped_with_the_newest_migration(tmp_path: Path) -> None:
    history(tmp_path / "home")
    stamps = set()
    databases = list((tmp_path / "home").rglob("*.db"))
    for path in databases:
        with sqlite3.connect(path) as connection:
            stamps.add(connection.execute("SELECT version_num FROM alembic_version").fetchone())
    # Runs, schedules, the index of events, and the events of one run.
    assert len(databases) == 4
    assert len(stamps) == 1


def test_a_database_has_one_engine_that_keeps_no_connection(tmp_path: Path) -> None:
    addresses = [f"sqlite:///{tmp_path / name}.db" for name in ("a", "b")]
    for store in STORES:
        first, again = (store.create_engine(addresses[0], poolclass=NullPool) for _ in range(2))
        assert first is again
        assert first is not store.create_engine(addresses[1], poolclass=NullPool)
        assert isinstance(first.pool, NullPool)


def test_what_a_database_is_opened_with_is_kept_apart(tmp_path: Path) -> None:
    address = f"sqlite:///{tmp_path / 'a'}.db"
    create = STORES[0].create_engine
    plain, patient = (
        create(address, poolclass=NullPool, connect_args=given) for given in ({}, {"timeout": 30})
    )
    assert plain is not patient
    with patient.connect() as connection:
        assert connection.execute(text("PRAGMA busy_timeout")).scalar() == 30_000
        assert connection.execute(text("PRAGMA synchronous")).scalar() == 0, "off"
