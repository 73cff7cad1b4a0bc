"""How far customers with a known car follow the popularity of the whole shop."""

import dataclasses
import itertools
import math

import numpy as np
import pyarrow as pa
import pytest
import torch
from gnn.small_world import make_graph
from gnn.two_cars import two_cars_tables
from torch_geometric.data import HeteroData

from holley_assets.gnn.model import Vectors
from holley_assets.gnn.sampling import FittingParts, Positives
from holley_assets.gnn.shop_popularity import (
    SHARE_PRECISION,
    share_of_shop_popularity,
    with_shop_popularity,
)
from holley_assets.gnn.shop_visitors import share_of_shop_visitors

# A and B fit the one car; A has e² times the visitors of B, less the one that is added to both.
VISITORS = {"A": 738, "B": 99}


def one_car(chosen: str) -> HeteroData:
    """A graph in which each letter of ``chosen`` is what one customer chose."""
    sets = [([sku], number) for sku, number in VISITORS.items()]
    tables = two_cars_tables(*sets, fits={"car": "AB"}, owners=(max(1, len(chosen)),))
    emails = tables.user_nodes["email_lower"][: len(chosen)]
    edges = pa.table(
        {
            "email_lower": emails,
            "base_sku": pa.array(list(chosen), pa.string()),
            "weight": [1.0] * len(chosen),
        }
    )
    return make_graph(dataclasses.replace(tables, interacts_edges=edges)).data


def flat(data: HeteroData) -> Vectors:
    """A network for which all parts are alike."""
    user = torch.zeros(data["user"].num_nodes, 3, dtype=torch.float64)
    user[:, -1] = 1.0
    return Vectors(user, torch.zeros(data["product"].num_nodes, 3, dtype=torch.float64))


def share_of(chosen: str) -> float:
    data = one_car(chosen)
    return share_of_shop_popularity(flat(data), data, Positives.of(data, FittingParts(data), 0.0))


def test_the_share_is_the_mode_that_calculus_gives() -> None:
    """Logits of A and B are ±θ·d: the mode solves ``n_A − n · P(A) = λ · θ / 2d``."""
    half = math.log((VISITORS["A"] + 1) / (VISITORS["B"] + 1)) / 2
    chosen_a, chosen_b = 300, 100
    share = share_of("A" * chosen_a + "B" * chosen_b)
    chance = 1.0 / (1.0 + math.exp(-2 * share * half))
    gradient = 2 * half * (chosen_a - (chosen_a + chosen_b) * chance)
    assert gradient == pytest.approx(SHARE_PRECISION * share, rel=1e-4)
    assert share == pytest.approx(0.290, abs=0.001)


@pytest.mark.parametrize(
    ("chosen", "share"),
    [
        ("", 0.0),
        ("A" * 200 + "B" * 200, 0.0),
        # Less than two standard errors: 210 of 400 may be chance, and so may 5 of 6.
        ("A" * 210 + "B" * 190, 0.0),
        ("A" * 5 + "B", 0.0),
        # They want what everybody avoids: that is no popularity.
        ("A" * 100 + "B" * 300, 0.0),
        ("A" * 1990 + "B" * 10, 1.0),
    ],
)
def test_what_may_be_chance_moves_nothing(chosen: str, share: float) -> None:
    assert share_of(chosen) == share


def test_customers_who_choose_as_the_whole_shop_does_move_all_biases_there() -> None:
    data = one_car("A")
    moved = with_shop_popularity(flat(data), data, 1.0)
    difference = moved.product[0, -1] - moved.product[1, -1]
    assert float(difference) == pytest.approx(math.log(739 / 100), rel=1e-6)
    assert with_shop_popularity(flat(data), data, 0.0).product.abs().sum() == 0.0
    assert np.isclose(float(moved.product[:, -1].sum()), 0.0)


def test_a_network_that_is_right_already_is_left_alone() -> None:
    chosen = "A" * 3520 + "B" * 480
    data = one_car(chosen)
    vectors = with_shop_popularity(flat(data), data, 1.0)
    assert share_of_shop_popularity(vectors, data, Positives.of(data, FittingParts(data), 0.0)) == 0.0
    # 3520 of 4000 is the share of visitors, so that a network without popularity is moved nearly all the way.
    assert 0.85 < share_of(chosen) < 0.9


@pytest.mark.parametrize(
    ("chosen", "share"),
    [
        ("", 0.8),
        # By the whole shop's popularity A is chosen in 85 of 100 cases: 20 of 40 may be chance, 50 of 100 are not.
        ("A" * 20 + "B" * 20, 0.8),
        ("A" * 50 + "B" * 50, 0.617),
        ("A" * 2000 + "B" * 2000, 0.056),
        ("A" * 352 + "B" * 48, 0.8),
        ("A" * 400, 1.0),
    ],
)
def test_customers_move_the_share_away_from_that_of_visitors_where_they_clearly_differ(
    monkeypatch: pytest.MonkeyPatch, chosen: str, share: float
) -> None:
    monkeypatch.setattr("holley_assets.gnn.shop_popularity.share_of_shop_visitors", lambda data: 0.8)
    assert share_of(chosen) == pytest.approx(share, abs=0.001)


def test_visitors_of_the_whole_shop_move_biases_where_no_customer_is_known() -> None:
    """Twelve parts, six for each of two cars, of which visitors met any two."""
    pairs = list(itertools.combinations("ABCDEFGHIJKL", 2))
    tables = two_cars_tables(
        *((list(pair), 1) for pair in pairs), fits={"first": "ABCDEF", "second": "GHIJKL"}
    )
    data = make_graph(tables).data
    no_customer = Positives.of(data, FittingParts(data), 0.0)
    assert len(no_customer) == 0
    share = share_of_shop_popularity(flat(data), data, no_customer)
    assert share == share_of_shop_visitors(data)
    assert share > 0.5
