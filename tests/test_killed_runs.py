"""A run that is killed at a random moment leaves the old table or the new one, the switch as it was, and no trouble."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
from promotion import promote_version
from small_run import FinishedRun

TESTS = Path(__file__).parent
KILLS = 10


def test_old_or_new_wherever_the_kill_came(continued_run: tuple[FinishedRun, dg.DagsterInstance]) -> None:
    run, _ = continued_run
    promote_version(run.table("trained_checkpoint")["model_version"][0].as_py())
    folders = ["--data", str(run.data_dir), "--home", str(run.home)]
    finished = subprocess.run(
        [sys.executable, str(TESTS / "killed_runs.py"), *folders, "--kills", str(KILLS), "--seed", "1"],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr[-3000:]
    attempts = [json.loads(line) for line in finished.stdout.splitlines()]
    assert len(attempts) == KILLS
    killed = [attempt for attempt in attempts if attempt["killed"]]
    assert len(killed) >= KILLS // 2
    assert any(str(attempt["at"]).startswith("statement") for attempt in killed)
    assert {attempt["seen"] for attempt in attempts} <= {"old", "new"}
    assert {attempt["switch"] for attempt in attempts} == {"as it was"}
    assert all(attempt["again"] for attempt in attempts), "the next run ends well without help"
