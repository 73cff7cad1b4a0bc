"""The sensor on the source tables, in Dagster's own daemon on a moving clock."""

from __future__ import annotations

import datetime
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest
from automation.conftest import MONDAY, day
from automation.moving_clock import Daemon, daemon_at
from automation.stand_ins import definitions

from holley_assets.automation.deliveries import newest_delivery
from holley_assets.automation.upstream_sensor import read_cursor
from holley_assets.checks.source_watch import (
    ANSWERS,
    IS_THERE,
    ROWS_WHEN_WHOLE,
    judge_answers,
    judge_presence,
)
from holley_assets.core.event_log import newest_evaluation
from holley_assets.core.tags import (
    AS_OF_TAG,
)
from holley_assets.resources.source_looks import Look
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES, TableDescription

SENSOR = "upstream_sensor"
USERS = "ingestion_unified_attributes_schema_incremental"
EVENTS = "ingestion_unified_schema_incremental"
LOADED = MONDAY - datetime.timedelta(hours=1)


def path_of(exports: Path, table: str) -> Path:
    return exports / f"{table}.parquet"


def change(exports: Path, when: datetime.datetime, *tables: str) -> None:
    """The tables, or all of them, are loaded anew at ``when``."""
    for table in tables or SOURCE_TABLES:
        os.utime(path_of(exports, table), (when.timestamp(), when.timestamp()))


def keep_rows(exports: Path, when: datetime.datetime, table: str, share: float) -> None:
    rows = pq.read_table(path_of(exports, table))
    pq.write_table(rows.slice(0, int(share * rows.num_rows)), path_of(exports, table))
    change(exports, when, table)


def deliver(daemon: Daemon, job: str = "weekly_retrain") -> None:
    """Somebody delivers, as of today."""
    tags = {AS_OF_TAG: daemon.now.date().isoformat()}
    assert definitions.resolve_job_def(job).execute_in_process(instance=daemon.instance, tags=tags).success


def look(daemon: Daemon, when: datetime.datetime) -> str:
    return daemon.said_at(SENSOR, when)


def check_of(daemon: Daemon, table: str) -> dg.AssetCheckEvaluation:
    return evaluation_of(daemon, dg.AssetCheckKey(dg.AssetKey(table), IS_THERE))


def evaluation_of(daemon: Daemon, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation:
    latest = newest_evaluation(daemon.instance, check)
    assert latest is not None
    return latest.evaluation


def told(daemon: Daemon, table: str) -> int:
    """Materializations that the sensor reported of a table."""
    found = daemon.instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=dg.AssetKey(table)), 100)
    return sum(not record.run_id for record in found.records)


@pytest.fixture(scope="module")
def delivered_home(tiny_source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """History of an instance on which a first model was delivered, on Monday at midnight."""
    folder = tmp_path_factory.mktemp("delivered")
    shutil.copytree(tiny_source, folder / "exports")
    change(folder / "exports", LOADED)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HOLLEY_SOURCE_DIR", str(folder / "exports"))
        environment.setenv("HOLLEY_DATA_DIR", str(folder / "data"))
        with daemon_at(folder / "dagster", MONDAY) as daemon:
            deliver(daemon)
    return folder / "dagster"


@pytest.fixture
def watched(delivered_home: Path, exports: Path, tmp_path: Path) -> Iterator[Daemon]:
    """The sensor is on, and a first model was delivered from the tables as they are."""
    change(exports, LOADED)
    shutil.copytree(delivered_home, tmp_path / "dagster")
    with daemon_at(tmp_path / "dagster", MONDAY + datetime.timedelta(minutes=1)) as daemon:
        daemon.start(SENSOR)
        yield daemon


def test_it_waits_for_a_first_delivery(daemon: Daemon, exports: Path) -> None:
    change(exports, MONDAY)
    daemon.start(SENSOR)
    assert look(daemon, day(0, 1)) == "Nothing was ever delivered: waits for a first weekly_retrain"
    assert [told(daemon, table) for table in SOURCE_TABLES] == [1] * 7
    (event,) = daemon.instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=dg.AssetKey(EVENTS)), 5
    ).records
    metadata = event.asset_materialization.metadata  # type: ignore[union-attr]
    assert metadata["dagster/last_updated_timestamp"].value == MONDAY.timestamp()
    assert metadata["location"].value == str(path_of(exports, EVENTS))
    assert metadata["dagster/row_count"].value == pq.read_metadata(path_of(exports, EVENTS)).num_rows


