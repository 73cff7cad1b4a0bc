"""Alerts of schedules and sensors that end in an error: one for each distinct error until they go well again."""

from __future__ import annotations

import re
from collections.abc import Sequence

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, InstigatorTick, InstigatorType, TickStatus
from dagster_shared.error import SerializableErrorInfo

from holley_assets.automation.alert_texts import first_line, link, message
from holley_assets.automation.alerts import Alert, Severity, TickNote, short_hash
from holley_assets.texts import mask_addresses

_PAGE = 20
_NAMELESS_REPOSITORY = "__repository__"
# Times, ids and addresses differ from tick to tick where the error is the same.
_VARYING = re.compile(r"\w*\d\w*")
_OWN_ERROR_AGAIN = 24 * 3600.0


def tick_alert(
    instance: dg.DagsterInstance,
    now: float,
    since: float,
    ticks: dict[str, TickNote],
    ui_url: str | None,
    first_look: bool,
    own_name: str,
) -> Alert | None:
    """All new errors of schedules and sensors, in one message; ``None`` if there are none.

    Args:
        since: ticks that ended earlier are history: of a schedule or sensor that was never looked at, and of all, where
            an older outbox does not know their ticks.
        ticks: what was looked at, by schedule and sensor; what is looked at now is noted.
        first_look: the past is not told.
        own_name: the sensor that asks. Its errors may come from telling of them, so that going well in between does
            not make them new before a day has passed.
    """
    lines, links, key = [], [], []
    for state in instance.all_instigator_state():
        note = ticks.setdefault(state.selector_id, TickNote(tick=0))
        for tick in _finished(instance, state, note.tick, since, newest_alone=first_look):
            note.tick = tick.tick_id
            if tick.status is not TickStatus.FAILURE:
                kept = now - _OWN_ERROR_AGAIN if state.name == own_name else now
                note.errors = {error: told for error, told in note.errors.items() if told > kept}
                continue
            # What is kept is a hash: an error may quote more of its data than an address.
            words = mask_addresses(_words(tick.error))[0]
            error = short_hash(_VARYING.sub("#", words))
            if first_look or _ended(tick) < since or error in note.errors:
                continue
            note.errors[error] = now
            what = f"{_kind(state)} {state.name}"
            lines.append(f"ERROR: {what}: {words}")
            links += [address for address in _page(state, ui_url) if address not in links]
            key.append(f"{what} {tick.tick_id} {error}")
    if not lines:
        return None
    one = len(lines) == 1
    return Alert(
        severity=Severity.ERROR,
        title=f"{lines[0].split(': ')[1]} failed" if one else f"{len(lines)} errors of schedules and sensors",
        body=message(lines, links),
        key="ticks " + ", ".join(key),
    )


def _finished(
    instance: dg.DagsterInstance, state: InstigatorState, seen: int, since: float, newest_alone: bool
) -> list[InstigatorTick]:
    """Ticks after ``seen`` and that one itself, which the scheduler may have made again; oldest first.

    Ticks are told apart by their numbers, since one that is made up for bears the time at which it was due.
    """
    limit = _PAGE
    while True:
        page: Sequence[InstigatorTick] = instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=limit
        )
        # One that has started is still at work, or was cut off; in neither case it says anything.
        finished = [tick for tick in page if tick.status is not TickStatus.STARTED]
        known = any(tick.tick_id <= seen or _ended(tick) < since for tick in finished)
        if known or newest_alone or len(page) < limit:
            break
        limit *= 2
    return sorted((tick for tick in finished if tick.tick_id >= seen), key=lambda tick: tick.tick_id)


def _ended(tick: InstigatorTick) -> float:
    """When a finished tick ended. A tick that this sensor made up has no end; its time is when it was due."""
    return tick.timestamp if tick.end_timestamp is None else tick.end_timestamp


def _words(error: SerializableErrorInfo | None) -> str:
    """What the code said, of which Dagster says that it caught it; not what gRPC says of its connection."""
    if error is None:
        return "failed without an error"
    while error.cause is not None and not (error.cause.cls_name or "").startswith("_"):
        error = error.cause
    return first_line(error.message)


def _kind(state: InstigatorState) -> str:
    return "schedule" if state.instigator_type is InstigatorType.SCHEDULE else "sensor"


def _page(state: InstigatorState, ui_url: str | None) -> list[str]:
    repository = state.repository_selector
    named = repository.repository_name != _NAMELESS_REPOSITORY
    place = f"{repository.repository_name}@{repository.location_name}" if named else repository.location_name
    return link(ui_url, "locations", place, f"{_kind(state)}s", state.name)
