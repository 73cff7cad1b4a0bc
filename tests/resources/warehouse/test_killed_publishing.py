"""A process that is killed while it publishes, at every single step, leaves the old table or the new one."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from bigquery_emulator import BigQueryEmulator

TESTS = Path(__file__).parents[2]
OLD, NEW = ["old"] * 3, ["new"] * 5


def killed_attempts(*arguments: str) -> list[dict[str, Any]]:
    finished = subprocess.run(
        [sys.executable, str(TESTS / "killed_publishing.py"), *arguments],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    return [json.loads(line) for line in finished.stdout.splitlines()]


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_old_or_new_whatever_step_is_the_last(
    engine: str, bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    arguments = [engine, str(tmp_path)]
    if engine == "bigquery":
        with bigquery_emulator.client() as client:
            client.create_dataset("killed")
        arguments += [bigquery_emulator.url, bigquery_emulator.project, "killed"]
    attempts = killed_attempts(*arguments)
    killed = [attempt for attempt in attempts if attempt["killed"]]
    assert len(killed) >= 5
    assert all(attempt["seen"] in (OLD, NEW) for attempt in attempts)
    assert killed[0]["seen"] == OLD
    assert attempts[-1] == {**attempts[-1], "killed": False, "seen": NEW}
    assert [attempt["seen"] for attempt in attempts] == sorted(
        (attempt["seen"] for attempt in attempts), reverse=True
    ), "once new, never old again"
    assert all(attempt["again"] == NEW for attempt in attempts), "a second try goes through"


@pytest.mark.parametrize("engine", ["duckdb", "bigquery"])
def test_exposures_are_logged_with_the_table_or_not_at_all(
    engine: str, bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    arguments = [f"logged-{engine}", str(tmp_path)]
    if engine == "bigquery":
        with bigquery_emulator.client() as client:
            client.create_dataset("killed_and_logged")
        arguments += [bigquery_emulator.url, bigquery_emulator.project, "killed_and_logged"]
    attempts = killed_attempts(*arguments)
    killed = [attempt for attempt in attempts if attempt["killed"]]
    assert len(killed) >= 5
    for attempt in attempts:
        (part,) = set(attempt["seen"])
        once = [[f"{user}@x.com", part] for user in range(3)]
        assert attempt["logged"] == once, "one row a user, of what the table shows"
        assert attempt["logged_again"] == [[user, "new"] for user, _ in once]
        assert attempt["again"] == ["new"] * 3
    assert killed[0]["seen"] == ["old"] * 3
    assert attempts[-1]["seen"] == ["new"] * 3
