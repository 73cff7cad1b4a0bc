"""A week of the whole project, on a clock that the test moves: what runs, what customers get, and who is told what.

The definitions, the daemon's functions, the SQL, the model and the receiver of alerts are the real ones; only the
sample is small and every step runs in this process.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from automation.conftest import MONDAY, day
from automation.moving_clock import Daemon, daemon_at
from automation.project_in_process import definitions
from small_run import failure_of
from webhook import Webhook

from holley_assets.core.tags import AS_OF_TAG
from holley_assets.pipeline import delivery
from holley_assets.ranking.recommendations import wide_table
from holley_assets.resources.tracking.model_registry import open_model_registry
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import load_settings

PROJECT_IN_PROCESS = Path(__file__).parent / "project_in_process.py"
EVENTS = "ingestion_unified_schema_incremental"
CATALOGUE = "import_items"
ORDERS = "import_orders"
SETTINGS = {
    "HOLLEY_TRAINING_EPOCHS": "1",
    # Fewer would only add a warning to every run: the sample has some thirty test users.
    "HOLLEY_EVALUATION_MINIMUM_CLICKS": "20",
    "HOLLEY_SERVING_MODE": "full",
    # Longer than the table of events is allowed, so that one late table is one.
    "HOLLEY_WATCH_INGESTION_UNIFIED_ATTRIBUTES_SCHEMA_INCREMENTAL_DAYS": "4",
}


class Week:
    """The project, its upstream tables, its customers' table and its alerts."""

    def __init__(self, daemon: Daemon, exports: Path, webhook: Webhook) -> None:
        self.daemon = daemon
        self.exports = exports
        self.webhook = webhook
        self._told = 0

    def until(self, number: int, hour: float) -> None:
        """The daemon works every eight hours, and at the end."""
        self.daemon.work_until(day(number, hour), datetime.timedelta(hours=8))
        self.daemon.wake()

    def arrive(self, *tables: str) -> None:
        """Upstream writes tables anew."""
        now = self.daemon.now.timestamp()
        for table in tables:
            os.utime(self.exports / f"{table}.parquet", (now, now))

    def rewrite(self, table: str, change: Callable[[pa.Table], pa.Table]) -> bytes:
        """Upstream writes another table; what it was, for when it is whole again."""
        path = self.exports / f"{table}.parquet"
        before = path.read_bytes()
        pq.write_table(change(pq.read_table(path)), path)
        self.arrive(table)
        return before

    def restore(self, table: str, before: bytes) -> None:
        """Upstream writes the table as it was."""
        (self.exports / f"{table}.parquet").write_bytes(before)
        self.arrive(table)

    def execute(self, job: str, config: Mapping[str, Any]) -> dg.ExecuteInProcessResult:
        """A person launches a job of one step."""
        resolved = definitions.resolve_job_def(job)
        (op,) = resolved.nodes_in_topological_order
        return resolved.execute_in_process(
            run_config={"ops": {op.name: {"config": dict(config)}}},
            instance=self.daemon.instance,
            raise_on_error=False,
        )

    def days(self, job: str) -> list[tuple[str, str]]:
        """The day of each run of a job, and how it ended."""
        return [(run.tags[AS_OF_TAG][5:], run.status.value) for run in self.daemon.runs(job)]

    def told(self) -> list[str]:
        """Alerts that arrived since the last call, their title and what they say."""
        new = self.webhook.received[self._told :]
        self._told += len(new)
        said = [f"{alert['title']}\n{alert['message']}" for alert in new]
        print(*said, sep="\n\n")
        return said

    def served(self) -> pa.Table:
        """What the e-mail system reads."""
        return self._table("holley_serving", "email_recommendations")

    def delivered(self) -> pa.Table:
        """What the newest delivery staged."""
        return self._table("temp_holley_gnn", "recommendations")

    def champion(self) -> str:
        """Version of the champion."""
        champion = open_model_registry(load_settings()).champion()
        assert champion is not None
        return champion.model_version

    def _table(self, dataset: str, table: str) -> pa.Table:
        settings = load_settings()
        return WarehouseResource().open(settings, settings.run.data_dir).read_table(dataset, table)


def models(table: pa.Table) -> set[str]:
    return set(table["model_version"].to_pylist())


