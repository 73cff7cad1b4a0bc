"""Source tables of a few hundred users, and a daemon on a clock that the test moves."""

from __future__ import annotations

import datetime
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from automation.moving_clock import Daemon, daemon_at

MONDAY = datetime.datetime(2026, 2, 2, tzinfo=datetime.UTC)


def day(number: int, hour: float = 0.0) -> datetime.datetime:
    """``number`` days and ``hour`` hours after the Monday on which every simulation starts."""
    return MONDAY + datetime.timedelta(days=number, hours=hour)


@pytest.fixture(scope="session")
def tiny_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The seven source tables, small."""
    from holley_assets.sample_data import generate_sample

    folder = tmp_path_factory.mktemp("tiny") / "source"
    generate_sample(
        folder,
        users=200,
        kind="segment",
        seed=0,
        as_of=MONDAY.date(),
        intent_start=datetime.date(2025, 9, 1),
        test_days=30,
    )
    return folder


@pytest.fixture
def exports(tiny_source: Path, run_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the source tables that runs and sensors read."""
    folder = tmp_path / "exports"
    shutil.copytree(tiny_source, folder)
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", str(folder))
    monkeypatch.delenv("HOLLEY_AS_OF")
    return folder


@pytest.fixture
def daemon(exports: Path, tmp_path: Path) -> Iterator[Daemon]:
    """A daemon over the stand-ins that has just been switched on, on a Monday at midnight."""
    with daemon_at(tmp_path / "dagster", MONDAY) as running:
        yield running
