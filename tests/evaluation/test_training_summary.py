"""Training curves: best epoch, gap and warning."""

from __future__ import annotations

import pytest

from holley_assets.evaluation.training_summary import summarise_training

Row = dict[str, float | None]


def history(validation: list[float], ranks: list[float], *, train: float = 0.5) -> list[Row]:
    """Epochs from 1 with a constant training loss."""
    return [
        {"epoch": epoch, "train_loss": train, "validation_loss": loss, "validation_mrr": rank}
        for epoch, (loss, rank) in enumerate(zip(validation, ranks, strict=True), start=1)
    ]


def test_best_epoch_and_gap_by_hand() -> None:
    """The first epoch of the best MRR; its validation loss 10 % above the training loss."""
    summary = summarise_training(history([0.6, 0.55, 0.56], [0.1, 0.2, 0.2]))
    assert summary["best_epoch"] == 2
    assert summary["best_validation_mrr"] == 0.2
    assert summary["overfitting_gap"] == pytest.approx(0.10)
    assert summary["validation_loss_rise"] == pytest.approx(0.0)
    assert summary["overfitting_warning"] is False
    assert summary["curves"]["validation_loss"] == [0.6, 0.55, 0.56]


def test_a_wide_gap_warns_with_its_number() -> None:
    """40 % above the training loss."""
    summary = summarise_training(history([0.7], [0.1]))
    assert summary["overfitting_warning"] is True
    assert "+40.0" in summary["overfitting_reason"]


def test_a_rising_validation_loss_warns() -> None:
    """The kept epoch is 20 % above the lowest validation loss before it, though the gap is small."""
    summary = summarise_training(history([0.5, 0.6], [0.1, 0.2], train=0.58))
    assert summary["overfitting_warning"] is True
    assert summary["validation_loss_rise"] == pytest.approx(0.2)


def test_a_rise_after_the_kept_epoch_does_not_matter() -> None:
    """Early stopping restored the best weights: what came later is gone."""
    assert summarise_training(history([0.5, 0.9], [0.2, 0.1]))["overfitting_warning"] is False


@pytest.mark.parametrize("rows", [[], [{"epoch": 1, "train_loss": 0.0, "validation_mrr": None}]])
def test_without_measurements_nothing_is_claimed(rows: list[Row]) -> None:
    """No best epoch, no gap, no warning."""
    summary = summarise_training(rows)
    assert summary["best_epoch"] is None
    assert summary["overfitting_gap"] is None
    assert summary["overfitting_warning"] is False
