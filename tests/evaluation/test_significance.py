"""Significance: exact values, agreement with brute force, coverage, power."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from holley_assets.evaluation.significance import (
    Bootstrap,
    bootstrap_means,
    compare_scope,
    interval,
    mcnemar_p_value,
    minimal_detectable_lift,
    relative_lift,
)


def paired(wins: int, losses: int, both: int = 0, neither: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Outcomes of two systems with that many users of each kind."""
    treatment = [1.0] * wins + [0.0] * losses + [1.0] * both + [0.0] * neither
    baseline = [0.0] * wins + [1.0] * losses + [1.0] * both + [0.0] * neither
    return np.array(treatment), np.array(baseline)


def test_mcnemar_by_hand() -> None:
    """Nine wins of ten discordant users: 2 · (10 + 1) / 2^10."""
    assert mcnemar_p_value(*paired(9, 1, both=50, neither=100)) == pytest.approx(22 / 1024)


def test_mcnemar_without_evidence() -> None:
    """No users: no p-value. Users, but none discordant: 1."""
    assert mcnemar_p_value(*paired(0, 0)) is None
    assert mcnemar_p_value(*paired(0, 0, both=3, neither=4)) == 1.0


@given(wins=st.integers(0, 60), losses=st.integers(0, 60), agreeing=st.integers(0, 40))
@settings(max_examples=40)
def test_mcnemar_is_symmetric_and_looks_at_discordant_users_alone(
    wins: int, losses: int, agreeing: int
) -> None:
    """Swapping the systems changes nothing, nor do users on whom both agree."""
    value = mcnemar_p_value(*paired(wins, losses, both=1))
    assert value == mcnemar_p_value(*paired(losses, wins, both=1, neither=agreeing))
    expected = min(1.0, 2 * binom.cdf(min(wins, losses), wins + losses, 0.5))
    assert value == pytest.approx(expected)


def test_bootstrap_has_the_distribution_of_drawing_users() -> None:
    """Collapsing equal users leaves mean and spread of the resampled means as they are."""
    random = np.random.default_rng(3)
    values = np.column_stack([random.choice([-1.0, 0.0, 1.0], 500, p=[0.05, 0.8, 0.15]), random.random(500)])
    fast = bootstrap_means(values, draws=20_000, seed=1)
    slow = values[random.integers(0, 500, size=(4_000, 500))].mean(axis=1)
    np.testing.assert_allclose(fast.mean(axis=0), slow.mean(axis=0), atol=2e-3)
    np.testing.assert_allclose(fast.std(axis=0), slow.std(axis=0), rtol=0.06)
    assert np.corrcoef(fast.T)[0, 1] == pytest.approx(np.corrcoef(slow.T)[0, 1], abs=0.05)


def test_bootstrap_repeats_with_its_seed_and_ignores_the_order_of_users() -> None:
    """Same seed, same draws, however the users are sorted; another seed, other draws."""
    values = np.random.default_rng(0).random((50, 2)).round(1)
    first = bootstrap_means(values, draws=100, seed=[4, 1])
    np.testing.assert_array_equal(first, bootstrap_means(values[::-1], draws=100, seed=[4, 1]))
    assert (first != bootstrap_means(values, draws=100, seed=[5, 1])).any()


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    """Of 300 samples with a true difference of 5 %, about 95 % of the intervals contain it."""
    random = np.random.default_rng(11)
    covered = 0
    for sample in range(300):
        difference = random.choice([-1.0, 0.0, 1.0], 800, p=[0.05, 0.85, 0.10])[:, None]
        bounds = interval(bootstrap_means(difference, draws=1000, seed=sample)[:, 0], 0.95)
        assert bounds is not None
        covered += bounds[0] <= 0.05 <= bounds[1]
    assert 0.91 <= covered / 300 <= 0.99


def test_interval_of_what_does_not_exist() -> None:
    """One undefined draw, such as a relative lift over a baseline of 0, leaves no interval."""
    assert interval(np.array([0.1, np.inf, 0.2]), 0.95) is None
    assert interval(np.array([0.1, np.nan, 0.2]), 0.95) is None