@pytest.fixture
def week(
    run_settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> Iterator[Week]:
    from holley_assets.sample_data import generate_sample

    exports = tmp_path / "exports"
    generate_sample(
        exports,
        users=400,
        kind="segment",
        seed=1,
        as_of=MONDAY.date() + datetime.timedelta(days=10),
        intent_start=datetime.date(2025, 9, 1),
        # Clicks of the thirty days before either retrain.
        test_days=40,
    )
    monkeypatch.delenv("HOLLEY_AS_OF")
    for name, value in {
        **SETTINGS,
        "HOLLEY_SOURCE_DIR": str(exports),
        "HOLLEY_ALERT_URLS": webhook.url,
        "HOLLEY_ALERT_UI_URL": "https://dagster.example.com",
    }.items():
        monkeypatch.setenv(name, value)
    with daemon_at(tmp_path / "dagster", MONDAY, stand_ins=PROJECT_IN_PROCESS) as daemon:
        simulated = Week(daemon, exports, webhook)
        simulated.arrive(*SOURCE_TABLES)
        daemon.start("weekly_retrain_schedule", "daily_score_schedule", "upstream_sensor", "freshness_sensor")
        daemon.wake()
        yield simulated


def test_a_week(week: Week, monkeypatch: pytest.MonkeyPatch) -> None:
    # Monday: the first retrain, the first champion, the first delivery to customers.
    week.until(0, 3.1)
    assert week.days("weekly_retrain") == [("02-02", "SUCCESS")]
    assert week.execute("promote", {"by": "ada", "reason": "the first one", "force": True}).success
    first = week.champion()
    week.until(0, 5.1)
    assert week.days("daily_score") == [("02-02", "SUCCESS")]
    assert models(week.served()) == {first}
    assert week.told() == []

    # Tuesday: all tables but the events are new. Wednesday: somebody is told, the schedule delivers what there is,
    # and when everything has come the sensor delivers once more.
    week.until(1, 2)
    week.arrive(*(table for table in SOURCE_TABLES if table != EVENTS))
    week.until(1, 22)
    assert week.told() == []
    week.until(2, 12)
    (late,) = week.told()
    assert EVENTS in late and "table_is_fresh" in late
    assert week.days("daily_score")[1:] == [("02-04", "SUCCESS")]
    week.arrive(*SOURCE_TABLES)
    week.until(3, 22)
    assert week.days("daily_score")[2:] == [("02-04", "SUCCESS")]

    week.until(4, 2)
    week.arrive(EVENTS)

    # Friday: a rule is broken. Nothing is written, and the alert has the check's words.
    served, delivered = week.served(), week.delivered()
    with monkeypatch.context() as patch:
        patch.setattr(delivery, "wide_table", too_cheap)
        week.until(4, 12)
    assert week.days("daily_score")[3:] == [("02-06", "FAILURE")]
    (broken,) = week.told()
    assert "daily_score failed" in broken and "every_price_reaches_the_minimum" in broken
    assert "step recommendation_checks" not in broken, "the check has said it"
    assert week.served().equals(served) and week.delivered().equals(delivered)

    # Saturday: orders come by half. Nothing is delivered until they are whole again.
    week.until(5, 2)
    orders = week.rewrite(ORDERS, lambda table: table.slice(0, table.num_rows // 2))
    week.arrive(*SOURCE_TABLES)
    week.until(5, 12)
    (shrunk,) = week.told()
    assert ORDERS in shrunk and "shrank" in shrunk
    assert week.days("daily_score")[4:] == []
    week.restore(ORDERS, orders)
    week.until(5, 22)
    assert week.days("daily_score")[4:] == [("02-07", "SUCCESS")]
    week.until(6, 2)
    week.arrive(EVENTS)
    week.until(6, 22)
    assert week.days("daily_score")[5:] == [("02-08", "SUCCESS")]
    served = week.served()

    # Monday: the catalogue names all part types anew. The retrain is green, and not promoted.
    week.until(7, 2.9)
    catalogue = week.rewrite(CATALOGUE, with_other_part_types)
    week.arrive(*SOURCE_TABLES)
    week.until(7, 3.1)
    week.restore(CATALOGUE, catalogue)
    assert week.days("weekly_retrain") == [("02-02", "SUCCESS"), ("02-09", "SUCCESS")]
    (bad,) = week.told()
    assert "no_worse_than_the_previous_run: part_type_change is " in bad
    refused = week.execute("promote", {"by": "bob", "reason": "it is new"})
    assert "no_worse_than_the_previous_run" in failure_of(refused, "promote_model")
    assert week.champion() == first and week.served().equals(served)
    week.until(7, 12)
    (said,) = week.told()
    assert "promote failed" in said and "The champion stays" in said

    # Bob will not listen; on Tuesday customers get the bad model, and Ada goes back.
    assert week.execute("promote", {"by": "bob", "reason": "trust me", "force": True}).success
    second = week.champion()
    week.until(8, 12)
    assert models(week.served()) == {second} != {first}
    assert week.execute("rollback", {"by": "ada", "reason": "complaints"}).success
    assert week.champion() == first
    assert week.served().equals(served) and models(week.delivered()) == {first}
    week.until(8, 22)
    assert week.told() == []
    assert len(week.webhook.received) == 5
    assert not any("@" in alert["message"] for alert in week.webhook.received)


def too_cheap(*args: Any, **kwargs: Any) -> tuple[pa.Table, dict[str, int]]:
    """The staged table of a careless engineer."""
    table, dropped = _honest(*args, **kwargs)
    place = table.schema.get_field_index("rec1_price")
    return table.set_column(place, "rec1_price", pa.array(np.full(table.num_rows, 49.99))), dropped


_honest = wide_table


def with_other_part_types(table: pa.Table) -> pa.Table:
    """A catalogue whose types bear other names."""
    place = table.schema.get_field_index("PartType")
    renamed = pc.binary_join_element_wise(table["PartType"], "2026", " ")
    return table.set_column(place, table.schema.field(place), renamed)
