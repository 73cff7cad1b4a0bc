"""The terms of a score sum to what the vectors give, and each is what its name says."""

from __future__ import annotations

import pytest
import torch
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, vocabularies_of
from holley_assets.gnn.embedding import embed
from holley_assets.gnn.graph_schema import LOG_VISITORS
from holley_assets.gnn.model import HeteroGAT, ModelOptions
from holley_assets.gnn.score_terms import TERMS, ScoreModel
from holley_assets.gnn.towers import AttentionOptions

PRECISION = 2.0


def random_checkpoint(graph: HeteroData, attention: AttentionOptions | None = None) -> Checkpoint:
    """Weights by chance, none of them zero."""
    torch.manual_seed(0)
    options = ModelOptions(embedding_dim=8, hops=2, attention=attention)
    state = {
        name: torch.randn_like(value) * 0.3 if value.is_floating_point() and "scale" not in name else value
        for name, value in HeteroGAT(graph, options).state_dict().items()
    }
    return Checkpoint(state, options, vocabularies_of(graph), [], 0)


def profile_with_history(graph: HeteroData) -> int:
    return int(graph["user", "interacts", "product"].edge_index[0, 0])


@pytest.mark.parametrize(
    "attention", [None, AttentionOptions(hidden_dim=8, heads=2, layers=1, part_type_dim=4)]
)
@pytest.mark.parametrize("history", [False, True])
def test_terms_sum_to_the_logit_of_the_vectors(
    graph: HeteroData, attention: AttentionOptions | None, history: bool
) -> None:
    graph["product"].season = torch.linspace(-0.5, 0.5, graph["product"].num_nodes)
    checkpoint = random_checkpoint(graph, attention)
    profile = profile_with_history(graph)
    profile = profile if history else int(graph["user"].cold_profile[profile])
    vectors = embed(graph, checkpoint, personal_precision=PRECISION)
    logits = vectors.product @ vectors.user[profile] * vectors.temperature
    found = ScoreModel(graph, checkpoint).terms(profile, graph.products, personal_precision=PRECISION)
    assert found.logits.sum(axis=1) == pytest.approx(logits, rel=1e-4, abs=1e-5)
    terms = dict(zip(TERMS, found.logits.T, strict=True))
    assert bool(terms["personal"].any()) == history
    assert bool(terms["attention"].any()) == (attention is not None)


def test_each_term_is_what_its_name_says(graph: HeteroData) -> None:
    graph["product"].season = torch.linspace(-0.5, 0.5, graph["product"].num_nodes)
    checkpoint = random_checkpoint(graph)
    profile, part = profile_with_history(graph), 3
    found = ScoreModel(graph, checkpoint).terms(profile, [graph.products[part]], personal_precision=PRECISION)
    terms = dict(zip(TERMS, found.logits[0].tolist(), strict=True))
    state = {name: value.double() for name, value in checkpoint.state.items()}
    kind = int(graph["product"].part_type[part])
    vehicle, car = (int(graph["user"][name][profile]) for name in ("vehicle", "vehicle_class"))
    vector = state["levels.product.weight"][part] + state["levels.part_type.weight"][kind]
    bias = state["levels.product_bias.weight"][part, 0] + state["levels.part_type_bias.weight"][kind, 0]
    bias += state["levels.popularity"] * graph["product"].features[part, LOG_VISITORS].double()
    make = state["levels.make.weight"][int(graph["vehicle"].make[vehicle])]
    assert terms["popularity"] == pytest.approx(float(bias), rel=1e-12)
    assert terms["season"] == float(graph["product"].season[part])
    assert terms["make"] == pytest.approx(float(vector @ make), rel=1e-12)
    assert terms["model"] == pytest.approx(float(vector @ state["levels.vehicle.weight"][vehicle]), rel=1e-12)
    of_class = state["levels.vehicle_class.weight"][car]
    assert terms["class"] == pytest.approx(float(vector @ of_class), rel=1e-12)
    # Two hops, one matrix product each.
    paths = torch.zeros(len(graph.classes), len(graph.classes), dtype=torch.float64)
    paths.scatter_add_(1, graph.car_neighbours, graph.car_weights.double())
    heard = state["hops"][0] * paths[car] + state["hops"][1] * (paths @ paths)[car]
    assert found.strength == pytest.approx(heard[torch.from_numpy(found.neighbours)].numpy(), rel=1e-12)
    assert list(abs(found.strength)) == sorted(abs(found.strength), reverse=True)
    assert found.from_neighbours.sum() == pytest.approx(terms["messages"], rel=1e-12)


def test_a_part_that_the_graph_does_not_hold_is_an_error(graph: HeteroData) -> None:
    with pytest.raises(KeyError):
        ScoreModel(graph, random_checkpoint(graph)).terms(0, ["NO-SUCH-PART"], personal_precision=PRECISION)
