"""Checks without a run: told when they begin to fail, once until they have passed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from webhook import Webhook

from holley_assets.automation import check_alerts
from holley_assets.automation.alert_sensor import alert_sensor
from holley_assets.automation.alerts import OUTBOX_KEY
from holley_assets.checks.standing import Verdict

ORDERS = dg.AssetSpec(["sources", "import_orders"])
LATE, SHRUNK = "arrives_in_time", "keeps_its_rows"


@dg.asset_check(asset=ORDERS.key, name=LATE)
def by_hand() -> dg.AssetCheckResult:
    tags = dg.AssetCheckExecutionContext.get().run.tags
    reason = tags.get("reason")
    metadata = {"reason": reason} if reason else None
    return dg.AssetCheckResult(passed="pass" in tags, description="9 days old", metadata=metadata)


by_hand_job = dg.Definitions(
    assets=[ORDERS],
    asset_checks=[by_hand],
    jobs=[dg.define_asset_job("by_hand", dg.AssetSelection.all_asset_checks())],
).resolve_job_def("by_hand")


class Told:
    """An instance on SQLite, and what is told of it."""

    def __init__(self, instance: dg.DagsterInstance, webhook: Webhook) -> None:
        self.instance = instance
        self._webhook = webhook

    def begin(self) -> None:
        """The first evaluation of the sensor ever."""
        self.instance.daemon_cursor_storage.set_cursor_values({OUTBOX_KEY: ""})
        assert self.look() == []

    def look(self) -> list[dict[str, Any]]:
        """What the next evaluation of the sensor tells."""
        alert_sensor(dg.build_sensor_context(instance=self.instance))
        told, self._webhook.received[:] = list(self._webhook.received), []
        return told

    def find(self, reason: str, passed: bool = False) -> None:
        """Report a verdict as the sensors of tables do."""
        found = Verdict(dg.AssetCheckKey(ORDERS.key, LATE), passed, reason, f"the table is {reason}")
        self.instance.report_runless_asset_event(found.evaluation())

    def evaluate(self, passed: bool, check: str = LATE, warn: bool = False) -> None:
        """Report an evaluation as a sensor does."""
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=ORDERS.key,
                check_name=check,
                passed=passed,
                metadata={},
                description=f"{check} is broken by ann@example.com",
                severity=dg.AssetCheckSeverity.WARN if warn else dg.AssetCheckSeverity.ERROR,
            )
        )

    def run_by_hand(self, passed: bool, reason: str = "") -> None:
        """Run the check as a person does in the user interface."""
        tags = {"reason": reason} | ({"pass": ""} if passed else {})
        by_hand_job.execute_in_process(instance=self.instance, tags=tags)


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


@pytest.fixture
def told(instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, webhook: Webhook) -> Told:
    monkeypatch.setenv("HOLLEY_ALERT_URLS", webhook.url)
    monkeypatch.setenv("HOLLEY_ALERT_UI_URL", "https://dagster.example.com")
    told = Told(instance, webhook)
    told.begin()
    return told


def test_a_check_is_told_when_it_begins_to_fail(told: Told) -> None:
    told.evaluate(passed=True)
    assert told.look() == []
    told.evaluate(passed=False)
    (message,) = told.look()
    assert (message["title"], message["type"]) == (
        "[error] sources/import_orders: arrives_in_time failed",
        "failure",
    )
    assert message["message"].splitlines()[:2] == [
        "ERROR: sources/import_orders: arrives_in_time: arrives_in_time is broken by (e-mail address)",
        "https://dagster.example.com/assets/sources/import_orders?view=checks",
    ]
    for _ in range(3):
        told.evaluate(passed=False)
        assert told.look() == []
    told.evaluate(passed=True)
    assert told.look() == []
    told.evaluate(passed=False)
    assert len(told.look()) == 1


def test_one_that_was_never_seen_and_one_that_failed_in_between_are_told(told: Told) -> None:
    told.evaluate(passed=False)
    assert len(told.look()) == 1
    for passed in (True, False, True):
        told.evaluate(passed=passed)
    assert len(told.look()) == 1


def test_another_reason_is_told_and_reasons_that_take_turns_are_not(told: Told) -> None:
    for reason in ("shrunk", "missing"):
        told.find(reason)
        (message,) = told.look()
        assert f"the table is {reason}" in message["message"]
    for reason in ("shrunk", "missing", "shrunk"):
        told.find(reason)
        assert told.look() == []
    told.run_by_hand(passed=False, reason="missing")
    assert told.look() == []
    told.run_by_hand(passed=False, reason="gone for good")
    assert len(told.look()) == 1, "nobody was told of this reason"
    told.find("whole", passed=True)
    told.find("shrunk")
    told.find("missing")
    (message,) = told.look()
    assert message["title"] == "[error] sources/import_orders: arrives_in_time failed"
    assert "shrunk" in message["message"] and "missing" in message["message"]


def test_checks_that_begin_to_fail_together_are_one_message(told: Told) -> None:
    told.evaluate(passed=False, warn=True)
    told.evaluate(passed=False, check=SHRUNK)
    (message,) = told.look()
    assert message["title"] == "[error] 2 checks failed"
    assert message["message"].count("https://") == 1
    told.evaluate(passed=True)
    assert told.look() == []
    told.evaluate(passed=False, warn=True)
    (message,) = told.look()
    assert message["type"] == "warning" and "keeps_its_rows" not in message["message"]


def test_the_past_is_not_told_and_what_still_fails_is(told: Told) -> None:
    told.evaluate(passed=False)
    told.begin()
    assert told.look() == []
    told.evaluate(passed=False)
    assert len(told.look()) == 1


def test_a_check_run_by_hand_is_told_once_whoever_sees_it_first(told: Told) -> None:
    told.evaluate(passed=False)
    told.run_by_hand(passed=False)
    (message,) = told.look()
    assert "by_hand" in message["title"], "seen together, the run tells"
    told.evaluate(passed=False)
    assert told.look() == []
    told.run_by_hand(passed=True)
    told.evaluate(passed=False)
    (message,) = told.look()
    assert "arrives_in_time failed" in message["title"], "it had passed in between"
    told.run_by_hand(passed=False)
    assert told.look() == [], "told already, and it has not passed since"


def test_none_is_passed_over_however_many_there_are(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check_alerts, "_PAGE", 3)
    told.evaluate(passed=False, check=SHRUNK)
    for _ in range(10):
        told.evaluate(passed=True)
    (message,) = told.look()
    assert "keeps_its_rows failed" in message["title"]
