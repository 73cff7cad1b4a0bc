"""A failed run says last what failed, where, and what to do."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from holley_assets.automation import last_words
from holley_assets.automation.failure_reasons import reason, with_advice
from holley_assets.automation.leased_executor import leased
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.resources.warehouse.source_tables import SourceTableError


def failed_run(instance: dg.DagsterInstance, fail: Callable[[], None]) -> dg.DagsterRun:
    @dg.op
    def work() -> None:
        fail()

    @dg.job(name="weekly_retrain")
    def weekly_retrain() -> None:
        work()

    result = weekly_retrain.execute_in_process(instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def raising(error: Exception) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x.partial"),
            "OSError: [Errno 28] No space left on device: '/data/x.partial': free space there",
        ),
        (PermissionError(errno.EACCES, "Permission denied", "/data/assets"), "or set HOLLEY_DATA_DIR to a"),
        (MemoryError("Unable to allocate 3 GiB"), "lower HOLLEY_COMPUTE_STEPS_AT_ONCE"),
        (
            WarehouseError("DuckDB: query fitment failed: Out of Memory Error: failed"),
            "step work: DuckDB: query fitment failed: Out of Memory Error: failed: give the run more memory",
        ),
        (
            WarehouseError('DuckDB: query parts failed: Invalid Input Error: Failed to read file "(hidden)"'),
            "a file of these tables is damaged: export them again",
        ),
        (SourceTableError("import_orders: the table is missing; expected /x"), "sql/README.md says what"),
        (SourceTableError("import_orders: column ITEM is BOOL; expected STRING"), "export the table again"),
        (
            SourceTableError("import_items: column PartNumber is missing; expected STRING"),
            "set HOLLEY_SOURCE_DIR to the right folder",
        ),
        (KeyError("ann@example.com"), "(e-mail address)"),
        (ValueError("odd"), "weekly_retrain failed. ERROR: step work: ValueError: odd. Run "),
    ],
)
def test_a_step_that_fails_says_what_and_what_to_do(error: Exception, words: str) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        said = reason(instance, failed_run(instance, raising(error)))
    assert words in said
    assert "\n" not in said and "@" not in said and "dagster" not in said.lower()


def test_what_the_project_does_not_know_gets_no_advice() -> None:
    assert with_advice("import_orders: column ITEM is short") == "import_orders: column ITEM is short"
    assert with_advice("No space left on device.").startswith("No space left on device: free space")


def killed_job() -> dg.JobDefinition:
    @dg.op
    def work() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    @dg.job(name="weekly_retrain", executor_def=leased(dg.multiprocess_executor))
    def weekly_retrain() -> None:
        work()

    return weekly_retrain


def test_a_step_that_the_system_kills_speaks_of_memory_after_all_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path / "data"))
    (tmp_path / "home").mkdir()
    with dg.DagsterInstance.local_temp(str(tmp_path / "home")) as instance:
        result = dg.execute_job(dg.reconstructable(killed_job), instance, raise_on_error=False)
        assert not result.success
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        said = reason(instance, run)
    assert "step work: its process was terminated by signal 9 (SIGKILL): give the run more memory" in said
    capfd.readouterr()
    last_words.print_words()
    assert capfd.readouterr().err == said + "\n"
    last_words.print_words()
    assert capfd.readouterr().err == "", "it is said once"


@dg.asset
def table() -> None: ...


@dg.asset_check(asset=table)
def few_rows() -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=False, severity=dg.AssetCheckSeverity.WARN, description="2 rows")


@dg.asset(deps=[table])
def broken() -> None:
    raise dg.Failure("there is no part")


def test_errors_stand_before_warnings() -> None:
    definitions = dg.Definitions(assets=[table, broken], asset_checks=[few_rows])
    with dg.DagsterInstance.ephemeral() as instance:
        job = definitions.get_implicit_global_asset_job_def()
        result = job.execute_in_process(instance=instance, raise_on_error=False)
        run = instance.get_run_by_id(result.run_id)
        assert run is not None
        said = reason(instance, run)
    assert "failed. ERROR: step broken: there is no part. warning: table: few_rows: 2 rows. Run " in said
