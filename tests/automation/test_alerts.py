"""Nothing is lost, nothing is told twice, and nobody's address is told at all."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from webhook import Webhook

from holley_assets.automation import alerts
from holley_assets.automation.alerts import (
    OUTBOX_KEY,
    Alert,
    Outbox,
    Sender,
    Severity,
    Waiting,
    apprise_receivers,
    deliver,
    load_outbox,
    save_outbox,
)

ALERT = Alert(
    Severity.ERROR, "weekly_retrain failed", "3 slots do not fit, e.g. Ann@Example.com", "run 1", "1"
)


def taking(taken: list[str], answer: bool = True) -> Sender:
    """A receiver that notes whom it was told of, and says whether it took the alert."""

    def take(alert: Alert) -> bool:
        taken.append(alert.key)
        return answer

    return take


class Storage:
    """Cursor values as Dagster keeps them."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get_cursor_values(self, keys: set[str]) -> dict[str, str]:
        return {key: self.values[key] for key in keys & self.values.keys()}

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None:
        self.values |= pairs


def test_an_alert_arrives_once_with_its_severity_and_without_addresses(webhook: Webhook) -> None:
    outbox = Outbox(cursor=0.0)
    outbox.put(ALERT, 0.0)
    outbox.put(ALERT, 1.0)
    receivers, wrong = apprise_receivers([webhook.url])
    assert wrong == []
    assert deliver(outbox, receivers, lambda: None, 1.0) == (1, 0)
    assert deliver(outbox, receivers, lambda: None, 2.0) == (0, 0)
    (message,) = webhook.received
    assert message["title"] == "[error] weekly_retrain failed"
    assert message["type"] == "failure"
    assert message["message"].startswith("3 slots do not fit, e.g. (e-mail address)")
    assert ALERT.number in message["message"]


def test_what_a_receiver_did_not_take_is_tried_again_and_others_are_not_told_twice(webhook: Webhook) -> None:
    taken: list[str] = []
    outbox = Outbox(cursor=0.0)
    outbox.put(ALERT, 0.0)
    receivers = {"first": taking(taken), **apprise_receivers([webhook.url])[0]}
    webhook.status = 500
    assert deliver(outbox, receivers, lambda: None, 0.0) == (0, 1)
    assert deliver(outbox, receivers, lambda: None, 29.0) == (0, 1), "not before its time"
    webhook.status = 200
    assert deliver(outbox, receivers, lambda: None, 31.0) == (1, 0)
    assert len(taken) == len(webhook.received) == 1