def test_one_delivery_once_all_required_tables_changed(watched: Daemon, exports: Path) -> None:
    assert look(watched, day(0, 12)).startswith("0 of 2 changed since run ")
    assert told(watched, EVENTS) == 0, "the run that delivered has told of them"
    change(exports, day(1, 4), EVENTS, "import_items")
    assert look(watched, day(1, 5)).endswith(f"not {USERS}")
    assert (told(watched, EVENTS), told(watched, "import_items"), told(watched, USERS)) == (1, 1, 0)
    change(exports, day(1, 23.5), USERS)
    assert look(watched, day(1, 23.9)) == ""
    (run,) = watched.runs("daily_score")
    assert (run.status, run.tags[AS_OF_TAG]) == (dg.DagsterRunStatus.SUCCESS, "2026-02-03")
    look(watched, day(2, 8))
    assert look(watched, day(2, 9)).startswith("0 of 2 changed since run " + run.run_id[:8])
    assert len(watched.runs("daily_score")) == 1
    assert read_cursor(watched.cursor(SENSOR))[USERS].modified == day(1, 23.5)


def test_a_schedule_and_the_sensor_do_not_deliver_the_same_twice(watched: Daemon, exports: Path) -> None:
    watched.sleep_until(day(2, 1))
    watched.start("daily_score_schedule")
    change(exports, day(2, 1))
    assert look(watched, day(2, 2)) == ""
    watched.sleep_until(day(2, 5.01))
    watched.wake()
    assert watched.ticks("daily_score_schedule")[-1].skip_reason == "Already delivered as of 2026-02-04"
    # The other way round: what the schedule delivered at five is what the sensor finds.
    change(exports, day(4, 4.9))
    watched.sleep_until(day(4, 5.01))
    watched.wake()
    assert len(watched.runs("daily_score")) == 2
    assert look(watched, day(4, 12)).startswith("0 of 2 changed since")
    # Twice on a day only where the tables changed after the first, and not at once.
    change(exports, day(4, 12.5))
    assert look(watched, day(4, 13)) == ""
    change(exports, day(4, 14))
    assert "not before 2026-02-06 19:00 UTC" in look(watched, day(4, 14.5))
    assert look(watched, day(4, 19.2)) == ""
    assert [run.tags[AS_OF_TAG] for run in watched.runs("daily_score")] == ["2026-02-04"] + ["2026-02-06"] * 3


def test_never_two_at_once_and_a_failed_run_is_not_started_again(watched: Daemon, exports: Path) -> None:
    busy = watched.instance.create_run_for_job(
        definitions.resolve_job_def("weekly_retrain"), status=dg.DagsterRunStatus.STARTED
    )
    change(exports, day(1, 4))
    assert look(watched, day(1, 5)) == f"Run {busy.run_id[:8]} of weekly_retrain is still in progress"
    watched.instance.report_run_canceled(busy)
    path_of(exports, "import_items_tags").write_bytes(b"not Parquet")
    change(exports, day(1, 4), "import_items_tags")
    assert look(watched, day(1, 6)) == "", "a table that is not required does not hold a delivery up"
    (failed,) = watched.runs("daily_score")
    assert failed.is_failure
    assert look(watched, day(1, 7)) == (
        f"Run {failed.run_id[:8]} was started for exactly these tables: failure"
    )
    change(exports, day(1, 7.5), USERS, EVENTS)
    assert "not before 2026-02-03 12:00 UTC" in look(watched, day(1, 8)), "nor one failure after the other"
    assert look(watched, day(1, 12.1)) == ""


