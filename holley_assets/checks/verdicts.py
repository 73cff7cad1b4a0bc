"""What the event log says about the checks of an asset's newest materialization.

A blocking check stops only runs that contain both it and the asset downstream. Whoever materializes the
output alone, from the UI, would pass it by; so the output asks here before it writes.
"""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from holley_assets.core.event_log import Materialization, newest_evaluation, newest_materialization


def unproven(instance: dg.DagsterInstance, checks: Iterable[dg.AssetCheckKey]) -> list[str]:
    """Checks that did not pass on the newest materialization of their asset, each in a few words; warnings pass."""
    newest: dict[dg.AssetKey, Materialization | None] = {}
    problems: list[str] = []
    for check in checks:
        if check.asset_key not in newest:
            newest[check.asset_key] = newest_materialization(instance, check.asset_key)
        problem = _problem(instance, check, newest[check.asset_key])
        if problem:
            problems.append(f"{check.asset_key.to_user_string()}: {check.name} {problem}")
    return problems


def _problem(
    instance: dg.DagsterInstance, check: dg.AssetCheckKey, materialization: Materialization | None
) -> str | None:
    if materialization is None:
        return "has nothing to judge: the asset was never materialized"
    # A run that ended before it judged anything takes back no verdict: the data are those that were judged before it.
    newest = newest_evaluation(instance, check)
    if newest is None:
        return "has not run"
    evaluation = newest.evaluation
    target = evaluation.target_materialization_data
    if target is None or target.storage_id != materialization.storage_id:
        return "has not run on the newest data"
    # What warns lets the run go on, and what the run made may go out.
    warned = evaluation.severity is dg.AssetCheckSeverity.WARN
    return None if evaluation.passed or warned else "failed"
