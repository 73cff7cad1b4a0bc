"""GraphSAGE and the plain HeteroGAT of the benchmarks, where a right answer exists."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from gnn.small_world import make_graph, make_tables
from plain_networks import (
    MINIMUM_STRENGTH,
    Convolution,
    PlainGraph,
    PlainOptions,
    edge_loss,
    gat,
    sage,
    train_plain_network,
)

from holley_assets.gnn.graph_schema import INTERACTS, OWNS, REV_INTERACTS
from holley_assets.gnn.sampling import FittingParts, NegativeOptions

SMALL = PlainOptions(dim=16, hidden=32, epochs=10, batch=256, dropout=0.0)
NOBODY = (torch.empty(0, dtype=torch.long), torch.empty(0, dtype=torch.long), torch.empty(0))


def right_share(graph: PlainGraph, users: torch.Tensor, convolution: Convolution, epochs: int) -> float:
    """Share of the first four parts of ``users`` that are of their car's taste: chance is a half.

    In the world even parts are for even models and odd ones for odd models, and everything fits.
    """
    user, product = train_plain_network(graph, convolution, dataclasses.replace(SMALL, epochs=epochs), seed=0)
    first = (user[users.numpy()] @ product.T).argsort(axis=1)[:, -4:]
    return float((first % 2 == graph.data["user"].vehicle[users].numpy()[:, None] % 2).mean())


@pytest.mark.parametrize(("convolution", "epochs"), [(sage, 8), (gat, 8)])
def test_cars_learn_what_visitors_wanted_for_them(convolution: Convolution, epochs: int) -> None:
    """Nobody has a history; visitors wanted half of the parts of each car's taste, others for each car."""
    data = make_graph(make_tables(active=0)).data
    cars = torch.unique(data["user"].cold_profile)
    generator = torch.Generator().manual_seed(0)
    node, part = [], []
    for car in cars.tolist():
        taste = torch.arange(int(data["user"].vehicle[car]) % 2, 40, 2)
        part.append(taste[torch.randperm(20, generator=generator)[:10]])
        node.append(torch.full((10,), car))
    demand = (torch.cat(node), torch.cat(part), torch.full((10 * len(cars),), 5.0))
    assert right_share(PlainGraph.of(data, demand), cars, convolution, epochs) > 0.9


def test_users_learn_the_taste_of_what_they_met() -> None:
    graph = PlainGraph.of(make_graph(make_tables(active=60)).data, NOBODY)
    users = graph.data[INTERACTS].edge_index[0].unique()
    assert right_share(graph, users, sage, 10) > 0.9


def test_the_graph_is_that_of_single_users_with_wanted_parts() -> None:
    data = make_graph(make_tables()).data
    interactions = data[INTERACTS].edge_index.shape[1]
    demand = (
        torch.tensor([0, 0]),
        torch.tensor([0, 1]),
        torch.tensor([MINIMUM_STRENGTH / 2, MINIMUM_STRENGTH]),
    )
    graph = PlainGraph.of(data, demand)
    assert len(graph.met) == interactions + 2
    # Too weak a demand is learned from and passes no messages.
    assert graph.met.edge[-2:].tolist() == [-1, interactions]
    assert graph.edges[INTERACTS].shape[1] == interactions + 1
    # Each user owns one vehicle, whichever node stands for it.
    assert graph.edges[OWNS].shape[1] == 60
    owners = torch.bincount(graph.edges[OWNS][0], minlength=data["user"].num_nodes)
    assert owners.tolist() == data["user"].count.tolist()


def test_messages_of_a_step_leave_out_what_it_predicts() -> None:
    data = make_graph(make_tables()).data
    graph = PlainGraph.of(data, NOBODY)
    edges, weights = graph.without(torch.tensor([2, -1]))
    kept = torch.cat([graph.edges[INTERACTS][:, :2], graph.edges[INTERACTS][:, 3:]], dim=1)
    assert torch.equal(edges[INTERACTS], kept)
    assert torch.equal(edges[REV_INTERACTS], kept.flip(0))
    assert len(weights[INTERACTS]) == len(weights[REV_INTERACTS]) == kept.shape[1]


@pytest.mark.parametrize("corrects_draws", [False, True])
def test_the_correction_is_how_often_a_part_is_drawn(corrects_draws: bool) -> None:
    """All parts of the batch are one part, which is drawn for each of the 16 negatives."""
    graph = PlainGraph.of(make_graph(make_tables()).data, NOBODY)
    of_one_part = graph.met.take(torch.nonzero(graph.met.product == graph.met.product[0]).flatten())
    user, product = (torch.full((graph.data[kind].num_nodes, 4), 0.5) for kind in ("user", "product"))
    scale, offset = torch.tensor(2.0), torch.tensor(0.5)
    options = dataclasses.replace(
        SMALL, negatives=NegativeOptions(16, 1.0, 0.0), corrects_draws=corrects_draws
    )
    candidates, generator = FittingParts(graph.data), torch.Generator().manual_seed(0)
    loss = edge_loss(scale, offset, user, product, of_one_part, candidates, options, generator)
    logit = 2.5 - (np.log(16.0) if corrects_draws else 0.0)
    assert loss.item() == pytest.approx(np.log1p(np.exp(-logit)) + np.log1p(np.exp(logit)), rel=1e-5)
