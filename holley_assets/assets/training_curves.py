"""What the UI shows of a training, epoch by epoch.

Dagster plots numbers over an asset's last events by their time. An event an epoch would lie on one spot of weeks of
trainings, and push these out: the curves are a drawing, with the numbers in a table.
"""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from holley_assets.evaluation.training_summary import summarise_training
from holley_assets.resources.table_metadata import preview

if TYPE_CHECKING:
    from holley_assets.gnn.checkpoint import Epoch

# A dash stands for what an epoch does not have: nobody is held out from the last fit.
_DASH = "–"
_COLUMNS = {
    "epoch": "epoch",
    "stage": "what is learned",
    "strength": "priors times",
    "train_loss": "training loss",
    "validation_loss": "validation loss",
    "validation_mrr": "validation MRR",
    "seconds": "seconds",
}


# The line of an epoch; the terminal shows its first group.
EPOCH = re.compile(r"(epoch \d+ \([^)]*\)): .*")


def epoch_line(epoch: "Epoch") -> str:
    """What the log says of an epoch."""
    shown = {
        "train loss": epoch.train_loss,
        "validation loss": epoch.validation_loss,
        "validation MRR": epoch.validation_mrr,
    }
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)
    stage = epoch.stage if epoch.strength is None else f"{epoch.stage}, priors times {epoch.strength:g}"
    return f"epoch {epoch.epoch} ({stage}): {numbers or 'nothing is held out'} ({epoch.seconds:.1f} s)"


def curves_metadata(history: Sequence[Mapping[str, Any]], best_epoch: int) -> dict[str, dg.MetadataValue]:
    """The curves as a picture, what they say, and the numbers of each epoch.

    Args:
        history: fields of :class:`.gnn.checkpoint.Epoch`, an entry an epoch, in order.
        best_epoch: the one that held-out visitors chose.
    """
    # Seconds of imports that loading the definitions must not wait for.
    from holley_assets.evaluation.plots import training_curves

    summary = summarise_training(history, best_epoch=best_epoch)
    picture = training_curves(summary)
    if picture is None:
        return {}
    text = (
        f"![{picture.description}]({picture.source})\n\n{picture.description} {summary['overfitting_reason']}"
    )
    return {
        "curves": dg.MetadataValue.md(text),
        "epochs_one_by_one": preview([_row(epoch) for epoch in history]),
    }


def _row(epoch: Mapping[str, Any]) -> dict[str, object]:
    return {title: _DASH if epoch[name] is None else _number(epoch[name]) for name, title in _COLUMNS.items()}


def _number(value: object) -> object:
    return float(f"{value:.4g}") if isinstance(value, float) else value
