"""Bounds of looks: published values, their total by another road, and what looks may not change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal, norm

from holley_assets.experiment.looks import LARGEST_BOUND, sequential_bounds, spent_alpha


def even(looks: int) -> list[float]:
    return [number / looks for number in range(1, looks + 1)]


@pytest.mark.parametrize(
    "published",
    [
        # Lan and DeMets' spending like O'Brien and Fleming, two-sided 5 %, as in Reboussin et al., "Computations for
        # group sequential boundaries", Controlled Clinical Trials 21, 2000, and in R's package ldbounds.
        [1.9600],
        [2.9626, 1.9686],
        [3.7103, 2.5114, 1.9930],
        [4.3326, 2.9631, 2.3590, 2.0141],
        [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
    ],
)
def test_bounds_are_the_published_ones(published: list[float]) -> None:
    found = sequential_bounds(even(len(published)), even(len(published)), 0.05)
    assert found == pytest.approx(published, abs=2e-4)


def test_spent_alpha_by_hand() -> None:
    assert spent_alpha(0.0, 0.05) == 0.0
    assert spent_alpha(1.0, 0.05) == pytest.approx(0.05)
    # Each tail: 2 − 2 Φ(2.2414 / √0.5), 2.2414 being the upper 1.25 % point.
    assert spent_alpha(0.5, 0.05) == pytest.approx(2 * (2 - 2 * norm.cdf(2.241402727604945 / 0.5**0.5)))
    for fraction in (-0.1, 1.1):
        with pytest.raises(ValueError, match="from 0 to 1"):
            spent_alpha(fraction, 0.05)


# The last two: nearly all users came before the first look, as where everybody is shown the parts from the first day.
@pytest.mark.parametrize(
    "information",
    [[100.0, 380.0, 500.0], [100.0, 101.0, 500.0], [1000.0, 1003.0, 1006.0], [1e5, 1e5 + 10.0, 1e5 + 20.0]],
)
def test_uneven_looks_give_the_level_by_another_integration(information: list[float]) -> None:
    fractions = [0.3, 0.5, 1.0]
    bounds = np.array(sequential_bounds(fractions, information, 0.05))
    apart = np.minimum.outer(information, information)
    correlation = apart / np.sqrt(np.outer(information, information))
    for looks in (1, 2, 3):
        inside = multivariate_normal(cov=correlation[:looks, :looks]).cdf(
            bounds[:looks], lower_limit=-bounds[:looks]
        )
        assert 1.0 - inside == pytest.approx(spent_alpha(fractions[looks - 1], 0.05), abs=1e-4)


def test_looks_with_the_same_users_are_one_test_that_may_spend_more() -> None:
    """Each bound is that of a single look with all that may be spent until then, and next to nothing above it."""
    fractions = even(20)
    bounds = sequential_bounds(fractions, list(1e5 + np.arange(20) * 1e-6), 0.05)
    single = [min(8.0, norm.isf(spent_alpha(fraction, 0.05) / 2.0)) for fraction in fractions]
    assert bounds[0] == 8.0
    assert bounds == pytest.approx(single, abs=1e-3)
    assert all(bound > least - 1e-9 for bound, least in zip(bounds, single, strict=True))


def test_the_unit_of_information_changes_nothing() -> None:
    information = np.array([1.0, 1.5, 4.0])
    bounds = [sequential_bounds(even(3), list(unit * information), 0.05) for unit in (1e-6, 1.0, 1e6)]
    assert bounds[0] == pytest.approx(bounds[1], abs=1e-8) and bounds[2] == pytest.approx(bounds[1], abs=1e-8)


def test_later_looks_change_no_earlier_bound() -> None:
    assert (
        sequential_bounds(even(5)[:3], [1, 4, 9], 0.05)
        == sequential_bounds(even(5), [1, 4, 9, 10, 30], 0.05)[:3]
    )


def test_a_look_every_day_of_eight_weeks() -> None:
    bounds = sequential_bounds(even(56), even(56), 0.05)
    assert bounds[0] == LARGEST_BOUND and bounds == sorted(bounds, reverse=True)
    # Between the bound of five looks and that of looking without end.
    assert 2.0310 < bounds[-1] < 2.25


@settings(max_examples=25)
@given(
    steps=st.lists(st.floats(0.05, 1.0), min_size=1, max_size=6),
    users=st.lists(st.floats(1.0, 100.0), min_size=6, max_size=6),
    alpha=st.sampled_from([0.01, 0.05, 0.1]),
)
def test_no_bound_is_below_that_of_a_single_look(
    steps: list[float], users: list[float], alpha: float
) -> None:
    fractions = np.cumsum(steps) / np.sum(steps)
    bounds = sequential_bounds(list(np.minimum(fractions, 1.0)), list(np.cumsum(users[: len(steps)])), alpha)
    assert all(norm.isf(alpha / 2.0) - 1e-6 <= bound <= LARGEST_BOUND for bound in bounds)


@pytest.mark.parametrize(
    ("fractions", "information"),
    [([0.5, 0.5], [1, 2]), ([0.5, 1.0], [2, 2]), ([0.5, 1.0], [0, 2]), ([0.5, 1.0], [2, 1])],
)
def test_looks_must_rise(fractions: list[float], information: list[float]) -> None:
    with pytest.raises(ValueError, match="rise from look to look"):
        sequential_bounds(fractions, information, 0.05)


def test_each_look_needs_its_information() -> None:
    with pytest.raises(ValueError, match="2 fractions for 1 amounts"):
        sequential_bounds([0.5, 1.0], [1], 0.05)
