"""Alerts: what is told to whom, and the outbox from which nothing is lost.

An alert is put into the outbox in the same write that moves the cursor past what it is about, and leaves it when its
receiver has taken it. Both live in Dagster's own storage, so that a restart, on this machine or another, goes on where
the last evaluation was cut off. An evaluation killed between a receiver's answer and the note of it sends once more
under the same number: an alert may then come twice, and is never lost.
"""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from types import ModuleType
from typing import Protocol

from holley_assets.resources.storage.side_files import DamagedFileError, sealed, unsealed
from holley_assets.texts import mask_addresses

OUTBOX_KEY = "holley/alerts"
# Seconds that are looked at again where nobody knows what was told.
_LOOKED_BACK = 24 * 3600.0
# Seconds until the second attempt; each further one waits twice as long, up to an hour.
_FIRST_WAIT = 30.0
_LONGEST_WAIT = 3600.0
# By then the wait is the longest; a receiver that is gone for weeks is tried more often than a float can double.
_DOUBLINGS = 10
# Seconds after which no further delivery is begun. Dagster gives a sensor 60 seconds, and then starts the next
# evaluation beside one that still runs: both would send.
_SENDING = 20.0


class Severity(enum.StrEnum):
    """How soon somebody should look."""

    ERROR = "error"
    WARNING = "warning"


@dataclasses.dataclass(frozen=True)
class Alert:
    """One message. ``key`` says what it is about; nothing is told twice under one key."""

    severity: Severity
    title: str
    body: str
    key: str
    run_id: str | None = None

    @property
    def number(self) -> str:
        """Short name by which a receiver knows a repeated delivery."""
        return short_hash(self.key)


Sender = Callable[[Alert], bool]
"""Tells one receiver; returns whether it took the alert."""


def short_hash(text: str) -> str:
    """By which ``text`` is known where it may not be kept: it is a secret, or may name a customer."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@dataclasses.dataclass
class Waiting:
    """An alert in the outbox and how its delivery stands.

    ``delivered`` holds the receivers that took it, by the short hashes of their addresses. An older outbox holds their
    places, which are no receiver's name: what waits in it is sent once more.
    """

    alert: Alert
    attempts: int = 0
    next_attempt: float = 0.0
    delivered: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class CheckNote:
    """How a check stood at its newest evaluation that was looked at, and when that was.

    ``told`` says that its failure was told as one of a check without a run, which a run need not repeat; ``reasons``
    are those with which it failed since it last passed.
    """

    evaluated: float
    failed: bool
    told: bool = False
    reasons: list[str] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class TickNote:
    """The newest tick of a schedule or sensor that was looked at; its errors since it last went well, and when told."""

    tick: int
    errors: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass
class Outbox:
    """What is known at one moment: up to when was looked, how things stood, what was told, what waits."""

    cursor: float
    told: dict[str, float] = dataclasses.field(default_factory=dict)
    checks: dict[str, CheckNote] = dataclasses.field(default_factory=dict)
    ticks: dict[str, TickNote] = dataclasses.field(default_factory=dict)
    waiting: list[Waiting] = dataclasses.field(default_factory=list)

    def put(self, alert: Alert | None, now: float) -> None:
        """Queue ``alert``, unless it was told before. What it says is scrubbed here, once, for every receiver."""
        if alert is None or alert.key in self.told:
            return
        self.told[alert.key] = now
        scrubbed = dataclasses.replace(
            alert, title=mask_addresses(alert.title)[0], body=mask_addresses(alert.body)[0]
        )
        self.waiting.append(Waiting(scrubbed))

    def forget(self, before: float) -> None:
        """Drop keys told before ``before``, which nothing can come back to."""
        self.told = {key: when for key, when in self.told.items() if when >= before}

    def to_json(self) -> str:
        """Inverse of :meth:`from_json`."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Outbox:
        """Inverse of :meth:`to_json`."""
        values = json.loads(text)
        waiting = [
            Waiting(
                **{
                    **item,
                    "alert": Alert(**{**item["alert"], "severity": Severity(item["alert"]["severity"])}),
                }
            )
            for item in values.pop("waiting")
        ]
        checks = {name: CheckNote(**note) for name, note in values.pop("checks", {}).items()}
        ticks = {name: TickNote(**note) for name, note in values.pop("ticks", {}).items()}
        return cls(**values, checks=checks, ticks=ticks, waiting=waiting)


