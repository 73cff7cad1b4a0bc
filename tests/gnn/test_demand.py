"""Demand is fitted by the logit it claims to be, with the priors it claims to have."""

import math

import pytest
import torch
from gnn.small_world import make_graph, make_tables
from present import present
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.demand import FitOptions, FittingPairs, fit_demand
from holley_assets.gnn.model import HeteroGAT, ModelOptions
from holley_assets.gnn.personal import add_personal_vectors
from holley_assets.gnn.ragged import RaggedPairs, ragged_logsumexp, ragged_scores
from holley_assets.gnn.sampling import FittingParts, Positives

MODEL = ModelOptions(embedding_dim=16)
# A graph, what is learned from, a model, the parts that fit, and how often each was chosen.
World = tuple[HeteroData, Positives, HeteroGAT, FittingPairs, Tensor]


@pytest.fixture
def world() -> World:
    graph = make_graph(make_tables(users=120, active=90)).data
    positives = Positives.of(graph, FittingParts(graph), 0.0)
    torch.manual_seed(0)
    fitting = FittingPairs.of(graph)
    weights = torch.zeros(len(fitting))
    position = fitting.positions(graph.class_of_row[positives.row], positives.product)
    weights.index_add_(0, position, torch.ones(len(position)))
    return graph, positives, HeteroGAT(graph, MODEL), fitting, weights


def test_ragged_scores_and_their_gradients_by_hand() -> None:
    left = torch.tensor([[1.0, 2.0], [0.0, 1.0]], requires_grad=True)
    right = torch.tensor([[1.0, 1.0], [2.0, 0.0], [0.0, 3.0]], requires_grad=True)
    index = torch.tensor([0, 2, 1])
    scores = ragged_scores(left, right, RaggedPairs(index, torch.tensor([0, 2]), torch.tensor([0, 0, 1])))
    assert scores.tolist() == [3.0, 6.0, 0.0]
    (scores * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert present(left.grad).tolist() == [[1.0, 31.0], [200.0, 0.0]]
    assert present(right.grad).tolist() == [[1.0, 2.0], [0.0, 100.0], [10.0, 20.0]]
    table = RaggedPairs.of_table(torch.tensor([[0, 1], [2, 2]]))
    assert ragged_scores(left, right, table).tolist() == [3.0, 2.0, 3.0, 3.0]


def test_ragged_logsumexp_equals_torch_and_is_zero_for_an_empty_row() -> None:
    values = torch.tensor([1.0, 200.0, -3.0])
    result = ragged_logsumexp(values, torch.tensor([0, 0, 2]), 3)
    torch.testing.assert_close(result[[0, 2]], torch.stack([values[:2].logsumexp(0), values[2]]))
    assert result[1] == 0


def test_fitting_pairs_are_the_parts_of_each_class(world: World) -> None:
    _, _, _, fitting, weights = world
    assert (fitting.num_classes, len(fitting)) == (6, 6 * 40)
    some, some_weights = fitting.take(torch.tensor([2, 0]), weights)
    assert some.offsets.tolist() == [0, 40]
    assert torch.equal(some_weights, torch.cat([weights[80:120], weights[:40]]))
    assert fitting.positions(torch.tensor([3]), torch.tensor([7])).tolist() == [3 * 40 + 7]


def test_the_chance_of_a_part_is_the_multinomial_logit(world: World) -> None:
    graph, _, model, fitting, _ = world
    torch.nn.init.normal_(model.levels.product.weight)
    car, product = model.cars(graph, None), model.levels.products(graph)
    expected = (car @ product.T).log_softmax(dim=1)  # every part fits every car
    torch.testing.assert_close(fitting.log_probability(car, product), expected.flatten())


def test_biases_alone_leave_the_vectors_alone(world: World) -> None:
    graph, _, model, fitting, weights = world
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fit_demand(model, graph, fitting, weights, math.inf, torch.Generator(), options=FitOptions(steps=5))
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"levels.product_bias.weight", "levels.part_type_bias.weight", "levels.popularity"}


@pytest.mark.parametrize("pairs_in_step", [10**6, 120])
def test_biases_converge_to_the_shares_of_what_was_chosen(
    world: World, monkeypatch: pytest.MonkeyPatch, pairs_in_step: int
) -> None:
    """Every part fits every car, so that the fit is known: the shares, but for the prior; in one batch or in many."""
    monkeypatch.setattr("holley_assets.gnn.demand.PAIRS_IN_STEP", pairs_in_step)
    graph, _, model, fitting, _ = world
    weights = torch.rand(6, 40, generator=torch.Generator().manual_seed(1)) * 1e4
    generator = torch.Generator().manual_seed(0)
    fit_demand(model, graph, fitting, weights.flatten(), math.inf, generator, options=FitOptions(steps=400))
    fitted = model.levels.bias(graph).detach().softmax(0)
    torch.testing.assert_close(fitted, weights.sum(0) / weights.sum(), rtol=0.05, atol=0.001)


def test_a_stronger_prior_gives_smaller_vectors(world: World) -> None:
    graph, _, _, fitting, weights = world
    norms = []
    for strength in (1.0, 100.0):
        torch.manual_seed(0)
        model = HeteroGAT(graph, MODEL)
        fit_demand(model, graph, fitting, weights, strength, torch.Generator())
        norms.append(float(model.levels.product.weight.norm()))
    assert norms[1] < 0.5 * norms[0]