def test_relative_lift() -> None:
    """Plain ratio, and none over a baseline of 0."""
    assert relative_lift(0.12, 0.10) == pytest.approx(0.2)
    assert relative_lift(0.12, 0.0) is None


@given(users=st.integers(4, 100_000), discordant=st.floats(0.0, 1.0))
@settings(max_examples=80)
def test_minimal_detectable_lift_solves_the_sample_size_formula(users: int, discordant: float) -> None:
    """Put back into Miettinen's formula, the lift asks for exactly as many users."""
    lift = minimal_detectable_lift(users, discordant)
    if lift is None:
        return
    share = max(discordant, lift)
    needed = (1.959964 * math.sqrt(share) + 0.841621 * math.sqrt(share - lift**2)) ** 2 / lift**2
    assert needed == pytest.approx(users, rel=1e-4)


def test_minimal_detectable_lift_is_what_the_specification_says() -> None:
    """About 2,000 users and 10 % discordant: 2 %, the figure in the technical specification."""
    assert minimal_detectable_lift(2000, 0.10) == pytest.approx(0.0198, abs=2e-4)


def test_minimal_detectable_lift_has_its_power() -> None:
    """McNemar's exact test sees that lift in about 80 % of simulated test sets (a little conservative)."""
    users, discordant = 1500, 0.12
    lift = minimal_detectable_lift(users, discordant)
    assert lift is not None
    wins = (discordant + lift) / 2
    random = np.random.default_rng(5)
    counts = random.multinomial(users, [wins, discordant - wins, 1 - discordant], size=600)
    p_values = [mcnemar_p_value(*paired(int(won), int(lost))) for won, lost, _ in counts]
    assert 0.74 <= np.mean([value is not None and value < 0.05 for value in p_values]) <= 0.85


def test_few_users_detect_nothing() -> None:
    """With three users no lift reaches significance."""
    assert minimal_detectable_lift(0, 0.1) is None
    assert minimal_detectable_lift(3, 0.5) is None


def test_more_users_detect_less() -> None:
    """The detectable lift falls with the users and rises with the discordant share."""
    lifts = [minimal_detectable_lift(users, 0.1) or 1.0 for users in (50, 500, 5000)]
    assert lifts == sorted(lifts, reverse=True)
    assert (minimal_detectable_lift(500, 0.2) or 0.0) > (minimal_detectable_lift(500, 0.1) or 1.0)


def test_each_number_of_a_comparison_is_its_own() -> None:
    """Every user has the same recall and rank, so that each resample has the same ratio; one user won, two lost."""
    treatment = {
        "hit_rate@4": [1.0, 1.0, 0.0, 0.0, 9.0],
        "recall@10": [0.6] * 4 + [9.0],
        "mrr": [0.3] * 4 + [9.0],
    }
    baseline = {
        "hit_rate@4": [0.0, 1.0, 1.0, 1.0, 9.0],
        "recall@10": [0.4] * 4 + [9.0],
        "mrr": [0.25] * 4 + [9.0],
    }
    one, other = ({name: np.array(values) for name, values in side.items()} for side in (treatment, baseline))
    inside = np.array([True] * 4 + [False])
    comparison, power = compare_scope(one, other, inside, Bootstrap(draws=200), 0)
    assert comparison["hit_rate@4_delta"] == -0.25
    assert comparison["ci95"][0] < -0.25 < comparison["ci95"][1]
    assert comparison["recall@10_relative"] == pytest.approx(0.5)
    assert comparison["mrr_relative"] == pytest.approx(0.2)
    assert power["recall@10_relative_ci95"] == pytest.approx([0.5, 0.5])
    assert power["mrr_relative_ci95"] == pytest.approx([0.2, 0.2])
    # One of three discordant users: 2 · (1 + 3) / 8 is more than one, so one.
    assert comparison["mcnemar_p"] == pytest.approx(1.0)
    assert (power["users"], power["wins"], power["losses"], power["discordant_share"]) == (4, 1, 2, 0.75)
