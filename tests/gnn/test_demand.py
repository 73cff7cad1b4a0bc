"""Demand is fitted by the logit it claims to be, with the priors it claims to have."""

import math
from copy import deepcopy

import pytest
import torch
from gnn.small_world import make_graph, make_tables

from holley_assets.gnn.demand import Demand, DemandOptions, fit_demand, fit_popularity, negative_log_prior
from holley_assets.gnn.model import HeteroGAT, ModelOptions
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.ragged import RaggedPairs, ragged_logsumexp, ragged_scores
from holley_assets.gnn.sampling import Candidates, Positives

MODEL = ModelOptions(embedding_dim=16, hidden_dim=16, heads=2, part_type_dim=4)


@pytest.fixture
def world():
    graph = make_graph(make_tables(users=120, active=90)).data
    positives = Positives.of(graph, Candidates(graph), 0.0)
    torch.manual_seed(0)
    return graph, positives, HeteroGAT(graph, MODEL)


def test_ragged_scores_and_their_gradients_by_hand():
    left = torch.tensor([[1.0, 2.0], [0.0, 1.0]], requires_grad=True)
    right = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    index = torch.tensor([0, 2, 1])
    scores = ragged_scores(left, right, RaggedPairs(index, torch.tensor([0, 2]), torch.tensor([0, 0, 1])))
    assert scores.tolist() == [3.0, 6.0, 0.0]
    (scores * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert left.grad.tolist() == [[1.0, 31.0], [200.0, 0.0]]
    assert right.grad.tolist() == [[1.0, 2.0], [0.0, 100.0], [10.0, 20.0]]
    table = RaggedPairs.of_table(torch.tensor([[0, 1], [2, 2]]))
    assert ragged_scores(left, right, table).tolist() == [3.0, 2.0, 3.0, 3.0]


def test_ragged_logsumexp_equals_torch_and_is_zero_for_an_empty_row():
    values = torch.tensor([1.0, 200.0, -3.0])
    result = ragged_logsumexp(values, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(result[[0, 2]], torch.stack([values[:2].logsumexp(0), values[2]]))
    assert result[1] == 0


def test_demand_adds_owners_to_visitors(world):
    graph, positives, _ = world
    demand = Demand(graph, positives)
    assert demand.weights.sum() == len(positives) + graph.candidate_demand.sum()
    batch = demand.batch(torch.tensor([2, 0]))
    assert batch.profiles.tolist() == demand.profiles[[2, 0]].tolist()
    assert batch.offsets.tolist() == [0, 40]
    assert torch.equal(batch.weights[:40], demand.weights[80:120])


def test_loss_is_the_multinomial_logit(world):
    graph, positives, model = world
    demand = Demand(graph, positives)
    vectors = model.embed_nodes(graph)
    batch = demand.batch(torch.arange(len(demand)))
    expected = 0.0
    for car, profile in enumerate(demand.profiles):
        mine = demand.rows == car
        share = (vectors.product[demand.products[mine]] @ vectors.user[profile]).log_softmax(0)
        expected -= float((demand.weights[mine] * share).sum().detach())
    scores = batch.scores(*model.embed_nodes(graph, users=batch.profiles))
    assert batch.negative_log_likelihood(scores).item() == pytest.approx(expected, rel=1e-5)


def test_biases_are_fitted_the_same_with_and_without_the_vectors_beside_them(world):
    """Where parts have vectors, of length 1e-30 here, the fit cannot do without them."""
    graph, positives, untrained = world
    fitted = []
    for value in (0.0, 1e-30):
        model = deepcopy(untrained)
        torch.nn.init.constant_(model.encoder.product_identity.weight, value)
        generator = torch.Generator().manual_seed(0)
        fit_demand(model, graph, Demand(graph, positives), DemandOptions(steps=20), math.inf, generator)
        fitted.append(model.embed_nodes(graph).product[:, -1])
    torch.testing.assert_close(fitted[0], fitted[1], rtol=1e-5, atol=1e-6)
    assert fitted[0].std() > 0


def test_biases_alone_leave_the_vectors_alone(world):
    graph, positives, model = world
    before = {name: value.clone() for name, value in model.state_dict().items()}
    generator = torch.Generator().manual_seed(0)
    fit_demand(model, graph, Demand(graph, positives), DemandOptions(steps=5), math.inf, generator)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"encoder.product_bias.weight", "encoder.part_type_bias.weight", "encoder.popularity"}


def test_a_stronger_prior_gives_smaller_vectors(world):
    graph, positives, _ = world
    norms = []
    for strength in (1.0, 100.0):
        torch.manual_seed(0)
        model = HeteroGAT(graph, MODEL)
        generator = torch.Generator().manual_seed(0)
        fit_demand(model, graph, Demand(graph, positives), DemandOptions(), strength, generator)
        norms.append(float(model.encoder.product_identity.weight.norm()))
    assert norms[1] < 0.5 * norms[0]


def test_prior_counts_what_is_learned(world):
    _, _, model = world
    options = DemandOptions()
    torch.nn.init.ones_(model.encoder.product_bias.weight)
    assert float(negative_log_prior(model.encoder, options, math.inf)) == pytest.approx(40 * 0.5 * 0.5)


def test_fitted_popularity_follows_what_is_chosen(world):
    graph, positives, _ = world
    popularity = torch.from_numpy(fit_popularity(graph, seed=0))
    counts = torch.bincount(positives.product, minlength=40)
    assert torch.corrcoef(torch.stack([popularity, counts.float().log1p()]))[0, 1] > 0.9
    assert torch.equal(popularity, torch.from_numpy(fit_popularity(graph, seed=0)))


def test_personal_vector_is_the_posterior_mode(world):
    """At the mode the gradient of likelihood and prior is zero, and other users are untouched."""
    graph, positives, model = world
    torch.nn.init.normal_(model.encoder.product_identity.weight, std=0.5)
    with torch.no_grad():
        vectors = model.embed_nodes(graph)
        personal = add_personal_vectors(vectors, graph, positives, precision=5.0, steps=60)
    active = positives.user.unique()
    rest = torch.ones(len(vectors.user), dtype=torch.bool)
    rest[active] = False
    assert torch.equal(personal.user[rest], vectors.user[rest])
    user = active[3]
    chosen = positives.product[positives.user == user]
    deviation = (personal.user[user] - vectors.user[user])[:-1].detach().requires_grad_()
    scores = vectors.product[:, :-1] @ (vectors.user[user, :-1] + deviation) + vectors.product[:, -1]
    objective = scores.log_softmax(0)[chosen].sum() - 2.5 * deviation.square().sum()
    objective.backward()
    assert deviation.grad.abs().max() < 1e-3
    assert deviation.detach().norm() > 0.05


def test_infinite_precision_means_no_personal_vectors(world):
    graph, positives, model = world
    vectors = model.embed_nodes(graph)
    assert add_personal_vectors(vectors, graph, positives, math.inf) is vectors
