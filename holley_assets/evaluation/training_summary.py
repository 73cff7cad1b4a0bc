"""What the training curves say, with one number for overfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from holley_assets.evaluation.formatting import relative

# A validation loss a quarter above the training loss at the epoch that is chosen: with dropout active in
# training alone, a healthy gap is near zero or negative.
OVERFITTING_GAP = 0.25
# The validation loss may pass its lowest point before the validation MRR peaks; a tenth is still noise.
OVERFITTING_RISE = 0.10
CURVES = ("epoch", "train_loss", "validation_loss", "validation_mrr")


def _ratio(value: float | None, reference: float | None) -> float | None:
    if value is None or reference is None or not reference > 0:
        return None
    ratio = value / reference - 1.0
    return ratio if math.isfinite(ratio) else None


def summarise_training(
    history: Sequence[Mapping[str, float | None]],
    *,
    best_epoch: int | None = None,
    gap_limit: float = OVERFITTING_GAP,
    rise_limit: float = OVERFITTING_RISE,
) -> dict[str, Any]:
    """Curves, the epoch that held-out visitors chose, and whether training overfitted.

    Args:
        history: one mapping an epoch with the keys of :data:`CURVES`, in order; a loss may be None.
        best_epoch: the epoch that held-out visitors chose; by default the first with the highest validation
            MRR.
        gap_limit: relative gap between the losses at the best epoch above which a warning is raised.
        rise_limit: relative rise of the validation loss above its lowest before, at the best epoch, above
            which a warning is raised.

    Returns:
        ``curves`` (lists by name), ``epochs``, ``best_epoch``, ``best_validation_mrr``,
        ``overfitting_gap`` (``validation_loss / train_loss − 1`` at the best epoch),
        ``validation_loss_rise`` (above its lowest up to then), ``overfitting_warning`` (bool) and
        ``overfitting_reason`` (a sentence with both numbers). None where a number does not exist.
    """
    curves = {name: [row.get(name) for row in history] for name in CURVES}
    summary: dict[str, Any] = {
        "curves": curves,
        "epochs": len(history),
        "best_epoch": best_epoch,
        "best_validation_mrr": None,
        "overfitting_gap": None,
        "validation_loss_rise": None,
        "overfitting_warning": False,
        "overfitting_reason": "No training curves.",
    }
    measured = [row for row in history if row.get("validation_mrr") is not None]
    if best_epoch is None and measured:
        best_epoch = int(max(measured, key=lambda row: row["validation_mrr"] or 0.0)["epoch"] or 0)
    best = next((row for row in history if row["epoch"] == best_epoch), None)
    if best is None:
        return summary
    losses = [row.get("validation_loss") for row in history[: list(history).index(best) + 1]]
    seen = [loss for loss in losses if loss is not None and math.isfinite(loss)]
    gap = _ratio(best.get("validation_loss"), best.get("train_loss"))
    rise = _ratio(best.get("validation_loss"), min(seen, default=None))
    warning = (gap is not None and gap > gap_limit) or (rise is not None and rise > rise_limit)
    words = [
        f"at epoch {best_epoch} the validation loss is {relative(gap)} against the training loss (warning "
        f"above {relative(gap_limit)})"
        if gap is not None
        else "the gap between the losses does not exist",
        f"{relative(rise)} above its lowest until then (warning above {relative(rise_limit)})"
        if rise is not None
        else "its rise does not exist",
    ]
    summary.update(
        best_epoch=best_epoch,
        best_validation_mrr=best.get("validation_mrr"),
        overfitting_gap=gap,
        validation_loss_rise=rise,
        overfitting_warning=warning,
        overfitting_reason=f"{'Overfitting' if warning else 'No overfitting'}: {words[0]} and {words[1]}.",
    )
    return summary
