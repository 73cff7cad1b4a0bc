"""The season follows recent orders as far as they predicted the newest ones, and no further."""

from dataclasses import replace

import numpy as np
import torch
from gnn.small_world import daily_orders, make_graph, make_tables
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, vocabularies_of
from holley_assets.gnn.controls import counted_popularity, fitted_popularity
from holley_assets.gnn.embedding import in_season
from holley_assets.gnn.model import HeteroGAT, ModelOptions, Vectors
from holley_assets.gnn.season import season

PARTS = 30
DAYS = 240


def orders(shares: np.ndarray, seed: int = 0, daily: int = 50) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draws of ``daily`` orders a day; ``shares`` ``[DAYS, PARTS]``, the last row is yesterday."""
    random = np.random.default_rng(seed)
    counts = np.stack([random.multinomial(daily, share) for share in shares])
    day, product = np.nonzero(counts)
    return product, (DAYS - day).astype(np.float64), counts[day, product].astype(np.float64)


def uneven(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.full(PARTS, 2.0))


def test_a_shift_of_demand_that_lasts_is_followed() -> None:
    before, since = uneven(1), uneven(2)
    changed = np.where(np.arange(DAYS)[:, None] < DAYS - 60, before, since)
    found = season(*orders(changed), num_products=PARTS, horizon=30, decay_days=30.0)
    all_time = changed.mean(0)
    expected = all_time * np.exp(found.shift)
    assert np.abs(expected - since).sum() < 0.35 * np.abs(all_time - since).sum()
    assert found.mixture[-1] < 0.2


def test_steady_demand_has_no_season() -> None:
    steady = np.broadcast_to(uneven(1), (DAYS, PARTS))
    found = season(*orders(steady), num_products=PARTS, horizon=30, decay_days=30.0)
    assert np.abs(found.shift).max() < 0.1
    # What it gets wrong is far less than what the last month alone gets wrong.
    product, age, count = orders(steady)
    month = np.bincount(product[age <= 30], count[age <= 30], PARTS)
    expected = np.exp(found.shift) * (np.bincount(product, count, PARTS) + 0.5)
    noise = [np.abs(share / share.sum() - steady[0]).sum() for share in (expected, month)]
    assert noise[0] < 0.5 * noise[1]


def test_few_orders_tell_no_season() -> None:
    """One order every third day: what was ordered lately is chance, and ten orders speak for all time."""
    age = np.arange(1.0, DAYS, 3.0)
    for seed in range(5):
        product = np.random.default_rng(seed).choice(PARTS, len(age), p=uneven(1))
        found = season(product, age, np.ones(len(age)), num_products=PARTS, horizon=30, decay_days=30.0)
        assert found.mixture[-1] > 0.85
        assert np.abs(found.shift).mean() < 0.1


def test_where_recent_and_all_orders_are_alike_all_time_is_left() -> None:
    """A single part has every share: nothing but the orders that speak for all time can tell."""
    age = np.arange(1.0, DAYS, 3.0)
    product = np.zeros(len(age), np.int64)
    found = season(product, age, np.ones(len(age)), num_products=1, horizon=30, decay_days=30.0)
    np.testing.assert_allclose(found.mixture, [0.0, 0.0, 0.0, 1.0], atol=1e-9)


@given(
    entries=st.lists(
        st.tuples(st.integers(0, 4), st.integers(1, 400), st.integers(1, 50)),
        max_size=30,
        unique_by=lambda e: e[:2],
    ),
    horizon=st.integers(0, 60),
)
def test_expected_shares_are_a_distribution_whatever_was_ordered(
    entries: list[tuple[int, int, int]], horizon: int
) -> None:
    product, age, count = (np.array([entry[i] for entry in entries]) for i in range(3))
    found = season(
        product.astype(np.int64),
        age.astype(np.float64),
        count.astype(np.float64),
        num_products=5,
        horizon=horizon,
        decay_days=30.0,
    )
    total = np.bincount(product.astype(np.int64), count, 5) + 0.5
    np.testing.assert_allclose((np.exp(found.shift) * total / total.sum()).sum(), 1.0, rtol=1e-5)
    np.testing.assert_allclose(found.mixture.sum(), 1.0)
    assert np.isfinite(found.shift).all()
    if horizon == 0 or (age <= horizon).all():
        assert not found.shift.any()


SUMMER = [("P000", 70, 10), ("P001", 70, 10), ("P000", 10, 20)]


def season_of(*orders: tuple[str, int, int]) -> Tensor:
    graph = make_graph(replace(make_tables(), daily_orders=daily_orders(*orders))).data
    found: Tensor = graph["product"].season
    return found


def test_the_graph_sees_orders_of_its_products_before_its_end() -> None:
    expected = season_of(*SUMMER)
    assert expected[0] > 0 > expected[1]
    after_the_cutoff, of_no_node = ("P002", -5, 50), ("GONE", 10, 1000)
    assert torch.equal(season_of(*SUMMER, after_the_cutoff, of_no_node), expected)


def test_the_season_moves_every_score_of_a_part_alike_and_the_control_too(graph: HeteroData) -> None:
    user, product = torch.rand(3, 5), torch.rand(4, 5)
    user[:, -1] = 1.0
    shift = torch.tensor([0.0, 1.0, -2.0, 0.5])
    shifted = in_season(Vectors(user, product), shift)
    torch.testing.assert_close(shifted.user @ shifted.product.T, user @ product.T + shift)

    seasonal = graph.clone()
    seasonal["product"].season = torch.linspace(-1.0, 1.0, 40)
    model = ModelOptions(embedding_dim=16)
    state = HeteroGAT(graph, model).state_dict()
    checkpoint = Checkpoint(state, model, vocabularies_of(graph), [], 0, {"popularity": state})
    for popularity in (counted_popularity, lambda data: fitted_popularity(data, checkpoint)):
        difference = popularity(seasonal) - popularity(graph)
        np.testing.assert_allclose(difference, seasonal["product"].season, atol=1e-5)