class CursorStorage(Protocol):
    """Dagster's ``instance.daemon_cursor_storage``, as far as the outbox needs it."""

    def get_cursor_values(self, keys: set[str]) -> Mapping[str, str]: ...

    def set_cursor_values(self, pairs: Mapping[str, str]) -> None: ...


def load_outbox(storage: CursorStorage, now: float) -> Outbox:
    """The outbox; a new one looks from ``now`` on, and tells nothing of the past.

    A damaged one is kept under a key of its own. The next looks a day back, says so in an alert, and may tell twice:
    rather that than never.
    """
    text = storage.get_cursor_values({OUTBOX_KEY}).get(OUTBOX_KEY)
    if not text:
        return Outbox(cursor=now)
    try:
        return Outbox.from_json(json.dumps(unsealed(text)))
    except (DamagedFileError, LookupError, TypeError, ValueError, AttributeError) as error:
        kept = f"{OUTBOX_KEY}/damaged/{short_hash(text)}"
        storage.set_cursor_values({kept: text})
        fresh = Outbox(cursor=now - _LOOKED_BACK)
        fresh.put(
            Alert(
                Severity.WARNING,
                "The outbox of alerts was damaged",
                f"It is kept under {kept} ({type(error).__name__}). Alerts of the last day may come twice; what waited "
                "longer is in the damaged one alone.",
                key=kept,
            ),
            now,
        )
        return fresh


def save_outbox(storage: CursorStorage, outbox: Outbox) -> None:
    """Write the outbox as a whole, with its checksum, in one transaction."""
    storage.set_cursor_values({OUTBOX_KEY: sealed(json.loads(outbox.to_json()))})


def deliver(
    outbox: Outbox, send: Mapping[str, Sender], save: Callable[[], None], now: float, *, hold: bool = False
) -> tuple[int, int]:
    """Send what is due to each receiver, and note each success before the next is tried.

    A receiver that does not take one alert is left alone until the next evaluation, and so is everything once
    delivery takes long.

    Args:
        send: the receivers by their names, which :func:`apprise_receivers` gives them.
        save: writes the outbox.
        hold: keep what all receivers took, for one that is still to come.

    Returns:
        alerts that every receiver has taken now, and alerts that still wait.
    """
    delivered = 0
    refused: set[str] = set()
    deadline = time.monotonic() + _SENDING
    for item in [waiting for waiting in outbox.waiting if waiting.next_attempt <= now]:
        if time.monotonic() > deadline:
            break
        asked = [name for name in send if name not in refused and name not in item.delivered]
        for name in asked:
            if send[name](item.alert):
                item.delivered.append(name)
                save()
            else:
                refused.add(name)
        if not hold and all(name in item.delivered for name in send):
            outbox.waiting.remove(item)
            delivered += 1
            save()
        elif any(name in refused for name in asked):
            item.next_attempt = now + min(_FIRST_WAIT * 2 ** min(item.attempts, _DOUBLINGS), _LONGEST_WAIT)
            item.attempts += 1
            save()
    return delivered, len(outbox.waiting)


def apprise_receivers(urls: Iterable[str]) -> tuple[dict[str, Sender], list[str]]:
    """Senders for the apprise addresses, by the short hashes of these; and a line for each that apprise cannot use.

    The line has the address's place and kind, never the address.
    """
    import apprise

    senders, wrong = {}, []
    for place, url in enumerate(urls, start=1):
        sender = _sender(url, apprise)
        if sender is None:
            kind = url.partition("://")[0]
            wrong.append(f"HOLLEY_ALERT_URLS: address {place} ({kind}://…) is not one that apprise can use")
        else:
            senders[short_hash(url)] = sender
    return senders, wrong


def _sender(url: str, apprise: ModuleType) -> Sender | None:
    address = apprise.Apprise()
    if not address.add(url):
        return None
    kinds = {
        Severity.ERROR: apprise.NotifyType.FAILURE,
        Severity.WARNING: apprise.NotifyType.WARNING,
    }

    def send(alert: Alert) -> bool:
        return bool(
            address.notify(
                title=f"[{alert.severity}] {alert.title}",
                body=f"{alert.body}\n\nAlert {alert.number}",
                notify_type=kinds[alert.severity],
                body_format="text",
            )
        )

    return send
