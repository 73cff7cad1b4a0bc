"""What a run promises against the run before it. Neither check stops a run: nobody serves from what it made."""

from __future__ import annotations

from collections.abc import Sequence

import dagster as dg

from holley_assets.core.asset_keys import RUN_COMPARISON
from holley_assets.evaluation.run_comparison import Kind, Measure, objections

NO_WORSE_THAN_BEFORE = "no_worse_than_the_previous_run"
NOTHING_DRIFTED = "nothing_drifted_since_the_previous_run"
_KINDS: dict[str, tuple[Kind, dg.AssetCheckSeverity]] = {
    NO_WORSE_THAN_BEFORE: ("worse", dg.AssetCheckSeverity.ERROR),
    NOTHING_DRIFTED: ("drift", dg.AssetCheckSeverity.WARN),
}
COMPARISON_CHECKS = [
    dg.AssetCheckSpec(
        NO_WORSE_THAN_BEFORE,
        asset=RUN_COMPARISON,
        description="Hit Rate@4 of no tier fell, the graph did not change its size, users are shown the same kinds "
        "of parts and some the same parts, and the best part leads as before, within the HOLLEY_CHECK_ limits. A model "
        "that breaks this is not promoted unless forced.",
    ),
    dg.AssetCheckSpec(
        NOTHING_DRIFTED,
        asset=RUN_COMPARISON,
        description="Features and similarities of vectors are spread as before, and vectors are as long: the limits "
        "are HOLLEY_CHECK_PSI, HOLLEY_CHECK_MODEL_PSI and HOLLEY_CHECK_NORM_CHANGE.",
    ),
]


def comparison_verdicts(measures: Sequence[Measure], previous_run: str | None) -> list[dg.AssetCheckResult]:
    """Both verdicts; without an earlier run there is nothing to object to."""
    return [_verdict(name, measures, previous_run) for name in _KINDS]


def _verdict(name: str, measures: Sequence[Measure], previous_run: str | None) -> dg.AssetCheckResult:
    kind, severity = _KINDS[name]
    broken = objections(measures, kind)
    against = f"against run {previous_run[:8]}" if previous_run else "no earlier good run to compare with"
    return dg.AssetCheckResult(
        asset_key=RUN_COMPARISON,
        check_name=name,
        passed=not broken,
        severity=severity,
        description=f"{'; '.join(broken)}; {against}" if broken else against,
        metadata={"broken_limits": len(broken), "limits": sum(measure.kind == kind for measure in measures)},
    )
