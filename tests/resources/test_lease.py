"""One run at a time: on a folder by a lock that dies with its process, on a dataset by tables."""

from __future__ import annotations

import datetime
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.resources.lease import FolderLease, Holder, Lease, LeaseError, hold, release
from holley_assets.resources.warehouse.bigquery import lease as bigquery_lease
from holley_assets.resources.warehouse.bigquery.client import open_client
from holley_assets.resources.warehouse.bigquery.lease import DatasetLease
from holley_assets.resources.warehouse.interface import WarehouseError

AN_HOUR_AGO = datetime.datetime.now(datetime.UTC) - datetime.timedelta(hours=1)
FIRST, SECOND = (
    Holder(run, job, "machine, process 1", AN_HOUR_AGO)
    for run, job in (("first-run", "weekly_retrain"), ("second-run", "daily_score"))
)

HOLDING = """
import sys, time
from pathlib import Path
from holley_assets.resources.lease import FolderLease, Holder
lease = FolderLease(Path(sys.argv[1]))
assert lease.acquire(Holder.here("other-run", "weekly_retrain")) is None
print("held", flush=True)
time.sleep(60)
"""


@contextmanager
def another_process_holds(folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def take(lease: Lease, holder: Holder, wait_seconds: float = 0.0) -> list[str]:
    return list(hold([lease], holder, wait_seconds))


def test_a_folder_is_one_process_s_until_it_dies_however_it_dies(tmp_path: Path) -> None:
    mine = FolderLease(tmp_path)
    with another_process_holds(tmp_path) as other:
        with pytest.raises(LeaseError) as refused:
            take(mine, FIRST)
        words = str(refused.value)
        assert "run other-ru of weekly_retrain" in words and f"process {other.pid}" in words
        assert "has held it for 0 minutes" in words and "HOLLEY_LEASE_WAIT_MINUTES" in words
        assert "\n" not in words
        other.kill()
        other.wait()
    assert take(mine, FIRST) == [], "what a dead process held is taken over at once"
    mine.release()
    assert take(FolderLease(tmp_path), SECOND) == []


def test_a_run_waits_up_to_the_set_time_and_says_for_whom(tmp_path: Path) -> None:
    mine = FolderLease(tmp_path)
    with another_process_holds(tmp_path) as other:
        waiting = hold([mine], FIRST, 20.0)
        assert "waiting up to" in next(waiting)
        other.kill()
        assert list(waiting) == []
    assert mine.acquire(FIRST) is None


def test_the_wait_ends(tmp_path: Path) -> None:
    with another_process_holds(tmp_path):
        started = time.monotonic()
        with pytest.raises(LeaseError, match=r"this run waited 0.005 minutes"):
            take(FolderLease(tmp_path), FIRST, 0.3)
        assert 0.3 <= time.monotonic() - started < 5


def test_a_step_that_outlived_its_run_writes_nothing(tmp_path: Path) -> None:
    orphan = FolderLease(tmp_path)
    orphan.require("first-run")
    with another_process_holds(tmp_path) as other:
        orphan.require("other-run")
        with pytest.raises(LeaseError, match=r"was taken over: run other-ru .*; run first-ru writes nothing"):
            orphan.require("first-run")
        other.kill()
        other.wait()
    orphan.require("first-run")


def test_what_was_taken_is_let_go_where_the_next_lease_is_another_s(tmp_path: Path) -> None:
    free, busy = tmp_path / "free", tmp_path / "busy"
    with another_process_holds(busy):
        with pytest.raises(LeaseError):
            list(hold([FolderLease(free), FolderLease(busy)], FIRST, 0.0))
        assert FolderLease(free).acquire(SECOND) is None


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(LeaseError, match=r"HOLLEY_DATA_DIR=.*file cannot be locked: Not a directory"):
        take(FolderLease(tmp_path / "file"), FIRST)


class TestDataset:
    @pytest.fixture
    def leases(
        self, bigquery_emulator: BigQueryEmulator, request: pytest.FixtureRequest
    ) -> list[DatasetLease]:
        """Two runs' leases on one dataset."""
        dataset = f"lease_{abs(hash(request.node.name))}"
        bigquery_emulator.create_datasets(dataset)
        settings = bigquery_emulator.settings(working_dataset=dataset)
        return [DatasetLease(open_client(settings), settings, expires_seconds=180) for _ in range(2)]

    def test_it_is_one_run_s_until_it_lets_go(self, leases: list[DatasetLease]) -> None:
        first, second = leases
        assert first.acquire(FIRST) is None
        assert second.acquire(SECOND) == FIRST
        with pytest.raises(LeaseError, match=r"run first-ru of weekly_retrain .* held it for [6-9]. minutes"):
            take(second, SECOND)
        first.require("first-run")
        with pytest.raises(LeaseError, match="was taken over"):
            second.require("second-run")
        release([first])
        assert second.acquire(SECOND) is None
        assert first.acquire(FIRST) == SECOND
        release([second])

    def test_a_holder_that_no_longer_renews_is_gone(
        self, leases: list[DatasetLease], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = leases
        assert first.acquire(FIRST) is None
        later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=181)
        monkeypatch.setattr(bigquery_lease, "_now", lambda: later)
        assert second.acquire(SECOND) is None
        monkeypatch.undo()
        with pytest.raises(LeaseError, match="was taken over"):
            first.require("first-run")
        with pytest.raises(WarehouseError, match="does not exist"):
            first.renew()
        assert first.acquire(FIRST) == SECOND
        release(leases)

    def test_a_renewal_keeps_it(self, leases: list[DatasetLease], monkeypatch: pytest.MonkeyPatch) -> None:
        first, second = leases
        assert first.acquire(FIRST) is None
        time.sleep(1.5)
        first.renew()
        almost = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=179)
        monkeypatch.setattr(bigquery_lease, "_now", lambda: almost)
        assert second.acquire(SECOND) == FIRST
        monkeypatch.undo()
        release(leases)

    def test_one_that_creates_its_table_too_late_gives_way(
        self, leases: list[DatasetLease], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        first, second = leases
        assert first.acquire(FIRST) is None
        release([first])
        assert first.acquire(FIRST) is None
        seen = iter([[], [1, 2]])
        monkeypatch.setattr(second, "_tables", lambda: next(seen))
        assert second.acquire(SECOND) == FIRST, "it saw no table when it looked"
        monkeypatch.undo()
        assert second.acquire(SECOND) == FIRST
        release([first])