def test_a_table_that_is_gone_or_shrank_holds_deliveries_up_until_it_is_whole(
    watched: Daemon, exports: Path
) -> None:
    look(watched, day(0, 6))
    assert check_of(watched, "import_items").passed
    keep_rows(exports, day(0, 7), "import_items", 0.85)
    look(watched, day(0, 8))
    assert check_of(watched, "import_items").passed
    away = path_of(exports, "import_items").rename(exports / "away")
    change(exports, day(1, 4), USERS, EVENTS)
    held = "Nothing is delivered until they are whole again: import_items (missing)"
    assert look(watched, day(1, 5)) == held
    gone = check_of(watched, "import_items")
    assert (gone.passed, gone.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert str(gone.description).startswith("import_items: the table is missing; expected ")
    away.rename(path_of(exports, "import_items"))
    keep_rows(exports, day(1, 6), "import_items", 0.85)
    assert look(watched, day(1, 7)).endswith("import_items (shrunk)")
    shrunk = check_of(watched, "import_items")
    assert not shrunk.passed and "; at least 80% expected. Where that is right, reset" in str(
        shrunk.description
    )
    watched.restart()
    assert look(watched, day(1, 8)).endswith("import_items (shrunk)"), "the rows it had are not forgotten"
    assert watched.runs("daily_score") == []
    # A person says that it is right so.
    watched.reset_cursor(SENSOR)
    assert look(watched, day(1, 9)) == ""
    assert check_of(watched, "import_items").passed
    rows = pq.read_metadata(path_of(exports, "import_items")).num_rows
    delivery = newest_delivery(watched.instance)
    assert delivery is not None and delivery.sources["import_items"].rows == rows


def test_exactly_eighty_percent_are_enough() -> None:
    def judged(rows: int) -> bool:
        look = Look(TableDescription("somewhere", {}, rows, MONDAY))
        verdict = judge_presence("import_items", look, 100, None, 0.8)
        assert verdict is not None
        return verdict.passed

    assert [judged(rows) for rows in (79, 80, 100, 500)] == [False, True, True, True]
    empty = Look(TableDescription("somewhere", {}, 0, MONDAY))
    first = judge_presence("import_items", empty, None, 100, 0.8)
    assert first is not None and first.passed, "an empty table may be right: runs judge that"


@pytest.mark.parametrize(
    ("first", "looks", "compared"),
    [
        # What was delivered when, in rows, and what each look found.
        (100, [(100, 85), (100, 80)], [100, 100]),
        (100, [(None, 85), (None, 80)], [100, 100]),
        (100, [(100, 110), (100, 90)], [110, 100]),
        (100, [(100, 85), (85, 85), (85, 70)], [100, 85, 85]),
        # A person has reset the cursor: the rows of before do not come back.
        (None, [(100, 50), (100, 45), (45, 45)], [50, 50, 45]),
    ],
)
def test_rows_to_compare_with_sink_only_to_what_was_delivered(
    first: int | None, looks: list[tuple[int | None, int]], compared: list[int]
) -> None:
    found = []
    whole = first
    for delivered, rows in looks:
        look = Look(TableDescription("somewhere", {}, rows, MONDAY))
        verdict = judge_presence("import_items", look, whole, delivered, 0.8)
        assert verdict is not None and verdict.passed
        whole = int(verdict.metadata[ROWS_WHEN_WHOLE])
        found.append(whole)
    assert found == compared


def test_an_unreadable_table_is_asked_again(watched: Daemon, exports: Path) -> None:
    look(watched, day(0, 6))
    before = path_of(exports, USERS).read_bytes()
    path_of(exports, USERS).write_bytes(before[:1000])
    assert look(watched, day(1, 6)).startswith(
        f"Asked again at the next tick: 1 of 7 source tables do not answer ({USERS}): {USERS}: "
    )
    assert check_of(watched, USERS).passed, "nothing else changes"
    answers = evaluation_of(watched, ANSWERS)
    assert (answers.passed, answers.severity) == (False, dg.AssetCheckSeverity.WARN)
    path_of(exports, USERS).write_bytes(before)
    change(exports, day(1, 6), USERS, EVENTS)
    assert look(watched, day(1, 7)) == ""
    answers = evaluation_of(watched, ANSWERS)
    assert answers.passed


def test_one_silent_table_does_not_hide_that_later_nobody_answers() -> None:
    answer, none = Look(TableDescription("somewhere", {}, 100, MONDAY)), Look(problem="no answer")
    reasons = [
        judge_answers({table: none if table in silent else answer for table in SOURCE_TABLES}).reason
        for silent in ((), (USERS,), (EVENTS, USERS), SOURCE_TABLES)
    ]
    assert reasons[1] == f"unanswered: {USERS}" and reasons[3] == "unanswered: all"
    assert len(set(reasons)) == 4


def test_verdicts_are_recorded_when_they_change_and_once_a_day(watched: Daemon, exports: Path) -> None:
    for hour in (1, 12, 24):
        look(watched, day(0, hour))
    assert evaluations(watched, "import_items") == 1
    look(watched, day(1, 1.1))
    assert evaluations(watched, "import_items") == 2
    # The page of a check shows no evaluation that is older than what a run found of the table.
    deliver(watched, "daily_score")
    look(watched, day(1, 2))
    look(watched, day(1, 3))
    assert evaluations(watched, "import_items") == 3


def evaluations(daemon: Daemon, table: str) -> int:
    key = dg.AssetCheckKey(dg.AssetKey(table), IS_THERE)
    return len(daemon.instance.event_log_storage.get_asset_check_execution_history(key, limit=100))


@pytest.mark.parametrize("moment", ["RUN_IDS_RESERVED", "RUN_LAUNCHED"])
def test_a_tick_cut_short_delivers_once(watched: Daemon, exports: Path, moment: str) -> None:
    look(watched, day(0, 6))
    change(exports, day(1, 4))
    watched.sleep_until(day(1, 5))
    with pytest.raises(KeyboardInterrupt):
        watched.look_and_die(SENSOR, moment)
    watched.restart()
    watched.sleep_until(day(1, 6))
    watched.wake()
    look(watched, day(1, 7))
    (run,) = watched.runs("daily_score")
    assert run.is_success
    assert told(watched, EVENTS) == 1


def test_one_wrong_setting_ends_the_tick_in_one_line(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.start(SENSOR)
    monkeypatch.delenv("HOLLEY_SOURCE_DIR")
    assert look(daemon, day(0, 1)).startswith("HOLLEY_SOURCE_DIR is not set: ")
    monkeypatch.setenv("HOLLEY_WATCH_REQUIRED", "import_item")
    daemon.sleep_until(day(0, 2))
    daemon.wake()
    error = daemon.ticks(SENSOR)[-1].error
    assert error is not None and error.cause is not None
    assert error.cause.message.strip().endswith(
        "HOLLEY_WATCH_REQUIRED=import_item is not allowed; allowed: at least one of import_items, "
        "import_items_tags, import_orders, ingestion_unified_attributes_schema_incremental, "
        "ingestion_unified_schema_incremental, treatment_interaction, vehicle_product_fitment_data, "
        "separated by spaces"
    )


def test_a_cursor_that_it_did_not_write_is_one_line() -> None:
    assert read_cursor(None) == {}
    for cursor in ("yes", "[]", '{"import_items": 3}'):
        with pytest.raises(ValueError, match="the cursor of upstream_sensor is not what it wrote: reset it"):
            read_cursor(cursor)
