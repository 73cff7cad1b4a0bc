"""The proof that a staged table may be published: what the checks judged is what there is, in all that shaped it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import dagster as dg

from holley_assets.checks.provenance import Lineage, other_day, other_rules, stale_inputs
from holley_assets.checks.verdicts import unproven
from holley_assets.core.event_log import Materialization, newest_materialization
from holley_assets.core.metadata_keys import CHECKSUM
from holley_assets.resources.io_manager import asset_file
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.interface import checksum

# Of what differs, so many are named.
_NAMED = 5


class PublicationRefused(RuntimeError):  # noqa: N818  (an answer, not an error)
    """A table may not be published. The message is one line that says what differs and what to run."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"Not published, the previous table stays: {reason}")


class ProvenTable(NamedTuple):
    """A staged file that the checks saw, and what is known about it."""

    path: Path
    staged: Materialization
    sha256: str


def prove(
    instance: dg.DagsterInstance,
    settings: SettingsResource,
    asset: dg.AssetKey,
    *,
    checks: Sequence[dg.AssetCheckKey],
    lineage: Lineage,
    day: datetime.date,
) -> ProvenTable:
    """Hold the verdicts against what there is now: the rows, all inputs, the rules' settings and the day.

    Args:
        asset: whose rows are to be published.
        checks: those that must have passed, on ``asset`` and on what it was made from.
        lineage: what ``asset`` was made from.
        day: of the run.

    Raises:
        PublicationRefused: one differs, or a check failed or did not run. The message names it.
    """
    _refuse(unproven(instance, checks))
    path = settings.store().local_path(asset_file(asset))
    judged = newest_materialization(instance, asset)
    found = checksum(path)
    seen = judged.metadata.get(CHECKSUM) if judged else None
    if judged is None or seen != found:
        raise PublicationRefused(f"{path.name} has SHA-256 {found}, the checks saw {seen}")
    again = "run daily_score, or the job that made these rows, from its first step"
    _refuse(stale_inputs(instance, lineage), again)
    _refuse(other_rules(instance, checks, settings.frozen, settings.load()), again)
    own = [check for check in checks if check.asset_key == asset]
    _refuse(other_day(instance, own, judged, day.isoformat()), again)
    return ProvenTable(path, judged, found)


def _refuse(problems: Sequence[str], advice: str = "") -> None:
    if not problems:
        return
    left = len(problems) - _NAMED
    named = [*problems[:_NAMED], *([f"and {left} more"] if left > 0 else [])]
    raise PublicationRefused("; ".join([*named, *([advice] if advice else [])]))