def test_a_receiver_that_is_down_holds_up_neither_the_others_nor_the_daemon(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    taken: list[str] = []
    asked: list[str] = []
    receivers = {"down": taking(asked, answer=False), "up": taking(taken)}
    outbox = Outbox(cursor=0.0)
    for number in range(3):
        outbox.put(Alert(Severity.WARNING, "title", "body", f"run {number}"), 0.0)
    assert deliver(outbox, receivers, lambda: None, 0.0) == (0, 3)
    assert (asked, taken) == (["run 0"], ["run 0", "run 1", "run 2"])
    monkeypatch.setattr(alerts, "_SENDING", -1.0)
    assert deliver(outbox, receivers, lambda: None, 3600.0) == (0, 3)
    assert len(asked) == 1, "no time is left for another attempt"


def test_a_process_killed_at_any_write_loses_nothing_and_doubles_only_what_was_not_noted() -> None:
    """Killed at every write in turn: a new process goes on from what Dagster kept."""
    for killed_at in range(1, 8):
        storage, writes = Storage(), 0
        taken: list[str] = []
        outbox = load_outbox(storage, 0.0)
        alerts = [Alert(Severity.WARNING, "title", "body", f"run {number}") for number in range(3)]
        for alert in alerts:
            outbox.put(alert, 0.0)
        save_outbox(storage, outbox)

        def save() -> None:
            nonlocal writes
            writes += 1
            if writes == killed_at:  # noqa: B023
                raise KeyboardInterrupt
            save_outbox(storage, outbox)  # noqa: B023

        receivers = {"only": taking(taken)}
        try:
            deliver(outbox, receivers, save, 0.0)
        except KeyboardInterrupt:
            outbox = load_outbox(storage, 0.0)
            deliver(outbox, receivers, lambda: None, 0.0)
        assert set(taken) == {alert.key for alert in alerts}
        assert len(taken) <= len(alerts) + 1
        for alert in alerts:
            outbox.put(alert, 1.0)
        assert outbox.waiting == []


def test_a_wrong_address_is_named_by_its_place_alone() -> None:
    receivers, wrong = apprise_receivers(["nosuch://ann@example.com:secret-token"])
    assert receivers == {}
    assert wrong == ["HOLLEY_ALERT_URLS: address 1 (nosuch://…) is not one that apprise can use"]


def test_a_receiver_that_is_gone_for_months_is_tried_once_an_hour() -> None:
    outbox = Outbox(cursor=0.0, waiting=[Waiting(ALERT, attempts=2000)])
    assert deliver(outbox, {"gone": lambda alert: False}, lambda: None, 1.0) == (0, 1)
    assert outbox.waiting[0].next_attempt == 3601.0


def test_addresses_in_another_order_get_neither_twice_nor_not_at_all(webhook: Webhook) -> None:
    first, second = webhook.url, webhook.url + "second"
    outbox = Outbox(cursor=0.0)
    outbox.put(ALERT, 0.0)
    alone, _ = apprise_receivers([first])
    deliver(outbox, alone, lambda: None, 0.0, hold=True)
    text = outbox.to_json()
    assert webhook.url not in text
    receivers, _ = apprise_receivers([second, first])
    assert deliver(Outbox.from_json(text), receivers, lambda: None, 1.0) == (1, 0)
    assert len(webhook.received) == 2


def test_what_waits_in_an_outbox_of_places_is_sent_once_more() -> None:
    outbox = Outbox(cursor=0.0)
    outbox.put(ALERT, 0.0)
    values = json.loads(outbox.to_json())
    values["waiting"][0]["delivered"] = [0]
    taken: list[str] = []
    receivers = {"first": taking(taken)}
    assert deliver(Outbox.from_json(json.dumps(values)), receivers, lambda: None, 1.0) == (1, 0)
    assert len(taken) == 1


@pytest.mark.parametrize("damage", ["half", "other", "[]", "null", '{"cursor": 1}', "byte"])
def test_a_damaged_outbox_is_kept_and_told_of(damage: str) -> None:
    storage = Storage()
    outbox = Outbox(cursor=100.0)
    outbox.put(ALERT, 100.0)
    save_outbox(storage, outbox)
    whole = storage.values[OUTBOX_KEY]
    assert load_outbox(storage, 200.0) == outbox
    spoiled = {"half": whole[: len(whole) // 2], "byte": whole.replace("3 slots", "4 slots")}.get(
        damage, damage
    )
    storage.values[OUTBOX_KEY] = spoiled
    fresh = load_outbox(storage, 1e6)
    assert fresh.cursor == 1e6 - 24 * 3600, "the last day is looked at again"
    (told,) = fresh.waiting
    assert told.alert.title == "The outbox of alerts was damaged"
    (kept,) = [key for key in storage.values if key != OUTBOX_KEY]
    assert storage.values[kept] == spoiled and kept in told.alert.body
    save_outbox(storage, fresh)
    assert load_outbox(storage, 1e6) == fresh


def test_an_outbox_of_before_there_were_checksums_is_read() -> None:
    outbox = Outbox(cursor=100.0)
    outbox.put(ALERT, 100.0)
    storage = Storage()
    storage.values[OUTBOX_KEY] = outbox.to_json()
    assert load_outbox(storage, 200.0) == outbox
