"""Visitors' cars: which are possible, how probable each is, and what they wanted. Worked by hand."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from gnn.two_cars import two_cars
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.demand import FittingPairs
from holley_assets.gnn.hidden_cars import HiddenCars, PartSets, _possible_classes


def infer(
    graph: HeteroData, car: Tensor, product: Tensor
) -> tuple[HiddenCars, FittingPairs, Tensor, list[str], Tensor, dict[tuple[str, int], float]]:
    """The pairs as ``{(parts of the set, class): probability}``, and ln P of each set."""
    hidden = HiddenCars(graph, graph.set_visitors.double().numpy()[:, None])
    fitting = FittingPairs.of(graph)
    total = torch.stack(
        [
            (product[fitting.products[fitting.rows == row]] @ car[row]).logsumexp(0)
            for row in range(fitting.num_classes)
        ]
    )
    likelihood, posterior = hidden.log_likelihood(car, product, total)
    names = [
        "".join(graph.products[part] for part in hidden.sets.products[first:last])
        for first, last in zip(hidden.sets.offsets, hidden.sets.offsets[1:], strict=False)
    ]
    pairs = zip(hidden.set_of_pair.tolist(), hidden.class_of_pair.tolist(), posterior.tolist(), strict=True)
    return hidden, fitting, posterior, names, likelihood, {(names[s], c): share for s, c, share in pairs}


def test_a_visitor_is_shared_by_owners_and_tastes() -> None:
    """A and B fit both cars, three own the first, one the second; the first car's owners want A three times to one."""
    graph = two_cars((["A"], 8))
    car = torch.tensor([[1.0, 1.0], [-1.0, 1.0]])
    product = torch.tensor([[np.log(3) / 2, 0.0], [-np.log(3) / 2, 0.0]], dtype=torch.float32)
    hidden, fitting, posterior, _, likelihood, shares = infer(graph, car, product)
    # P(A | first) = 3/4, P(A | second) = 1/4; owners 3.2 and 1.2 with those that nobody registered
    first, second = 3.2 / 4.4 * 3 / 4, 1.2 / 4.4 * 1 / 4
    assert shares == pytest.approx({("A", 0): first / (first + second), ("A", 1): second / (first + second)})
    assert likelihood.exp().tolist() == pytest.approx([first + second])
    demand = hidden.demand(posterior, 0, fitting)
    assert demand.tolist() == pytest.approx(
        [8 * first / (first + second), 0, 8 * second / (first + second), 0], abs=1e-5
    )


def test_a_set_is_for_a_car_that_all_of_it_fits_and_else_part_by_part() -> None:
    graph = two_cars((["A", "M"], 5), (["M", "F"], 2), (["A"], 1), fits={"first": "AM", "second": "AF"})
    flat = torch.tensor([[0.0, 1.0], [0.0, 1.0]]), torch.zeros(3, 2)
    hidden, fitting, posterior, names, _, shares = infer(graph, *flat)
    assert shares["AM", 0] == shares["M", 0] == shares["F", 1] == pytest.approx(1.0)
    assert set(shares) == {("AM", 0), ("M", 0), ("F", 1), ("A", 0), ("A", 1)}
    assert dict(zip(names, hidden.visitors[:, 0], strict=True)) == {"AM": 5, "A": 1, "M": 2, "F": 2}
    demand = hidden.demand(posterior, 0, fitting)
    wanted = {
        (row, graph.products[part]): weight
        for row, part, weight in zip(
            fitting.rows.tolist(), fitting.products.tolist(), demand.tolist(), strict=True
        )
    }
    assert wanted[0, "M"] == pytest.approx(7)
    assert wanted[1, "F"] == pytest.approx(2)
    assert wanted[0, "A"] + wanted[1, "A"] == pytest.approx(6)


@pytest.mark.parametrize("pairs_in_block", [1, 3, 10**6])
def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch, pairs_in_block: int) -> None:
    sets = [(["A", "B"], 3), (["B", "C"], 1), (["C"], 4), (["A", "B", "C"], 2)]
    graph = two_cars(*sets, fits={"first": "ABC", "second": "AB", "third": "BC"})
    generator = torch.Generator().manual_seed(0)
    vectors = [torch.randn(3, 4, generator=generator) for _ in range(2)]
    whole = infer(graph, *vectors)
    monkeypatch.setattr("holley_assets.gnn.hidden_cars.PAIRS_IN_BLOCK", pairs_in_block)
    cut = infer(graph, *vectors)
    assert cut[5] == pytest.approx(whole[5])
    torch.testing.assert_close(cut[4], whole[4])
    demand = [each[0].demand(each[2], 0, each[1]) for each in (whole, cut)]
    torch.testing.assert_close(*demand)
    assert demand[0].sum() == pytest.approx(3 * 2 + 2 + 4 + 2 * 3)


def test_no_visitors_are_no_error() -> None:
    graph = two_cars()
    hidden, fitting, posterior, *_ = infer(graph, torch.zeros(2, 2), torch.zeros(2, 2))
    assert len(hidden) == 0 and not hidden.demand(posterior, 0, fitting).any()


@pytest.mark.parametrize("pairs_in_block", [2, 7, 10**6])
def test_possible_classes_are_those_that_all_parts_fit(
    monkeypatch: pytest.MonkeyPatch, pairs_in_block: int
) -> None:
    """Seven classes and 23 parts, so that a class's fitment begins within a byte, and sets of up to four parts."""
    monkeypatch.setattr("holley_assets.gnn.hidden_cars.PAIRS_IN_BLOCK", pairs_in_block)
    generator = np.random.default_rng(0)
    fits = generator.random((7, 23)) < 0.6
    members = [sorted(generator.choice(23, size, replace=False)) for size in [1, 2, 3, 4] * 10]
    offsets = np.concatenate([[0], np.cumsum([len(parts) for parts in members])])
    sets = PartSets(offsets, np.concatenate(members))
    matrix = sp.csr_array(fits.astype(np.float32))
    by_part = matrix.T.tocsr()
    by_part.sort_indices()
    found = list(zip(*(side.tolist() for side in _possible_classes(sets, matrix, by_part)), strict=True))
    expected = [
        (number, car) for number, parts in enumerate(members) for car in range(7) if fits[car, parts].all()
    ]
    assert found == expected and 0 < len(found) < 40 * 7


def test_owners_of_a_class_count_by_its_cars_years() -> None:
    """Three and one registered owners and 0.2 that nobody registered for each car."""
    hidden = HiddenCars(two_cars((["A"], 1)), np.ones((1, 1)))
    assert hidden.log_share.exp().tolist() == pytest.approx([3.2 / 4.4, 1.2 / 4.4])
