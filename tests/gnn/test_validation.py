"""Ranks of held-out parts among the parts that fit, and which weights are clearly better. By hand."""

import math

import pytest
import torch
from gnn.two_cars import two_cars

from holley_assets.gnn.sampling import FittingParts, Positives
from holley_assets.gnn.validation import is_better, reciprocal_ranks, rivals_of


@pytest.mark.parametrize(
    ("scores", "eligible", "known", "rank"),
    [
        ([3.0, 2.0, 1.0, 9.0], "ABC", "", 1.0),
        ([1.0, 2.0, 3.0, 9.0], "ABC", "", 3.0),
        # A tie counts half a rank.
        ([2.0, 2.0, 1.0, 9.0], "ABC", "", 1.5),
        ([1.0, 1.0, 3.0, 9.0], "ABC", "", 2.5),
        # What may not be recommended, or what the user is known to like, is no rival.
        ([1.0, 2.0, 3.0, 9.0], "AB", "", 2.0),
        ([1.0, 2.0, 3.0, 9.0], "ABC", "C", 2.0),
        ([1.0, 2.0, 3.0, 9.0], "AB", "B", 1.0),
        ([1.0, 2.0, 3.0, 9.0], "ABC", "A", 3.0),
    ],
)
def test_a_part_is_ranked_among_the_eligible_parts_that_fit(
    scores: list[float], eligible: str, known: str, rank: float
) -> None:
    """A of the first car, whose second user met it; D, the best, fits the other car alone."""
    graph = two_cars(fits={"first": "ABC", "second": "D"})
    candidates = FittingParts(graph)
    row = graph["user"].vehicle_year[:1]
    none = torch.zeros(1)
    positives = Positives(edge=row, user=torch.tensor([1]), product=torch.tensor([0]), row=row, weight=none)
    rivals = rivals_of(
        positives,
        candidates,
        torch.tensor([sku in eligible for sku in graph.products]),
        torch.tensor([graph.products.index(sku) + 4 for sku in known], dtype=torch.long),
    )
    ranks = reciprocal_ranks(
        torch.tensor([[0.0], [1.0]]),
        torch.tensor(scores)[:, None],
        positives,
        torch.tensor([1]),
        rivals,
    )
    assert ranks.tolist() == pytest.approx([1.0 / rank])


def test_better_is_more_than_the_error_of_the_difference() -> None:
    """Differences 0.1, 0.3: the mean is 0.2, its standard error sqrt(0.02) / sqrt(2) = 0.1."""
    best = torch.tensor([0.5, 0.25], dtype=torch.float64)
    candidate = best + torch.tensor([0.1, 0.3], dtype=torch.float64)
    assert is_better(candidate, best, 1.99)
    assert not is_better(candidate, best, 2.01)
    assert not is_better(best, candidate, 0.0)
    assert not is_better(best, best, 0.0)
    assert is_better(best[:1] + 0.01, best[:1], math.pi)
    assert not is_better(best[:1], best[:1], math.pi)


def test_what_was_asked_twice_weighs_twice() -> None:
    """Differences 0.1 twice and 0.4: mean 0.2, variance (0.01 + 0.01 + 0.04) / 2, standard error 0.1."""
    best = torch.tensor([0.5, 0.25], dtype=torch.float64)
    candidate = best + torch.tensor([0.1, 0.4], dtype=torch.float64)
    weight = torch.tensor([2.0, 1.0], dtype=torch.float64)
    assert is_better(candidate, best, 1.99, weight=weight)
    assert not is_better(candidate, best, 2.01, weight=weight)
