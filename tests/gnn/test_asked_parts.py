"""The loss that chooses among all fits: each part that was met, over the cars that it could be for. By hand."""

import math
from collections.abc import Callable

import pytest
import torch
from gnn.two_cars import two_cars

from holley_assets.gnn.asked_parts import AskedParts
from holley_assets.gnn.demand import FittingPairs
from holley_assets.gnn.hidden_cars import HiddenCars

# A, B, C of the first car and A, B of the second.
PROBABILITY = torch.tensor([0.5, 0.3, 0.2, 0.1, 0.9])

# What a fold asks, and the parts that fit.
Asked = tuple[Callable[[int], AskedParts], FittingPairs]


@pytest.fixture
def asked() -> Asked:
    graph = two_cars((["A", "B"], 2), (["C"], 1), fits={"first": "ABC", "second": "AB"})
    names = ["".join(graph.products[part] for part in graph.set_products[:2])]
    assert names == ["AB"]
    # The second fold met A and B alone.
    hidden = HiddenCars(graph, torch.tensor([[2.0, 3.0], [1.0, 0.0]], dtype=torch.float64).numpy())
    posterior = torch.tensor([0.75, 0.25, 1.0])
    known = torch.tensor([1]), torch.tensor([1])  # a customer with the second car took B

    fitting = FittingPairs.of(graph)

    def asked_in(fold: int) -> AskedParts:
        return AskedParts.of(hidden, posterior, fold, fitting, *known, torch.Generator().manual_seed(0))

    return asked_in, fitting


def test_each_part_is_asked_for_over_the_cars_that_its_visitor_could_have(asked: Asked) -> None:
    """A: 0.75 · 0.5 + 0.25 · 0.1; B: 0.75 · 0.3 + 0.25 · 0.9; C: 0.2; the customer's B: 0.9."""
    asked_in, _ = asked
    every = asked_in(0)
    assert every.loss(PROBABILITY.log()).tolist() == pytest.approx(
        [-math.log(share) for share in (0.4, 0.45, 0.2, 0.9)]
    )
    assert every.weight.tolist() == [2.0, 2.0, 1.0, 1.0]


def test_what_nobody_of_the_fold_met_is_not_asked(asked: Asked) -> None:
    asked_in, _ = asked
    some = asked_in(1)
    assert some.weight.tolist() == [3.0, 3.0, 1.0]
    assert some.loss(PROBABILITY.log()).exp().tolist() == pytest.approx([1 / 0.4, 1 / 0.45, 1 / 0.9])


@pytest.mark.parametrize(
    ("most", "weights"), [(1, [[2.0, 2.0, 1.0], [1.0, 1.0]]), (2, [[2.0, 2.0, 1.0, 1.0]])]
)
def test_at_most_so_many_sets_are_asked_about(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, most: int, weights: list[list[float]]
) -> None:
    monkeypatch.setattr("holley_assets.gnn.asked_parts.MOST_SETS", most)
    asked_in, _ = asked
    assert asked_in(0).weight.tolist() in weights


@pytest.mark.parametrize(
    ("eligible", "ranks"),
    [
        # A is first and second, B second and first, C third; the customer's B is first.
        ([True, True, True], [0.75 / 1 + 0.25 / 2, 0.75 / 2 + 0.25 / 1, 1 / 3, 1.0]),
        # Without A all others move up, and A itself has no rank.
        ([False, True, True], [0.0, 1.0, 1 / 2, 1.0]),
        ([True, False, True], [1.0, 0.0, 1 / 2, 0.0]),
    ],
)
def test_a_part_is_ranked_among_the_eligible_parts_of_each_car(
    asked: Asked, eligible: list[bool], ranks: list[float]
) -> None:
    asked_in, fitting = asked
    every = asked_in(0)
    found = every.expected_reciprocal_ranks(PROBABILITY.log(), fitting, torch.tensor(eligible))
    assert found.tolist() == pytest.approx(ranks)
