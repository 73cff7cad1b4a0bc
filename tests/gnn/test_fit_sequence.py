"""The order of the fits, at, below and above each of its limits."""

import pytest
from present import present

from holley_assets.gnn.checkpoint import Epoch
from holley_assets.gnn.fit_sequence import Fit, best_of, bias_strength, next_fit, strength_of_messages

STRENGTHS = [128.0, 64.0, 32.0, 16.0, 8.0, 4.0, 2.0, 1.0]


def history(*fits: tuple[str, float | None, float | None]) -> list[Epoch]:
    """Epochs ``(stage, validation loss, strength)`` after the untrained network."""
    epochs: list[tuple[str, float | None, float | None]] = [("start", 9.0, None), *fits]
    return [
        Epoch(number, None, loss, None, None, None, 0.0, stage, strength)
        for number, (stage, loss, strength) in enumerate(epochs)
    ]


# Under the weakest prior of biases: popularity is done.
POPULAR = ("popularity", 3.0, 1.0)


def test_popularity_comes_first_and_vectors_under_the_strongest_prior_next() -> None:
    assert next_fit(history(), STRENGTHS) == Fit("popularity", 64.0, is_first=True)
    assert next_fit(history(POPULAR), STRENGTHS) == Fit("levels", 128.0, is_first=True)
    assert next_fit(history(POPULAR), []) is None


@pytest.mark.parametrize(
    ("losses", "following", "strength"),
    [
        ([3.0], "popularity", 16.0),
        ([3.0, 2.9], "popularity", 4.0),
        ([3.0, 2.9, 2.8], "popularity", 1.0),
        ([3.0, 3.1], "popularity", 4.0),
        # Twice worse than the best: no weaker prior is tried.
        ([3.0, 3.1, 3.1], "levels", 128.0),
        ([3.0, 3.1, 3.002], "popularity", 1.0),
        ([3.0, 2.9, 2.8, 2.7], "levels", 128.0),
    ],
)
def test_popularity_is_fitted_under_weaker_priors_as_long_as_held_out_visitors_gain(
    losses: list[float], following: str, strength: float
) -> None:
    fits = [("popularity", loss, prior) for loss, prior in zip(losses, (64.0, 16.0, 4.0, 1.0), strict=False)]
    fit = next_fit(history(*fits), STRENGTHS)
    assert fit == Fit(following, strength, is_first=following == "levels")


@pytest.mark.parametrize(
    ("losses", "best"), [([3.0, 2.0, 2.5, 2.6], 16.0), ([3.0, 3.0], 64.0), ([3.0, 2.9], 16.0)]
)
def test_biases_keep_the_prior_under_which_popularity_was_best(losses: list[float], best: float) -> None:
    fits = [("popularity", loss, prior) for loss, prior in zip(losses, (64.0, 16.0, 4.0, 1.0), strict=False)]
    assert bias_strength(history(*fits, ("levels", 0.1, 8.0))) == best


@pytest.mark.parametrize(
    ("losses", "goes_on"),
    [
        ([2.0], True),
        ([2.0, 2.1], True),
        # Twice in a row worse than the best by more than a thousandth of it; by a thousandth is not more.
        ([2.0, 2.1, 2.1], False),
        ([2.0, 2.1, 2.002], True),
        ([2.0, 2.002, 2.1], True),
        ([2.0, 2.1, 2.0021], False),
        ([2.0, 2.1, 1.9], True),
        ([2.0, 2.1, 2.1, 1.9, 2.1], True),
    ],
)
def test_a_stage_ends_after_two_fits_that_are_clearly_worse_than_its_best(
    losses: list[float], goes_on: bool
) -> None:
    fits = [("levels", loss, strength) for loss, strength in zip(losses, STRENGTHS, strict=False)]
    following = next_fit(history(POPULAR, *fits), STRENGTHS)
    assert (following == Fit("levels", STRENGTHS[len(losses)], is_first=False)) == goes_on
    assert (present(following).stage == "visitors") == (not goes_on)


@pytest.mark.parametrize(("best", "first"), [(7, 3), (6, 2), (5, 1), (4, 0), (3, 0), (0, 0)])
@pytest.mark.parametrize("stage", ["visitors", "messages"])
def test_a_later_stage_starts_four_strengths_before_the_best_one(stage: str, best: int, first: int) -> None:
    fits = [("levels", 1.0 + abs(index - best), strength) for index, strength in enumerate(STRENGTHS)]
    if stage == "messages":
        fits = [("levels", 2.0, STRENGTHS[-1]), ("visitors", 1.5, STRENGTHS[best])]
        fits += [("visitors", 2.0, STRENGTHS[-1])] * 2
    assert next_fit(history(POPULAR, *fits), STRENGTHS) == Fit(stage, STRENGTHS[first], is_first=True)


@pytest.mark.parametrize("best", ["levels", "visitors"])
def test_messages_are_the_last_stage_and_end_at_the_strength_that_was_best_without_them(best: str) -> None:
    """However good or bad they are: held-out visitors chose 4 without them."""
    fits = [(stage, 1.0 if stage == best else 1.5, 4.0) for stage in ("levels", "visitors")]
    fits += [("visitors", 2.0, 2.0), ("visitors", 2.0, 1.0)]
    for loss in (0.5, 1.0, 5.0):
        messages = [("messages", loss, 16.0), ("messages", loss + 1, 8.0)]
        assert next_fit(history(POPULAR, *fits, *messages), STRENGTHS) == Fit("messages", 4.0, is_first=False)
        assert next_fit(history(POPULAR, *fits, *messages, ("messages", loss + 2, 4.0)), STRENGTHS) is None


@pytest.mark.parametrize(("popular", "strength"), [(3.0, 1.0), (1.0, None), (0.9, None)])
def test_where_popularity_predicts_best_there_is_no_strength_for_messages(
    popular: float, strength: float | None
) -> None:
    fits = [("popularity", popular, 1.0), ("levels", 1.2, 1.0), ("visitors", 1.0, 1.0)]
    assert strength_of_messages(history(*fits)) == strength
    following = next_fit(history(*fits), STRENGTHS)
    assert following == (None if strength is None else Fit("messages", 16.0, is_first=True))


def test_the_best_is_the_first_of_equals_of_its_stages() -> None:
    epochs = history(
        ("levels", None, 8.0), ("levels", 1.0, 4.0), ("levels", 1.0, 2.0), ("visitors", 0.5, 1.0)
    )
    assert best_of(epochs, "levels").strength == 4.0
    assert best_of(epochs, "levels", "visitors").strength == 1.0
