"""Training curves: best epoch, gap and warning."""

from __future__ import annotations

from typing import Any

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


def test_a_gap_alone_is_no_overfitting() -> None:
    """40 % above the training loss, while nothing served held-out visitors better: the number stands, no warning."""
    summary = summarise_training(history([0.8, 0.7], [0.1, 0.2]))
    assert summary["overfitting_warning"] is False
    assert summary["overfitting_gap"] == pytest.approx(0.4)
    assert "Against the training loss it is +40.0" in summary["overfitting_reason"]


@pytest.mark.parametrize(
    ("losses", "ranks", "chosen", "warns"),
    [
        # Both were better before.
        ([0.5, 0.6], [0.2, 0.1], 2, True),
        # The validation metric improves: no overfitting, whatever the loss does.
        ([0.5, 0.6], [0.1, 0.2], 2, False),
        ([0.5, 0.6], [0.2, 0.2], 2, False),
        # The loss rises by what is still noise.
        ([0.5, 0.549], [0.2, 0.1], 2, False),
        ([0.5, 0.551], [0.2, 0.1], 2, True),
        # What was worse came later.
        ([0.5, 0.9], [0.2, 0.1], 1, False),
    ],
)
def test_training_overfitted_where_held_out_visitors_were_served_better_before(
    losses: list[float], ranks: list[float], chosen: int, warns: bool
) -> None:
    summary = summarise_training(history(losses, ranks, train=0.58), best_epoch=chosen)
    assert summary["overfitting_warning"] is warns
    assert summary["overfitting_reason"].startswith("Overfitting" if warns else "No overfitting")
    assert summary["validation_loss_rise"] == pytest.approx(losses[chosen - 1] / losses[0] - 1)


def test_the_weights_are_of_the_last_fit_to_everybody_and_the_choice_of_an_epoch_before() -> None:
    """Held-out visitors chose epoch 1, though epoch 2 has the higher MRR; epoch 3 has nothing to be measured by."""
    rows: list[dict[str, Any]] = [{**row, "stage": "levels"} for row in history([0.5, 0.6], [0.1, 0.2])]
    last = {"epoch": 3, "train_loss": None, "validation_loss": None, "validation_mrr": None}
    summary = summarise_training([*rows, {**last, "stage": "everybody"}], best_epoch=1)
    assert (summary["best_epoch"], summary["chosen_stage"], summary["best_validation_mrr"]) == (
        1,
        "levels",
        0.1,
    )
    assert (summary["highest_mrr_epoch"], summary["highest_validation_mrr"]) == (2, 0.2)
    assert summary["kept_epoch"] == 3
    assert summarise_training(rows, best_epoch=1)["kept_epoch"] == 1


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
