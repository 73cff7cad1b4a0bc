"""What the training curves say, with one number for overfitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from holley_assets.evaluation.formatting import relative

# The validation loss may pass its lowest point before training ends; a tenth is still noise.
OVERFITTING_RISE = 0.10
# Stage of the last epoch, a fit to everybody of what held-out visitors chose.
EVERYBODY = "everybody"
CURVES = ("epoch", "train_loss", "validation_loss", "validation_mrr")


def _ratio(value: float | None, reference: float | None) -> float | None:
    if value is None or reference is None or not reference > 0:
        return None
    ratio = value / reference - 1.0
    return ratio if math.isfinite(ratio) else None


def summarise_training(
    history: Sequence[Mapping[str, Any]],
    *,
    best_epoch: int | None = None,
    rise_limit: float = OVERFITTING_RISE,
) -> dict[str, Any]:
    """Curves, the epoch that held-out visitors chose, the one whose weights are kept, and whether training overfitted.

    Training overfitted where held-out visitors were served better before: at the chosen epoch the validation loss is
    higher by more than ``rise_limit`` than it was, and the validation MRR is lower. A gap between the losses alone is
    no sign of it: a network that learns of those it trains on gains on them first.

    Args:
        history: one mapping an epoch with the keys of :data:`CURVES` and ``stage``, in order; a value may be None.
        best_epoch: the epoch that held-out visitors chose; by default the first with the highest validation
            MRR.
        rise_limit: relative rise of the validation loss above its lowest before, at the best epoch.

    Returns:
        ``curves`` (lists by name), ``epochs``, ``best_epoch``, ``best_validation_mrr`` and ``chosen_stage`` of the
        chosen epoch, ``highest_mrr_epoch`` and ``highest_validation_mrr``, ``kept_epoch`` (whose weights are kept),
        ``overfitting_gap`` (``validation_loss / train_loss − 1`` at the best epoch),
        ``validation_loss_rise`` (above its lowest up to then), ``overfitting_warning`` (bool) and
        ``overfitting_reason`` (a sentence with the numbers). None where a number does not exist.
    """
    curves = {name: [row.get(name) for row in history] for name in CURVES}
    summary: dict[str, Any] = {
        "curves": curves,
        "epochs": len(history),
        "best_epoch": best_epoch,
        "best_validation_mrr": None,
        "chosen_stage": None,
        "highest_mrr_epoch": None,
        "highest_validation_mrr": None,
        "kept_epoch": None,
        "overfitting_gap": None,
        "validation_loss_rise": None,
        "overfitting_warning": False,
        "overfitting_reason": "No training curves.",
    }
    measured = [row for row in history if row.get("validation_mrr") is not None]
    highest = max(measured, key=lambda row: float(row["validation_mrr"]), default=None)
    if best_epoch is None and highest is not None:
        best_epoch = int(highest["epoch"])
    best = next((row for row in history if row["epoch"] == best_epoch), None)
    if best is None:
        return summary
    until = [row for row in history[: list(history).index(best) + 1] if _finite(row.get("validation_loss"))]
    lowest = min(until, key=lambda row: float(row["validation_loss"]), default=None)
    before = max(
        (row for row in until if row in measured), key=lambda row: float(row["validation_mrr"]), default=None
    )
    gap = _ratio(best.get("validation_loss"), best.get("train_loss"))
    rise = _ratio(best.get("validation_loss"), lowest["validation_loss"] if lowest else None)
    fell = before is not None and before["validation_mrr"] > (best.get("validation_mrr") or 0.0)
    warning = rise is not None and rise > rise_limit and fell
    words = [
        f"at epoch {best_epoch} the validation loss is {relative(rise)} above its lowest until then"
        if rise is not None
        else f"at epoch {best_epoch} no validation loss exists",
        f"and the validation MRR is below that of epoch {before['epoch']}"
        if fell and before is not None
        else "and the validation MRR was not higher before",
    ]
    limit = f"overfitting is a rise above {relative(rise_limit)} with a lower MRR"
    against = f" Against the training loss it is {relative(gap)}." if gap is not None else ""
    verdict = "Overfitting" if warning else "No overfitting"
    last = history[-1]
    summary.update(
        best_epoch=best_epoch,
        best_validation_mrr=best.get("validation_mrr"),
        chosen_stage=best.get("stage"),
        highest_mrr_epoch=highest["epoch"] if highest else None,
        highest_validation_mrr=highest["validation_mrr"] if highest else None,
        kept_epoch=last["epoch"] if last.get("stage") == EVERYBODY else best_epoch,
        overfitting_gap=gap,
        validation_loss_rise=rise,
        overfitting_warning=warning,
        overfitting_reason=f"{verdict}: {words[0]}, {words[1]} ({limit}).{against}",
    )
    return summary


def _finite(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