def test_a_stronger_prior_gives_smaller_biases_and_leaves_popularity(world: World) -> None:
    graph, _, _, fitting, weights = world
    norms = []
    for strength in (1.0, 100.0):
        model = HeteroGAT(graph, MODEL)
        fit_demand(model, graph, fitting, weights, math.inf, torch.Generator(), bias_strength=strength)
        norms.append(float(model.levels.product_bias.weight.norm()))
    assert norms[1] < 0.5 * norms[0]


def test_prior_counts_what_is_learned(world: World) -> None:
    _, _, model, _, _ = world
    torch.nn.init.ones_(model.levels.product_bias.weight)
    assert float(model.levels.negative_log_prior(math.inf)) == pytest.approx(40 * 0.5 * 0.5)
    torch.nn.init.constant_(model.levels.part_type_bias.weight, 2.0)
    types = len(model.levels.part_type_bias.weight)
    of_biases = 3.0 * (40 * 0.5 * 0.5 + types * 0.5 * 0.1 * 4.0)
    assert float(model.levels.negative_log_prior(math.inf, 3.0)) == pytest.approx(of_biases)
    torch.nn.init.zeros_(model.levels.part_type_bias.weight)
    for table in (model.levels.make, model.levels.vehicle, model.levels.vehicle_class):
        torch.nn.init.zeros_(table.weight)
    torch.nn.init.ones_(model.levels.product.weight)
    expected = 40 * 0.25 + 0.5 * 3.0 * 10.0 * 40 * (MODEL.embedding_dim - 3)
    assert float(model.levels.negative_log_prior(3.0)) == pytest.approx(expected)


def test_personal_vector_is_the_posterior_mode(world: World) -> None:
    """At the mode the gradient of likelihood and prior is zero, and other users are untouched."""
    graph, positives, model, _, _ = world
    torch.nn.init.normal_(model.levels.product.weight, std=0.5)
    with torch.no_grad():
        vectors = model.embed_nodes(graph, None)
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
    assert present(deviation.grad).abs().max() < 1e-3
    assert deviation.detach().norm() > 0.05


def test_infinite_precision_means_no_personal_vectors(world: World) -> None:
    graph, positives, model, _, _ = world
    vectors = model.embed_nodes(graph, None)
    assert add_personal_vectors(vectors, graph, positives, math.inf) is vectors


# Precisions that the module states: those of vectors are multiplied by the strength.
BIASES = {"part_type_bias": 0.1, "product_bias": 0.5}
VECTORS = {"make": 0.1, "vehicle": 1.0, "vehicle_class": 1.0, "part_type": 0.1, "product": 10.0}


@pytest.mark.parametrize("strength", [math.inf, 3.0])
@pytest.mark.parametrize("pairs_in_step", [10**6, 120])
def test_a_step_follows_the_likelihood_and_the_prior(
    world: World, monkeypatch: pytest.MonkeyPatch, strength: float, pairs_in_step: int
) -> None:
    """The gradient of −Σ w · ln softmax − ln prior, over Σ w, written down once more and densely.

    Half of the six cars in a step count twice; a car without demand counts nowhere.
    """
    monkeypatch.setattr("holley_assets.gnn.demand.PAIRS_IN_STEP", pairs_in_step)
    graph, _, model, fitting, _ = world
    levels = model.levels
    for table in (levels.part_type, levels.product, levels.part_type_bias, levels.product_bias):
        torch.nn.init.normal_(table.weight)
    weights = torch.rand(6, 40, generator=torch.Generator().manual_seed(1))
    weights[4] = 0.0
    steps = [index for index in range(6) if index != 4]
    if pairs_in_step == 120:  # five cars have 200 pairs: three in a step
        drawn = torch.randperm(5, generator=torch.Generator().manual_seed(0))[:3]
        steps = [steps[index] for index in drawn]
    car = model.cars(graph, None)
    if math.isinf(strength):
        car = torch.cat([torch.zeros_like(car[:, :-1]), torch.ones(6, 1)], dim=1)
    likelihood = (weights * (car @ levels.products(graph).T).log_softmax(1))[steps].sum() * 5 / len(steps)
    precisions = (
        BIASES if math.isinf(strength) else BIASES | {name: strength * p for name, p in VECTORS.items()}
    )
    prior = sum(p / 2 * getattr(levels, name).weight.square().sum() for name, p in precisions.items())
    learned = [getattr(levels, name).weight for name in precisions] + [levels.popularity]
    expected = torch.autograd.grad((prior - likelihood) / weights.sum(), learned)
    generator, options = torch.Generator().manual_seed(0), FitOptions(steps=1)
    before = [value.detach().clone() for value in learned]
    fit_demand(model, graph, fitting, weights.flatten(), strength, generator, options=options)
    for value, start, gradient in zip(learned, before, expected, strict=True):
        torch.testing.assert_close(value.grad, gradient, rtol=1e-4, atol=1e-6)
        # Adam's first step is the learning rate against the gradient's sign.
        step = torch.where(gradient.abs() > 1e-4, -0.05 * gradient.sign(), value.detach() - start)
        torch.testing.assert_close(value.detach() - start, step, rtol=1e-2, atol=1e-4)


def test_vectors_of_cars_start_small_and_those_of_parts_at_zero(world: World) -> None:
    _, _, model, _, _ = world
    levels = model.levels
    assert not levels.part_type.weight.any() and not levels.product.weight.any()
    assert not levels.part_type_bias.weight.any() and not levels.product_bias.weight.any()
    cars = torch.cat([levels.make.weight, levels.vehicle.weight, levels.vehicle_class.weight])
    assert float(cars.detach().std()) == pytest.approx(0.1, rel=0.2)
    assert float(levels.popularity) == 1.0
