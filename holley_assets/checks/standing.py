"""Checks that the daemon evaluates without a run: what a verdict is, and when it is worth a line in the history."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from holley_assets.core.event_log import evaluation_of
from holley_assets.core.metadata_keys import REASON
from holley_assets.settings import WatchSettings, variable_name

# A verdict that stays the same is recorded this often, so that the check's page shows that somebody still looks.
_REPEATED = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Verdict:
    """What was found out about a check."""

    check: dg.AssetCheckKey
    passed: bool
    reason: str
    """In few words; another one is news even where the check fails as before."""
    description: str
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR
    metadata: Mapping[str, str | int | float] = field(default_factory=dict)

    def evaluation(self) -> dg.AssetCheckEvaluation:
        """As a sensor reports it, without a run."""
        return dg.AssetCheckEvaluation(**self._fields())

    def result(self) -> dg.AssetCheckResult:
        """As a run reports it that a person started."""
        return dg.AssetCheckResult(**self._fields())

    def _fields(self) -> dict[str, Any]:
        return {
            "asset_key": self.check.asset_key,
            "check_name": self.check.name,
            "passed": self.passed,
            "severity": self.severity,
            "description": self.description,
            "metadata": {REASON: self.reason, **self.metadata},
        }


def judge_age(
    check: dg.AssetCheckKey,
    changed: datetime.datetime,
    limit_days: float,
    now: datetime.datetime,
    *,
    words: Callable[[float], str],
    setting: str,
    note: str = "",
) -> Verdict:
    """Whether something changed within ``limit_days`` before ``now``; exactly at the limit it is fresh.

    Args:
        words: what is told of an age in days.
        setting: field of :class:`WatchSettings` that holds the limit.
        note: what is told besides.
    """
    age = now - changed
    fresh = age <= datetime.timedelta(days=limit_days)
    days = age / datetime.timedelta(days=1)
    allowed = "" if fresh else f"; {limit_days:g} days are allowed ({variable_name(WatchSettings, setting)})"
    return Verdict(
        check,
        fresh,
        "fresh" if fresh else "stale",
        words(days) + allowed + note,
        metadata={"age_days": round(days, 3), "limit_days": limit_days},
    )


def minute(moment: datetime.datetime) -> str:
    """A moment as verdicts name it, in UTC."""
    return f"{moment.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"


def news(
    instance: dg.DagsterInstance, verdicts: Iterable[Verdict], now: datetime.datetime
) -> list[dg.AssetCheckEvaluation]:
    """Evaluations of those verdicts that differ from the newest recorded one, or whose page would not show it.

    It goes stale after a day; and the UI shows no evaluation that is older than what a run made of the asset.
    """
    return [verdict.evaluation() for verdict in verdicts if _is_news(instance, verdict, now)]


def _is_news(instance: dg.DagsterInstance, verdict: Verdict, now: datetime.datetime) -> bool:
    # With plans: the page shows one that came to nothing in the place of the evaluation before it.
    record = instance.get_latest_asset_check_evaluation_record(verdict.check)
    latest = evaluation_of(record) if record else None
    if latest is None:
        return True
    at, known = latest.at, latest.evaluation
    reason = known.metadata[REASON].value if REASON in known.metadata else None
    same = (known.passed, known.severity, reason) == (verdict.passed, verdict.severity, verdict.reason)
    if not same or now - at >= _REPEATED:
        return True
    made = instance.get_latest_materialization_event(verdict.check.asset_key)
    return made is not None and bool(made.run_id) and made.timestamp > at.timestamp()
