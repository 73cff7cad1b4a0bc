"""Alerts of checks that sensors evaluate without a run: one when a check begins to fail, and one for each other reason.

None while it goes on failing for a reason that was told, also where two reasons take turns.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import dagster as dg

from holley_assets.automation.alert_texts import check_line, check_name, link, message, severity_of
from holley_assets.automation.alerts import Alert, CheckNote
from holley_assets.core.metadata_keys import (
    REASON,
)
from holley_assets.texts import mask_addresses

# The run under which Dagster keeps what belongs to none.
_NO_RUN = ""
_PAGE = 500


def check_alert(
    instance: dg.DagsterInstance,
    since: float,
    checks: dict[str, CheckNote],
    ui_url: str | None,
    first_look: bool,
) -> Alert | None:
    """All checks without a run that began to fail, or now fail for another reason, in one message; ``None`` if none.

    Args:
        since: time from which on evaluations are read. What was seen before is known by its time.
        checks: how each check stood; how it stands now is noted.
        first_look: what was evaluated before is history, and is not told.
    """
    turned: list[dg.AssetCheckEvaluation] = []
    begun = 0.0
    for evaluated, evaluation in _without_run(instance, since):
        name = check_name(evaluation)
        note = checks.get(name)
        if note is not None and evaluated <= note.evaluated:
            continue
        if first_look:
            checks[name] = CheckNote(evaluated, failed=False)
            continue
        if not evaluation.passed and _is_news(note, evaluation):
            turned.append(evaluation)
            begun = evaluated
            checks[name] = CheckNote(evaluated, failed=True, told=True, reasons=_reasons(note, evaluation))
        else:
            note_check(checks, evaluated, evaluation)
    if not turned:
        return None
    assets = {evaluation.asset_key: None for evaluation in turned}
    failed = list(dict.fromkeys(check_name(evaluation) for evaluation in turned))
    names = ", ".join(failed)
    return Alert(
        severity=severity_of(turned),
        title=f"{names} failed" if len(failed) == 1 else f"{len(failed)} checks failed",
        body=message(
            [check_line(evaluation) for evaluation in turned],
            [
                address
                for key in assets
                for address in link(ui_url, "assets", *key.path, query="?view=checks")
            ],
        ),
        key=f"checks {begun:.6f} {names}",
    )


def note_check(checks: dict[str, CheckNote], evaluated: float, evaluation: dg.AssetCheckEvaluation) -> None:
    """Note how a check stands, with a run or without, unless something newer is known of it."""
    name = check_name(evaluation)
    note = checks.get(name)
    if note is None and evaluation.passed:
        # Most checks always pass; what was never seen to fail needs no note.
        return
    if note is None or evaluated > note.evaluated:
        if evaluation.passed:
            checks[name] = CheckNote(evaluated, failed=False)
        else:
            told = note is not None and note.failed and note.told
            checks[name] = CheckNote(evaluated, failed=True, told=told, reasons=_reasons(note, evaluation))


def is_told(checks: Mapping[str, CheckNote], evaluation: dg.AssetCheckEvaluation) -> bool:
    """Whether a check failed, for the same reason, and that was told of it as a check without a run."""
    note = checks.get(check_name(evaluation))
    return note is not None and note.told and not _is_news(note, evaluation)


def _is_news(note: CheckNote | None, failure: dg.AssetCheckEvaluation) -> bool:
    """Whether a check did not fail before, or not for this reason; one that gives none is no news."""
    if note is None or not note.failed:
        return True
    reason = _reason(failure)
    return reason is not None and reason not in note.reasons


def _reasons(note: CheckNote | None, failure: dg.AssetCheckEvaluation) -> list[str]:
    """Why a check has failed since it last passed, up to this failure."""
    before = note.reasons if note is not None and note.failed else []
    reason = _reason(failure)
    return before if reason is None or reason in before else [*before, reason]


def _reason(failure: dg.AssetCheckEvaluation) -> str | None:
    given = failure.metadata.get(REASON)
    return None if given is None else mask_addresses(str(given.value))[0]


def _without_run(
    instance: dg.DagsterInstance, since: float
) -> Iterator[tuple[float, dg.AssetCheckEvaluation]]:
    """When each check was evaluated without a run, and how; oldest first."""
    found = []
    cursor = None
    while True:
        page = instance.get_records_for_run(
            _NO_RUN, cursor, dg.DagsterEventType.ASSET_CHECK_EVALUATION, _PAGE, ascending=False
        )
        entries = [record.event_log_entry for record in page.records]
        found += [
            (entry.timestamp, entry.dagster_event.asset_check_evaluation_data)
            for entry in entries
            if entry.dagster_event and entry.timestamp >= since
        ]
        if not page.has_more or entries[-1].timestamp < since:
            return iter(sorted(found, key=lambda item: item[0]))
        cursor = page.cursor
