"""Errors of schedules and sensors, as Dagster's own daemon keeps them: each told once until it goes well again."""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from automation.failing_stand_ins import FOLDER
from automation.moving_clock import Daemon, daemon_at
from webhook import Webhook

from holley_assets.automation.alert_sensor import alert_sensor
from holley_assets.automation.alerts import OUTBOX_KEY

STAND_INS = Path(__file__).parent / "failing_stand_ins.py"
START = datetime.datetime(2026, 2, 2, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)
MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    folder = tmp_path_factory.mktemp("failing")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER, str(folder))
        with daemon_at(folder / "dagster", START, stand_ins=STAND_INS) as daemon:
            yield daemon


@pytest.fixture
def ask(failing: Daemon) -> Iterator[Callable[[str, str | None], None]]:
    """Makes the sensor or the schedule of this name fail with these words, or go well."""
    folder = Path(os.environ[FOLDER])

    def fail(name: str, words: str | None) -> None:
        if words is None:
            (folder / name).unlink(missing_ok=True)
        else:
            (folder / name).write_text(words)

    yield fail
    for name in ("watching", "hourly"):
        fail(name, None)


@pytest.fixture
def tell(
    failing: Daemon, monkeypatch: pytest.MonkeyPatch, webhook: Webhook
) -> Callable[[], list[dict[str, Any]]]:
    """What is told while the daemon works for three minutes; all has gone well until now."""
    monkeypatch.setenv("HOLLEY_ALERT_URLS", webhook.url)
    monkeypatch.setenv("HOLLEY_ALERT_UI_URL", "https://dagster.example.com")

    def work() -> list[dict[str, Any]]:
        failing.work_until(failing.now + 3 * MINUTE, MINUTE)
        told, webhook.received[:] = list(webhook.received), []
        return told

    assert work() == []
    return work


def kept(daemon: Daemon) -> str:
    """The outbox."""
    return daemon.instance.daemon_cursor_storage.get_cursor_values({OUTBOX_KEY})[OUTBOX_KEY]


def test_an_error_of_a_sensor_is_told_once_until_it_goes_well(
    failing: Daemon, tell: Callable[[], list[dict[str, Any]]], ask: Callable[[str, str | None], None]
) -> None:
    ask("watching", "no answer of bob@example.com after 31 seconds\nsecond line")
    (message,) = tell()
    assert (message["title"], message["type"]) == ("[error] sensor watching failed", "failure")
    assert message["message"].splitlines()[:2] == [
        "ERROR: sensor watching: ValueError: no answer of (e-mail address) after 31 seconds",
        "https://dagster.example.com/locations/%3C%3Cin_process%3E%3E/sensors/watching",
    ]
    ask("watching", "no answer of ann.b@example.com after 47 seconds")
    assert tell() == [], "the same error, some seconds later"
    assert "@" not in kept(failing)
    ask("watching", "permission denied")
    assert len(tell()) == 1
    ask("watching", None)
    assert tell() == []
    ask("watching", "permission denied")
    assert len(tell()) == 1


def test_a_schedule_and_a_sensor_are_told_and_a_tick_made_up_for_though_it_was_due_long_ago(
    failing: Daemon, tell: Callable[[], list[dict[str, Any]]], ask: Callable[[str, str | None], None]
) -> None:
    for name in ("watching", "hourly"):
        ask(name, "the same cause")
    failing.sleep_until(START + 9.9 * HOUR)
    failing.restart()
    lines = [line for message in tell() for line in message["message"].splitlines() if "ERROR" in line]
    assert sorted(lines) == [
        f"ERROR: {what}: ValueError: the same cause" for what in ("schedule hourly", "sensor watching")
    ]
    failing.sleep_until(START + 10.1 * HOUR)
    assert tell() == [], "the next hour, the same error"


def test_an_outbox_that_knows_of_no_ticks_tells_none_that_were_over(
    failing: Daemon, tell: Callable[[], list[dict[str, Any]]], ask: Callable[[str, str | None], None]
) -> None:
    ask("watching", "of the past")
    assert len(tell()) == 1
    ask("watching", None)
    failing.work_until(failing.now + 12 * MINUTE, 3 * MINUTE)
    older = json.loads(kept(failing))
    # One of before there were checksums and notes of ticks.
    del older["ticks"], older["sha256"]
    failing.instance.daemon_cursor_storage.set_cursor_values({OUTBOX_KEY: json.dumps(older)})
    ask("watching", "of today")
    (message,) = tell()
    assert "of today" in message["message"] and "of the past" not in message["message"]


def test_the_alert_sensor_tells_its_own_error_once(
    failing: Daemon,
    tell: Callable[[], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    webhook: Webhook,
) -> None:
    for expected in (1, 0, 0):
        monkeypatch.setenv("HOLLEY_ALERT_URLS", "nosuch://token")
        assert tell() == []
        assert failing.ticks(alert_sensor.name)[-1].error is not None
        monkeypatch.setenv("HOLLEY_ALERT_URLS", webhook.url)
        told = tell()
        assert len(told) == expected
        assert all("address # " not in message["message"] and "token" not in str(message) for message in told)
