"""The collapsed graph computes what the graph of all users computes: vectors, loss and gradients."""

from copy import deepcopy

import pytest
import torch
from gnn.small_world import make_graph, make_tables
from present import present
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.graph_schema import INTERACTS, OWNS, REV_INTERACTS, REV_OWNS
from holley_assets.gnn.model import HeteroGAT, ModelOptions, adjacencies_of
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import Training
from holley_assets.gnn.training_options import TrainingOptions

ATTENTION = AttentionOptions(hidden_dim=16, heads=2, part_type_dim=4, dropout=0.0)
OPTIONS = ModelOptions(embedding_dim=16, attention=ATTENTION)
# A model, the collapsed graph and the plain one, the profile of each plain node, and the first node of each profile.
Graphs = tuple[HeteroGAT, HeteroData, HeteroData, Tensor, Tensor]


def expand(data: HeteroData) -> tuple[HeteroData, Tensor, Tensor]:
    """One node for each user, and one without users where a profile has none; returns the node's profile too."""
    profile = torch.repeat_interleave(torch.arange(data["user"].num_nodes), data["user"].count.clamp_min(1))
    first = torch.searchsorted(profile, torch.arange(data["user"].num_nodes))
    plain = deepcopy(data)
    store = plain["user"]
    store.num_nodes = len(profile)
    for name in ("tier", "year", "vehicle", "vehicle_year", "vehicle_class"):
        store[name] = data["user"][name][profile]
    store.cold_profile = first[data["user"].cold_profile[profile]]
    store.count = data["user"].count[profile].clamp_max(1)
    for kind, end in ((INTERACTS, 0), (REV_INTERACTS, 1)):  # active users are one node in both
        plain[kind].edge_index[end] = first[data[kind].edge_index[end]]
    owners = torch.nonzero(store.count > 0).flatten()
    plain[OWNS].edge_index = torch.stack([owners, store.vehicle[owners]])
    plain[OWNS].edge_attr = torch.ones(len(owners), 1)
    plain[OWNS].multiplicity = torch.ones(len(owners))
    everyone = torch.arange(len(profile))
    plain[REV_OWNS].edge_index = torch.stack([store.vehicle, everyone])
    plain[REV_OWNS].edge_attr = torch.ones(len(profile), 1)
    return plain, profile, first


@pytest.fixture(scope="module")
def graphs() -> Graphs:
    collapsed = make_graph(make_tables(users=200, active=30)).data
    plain, profile, first = expand(collapsed)
    assert plain["user"].num_nodes >= 200 > collapsed["user"].num_nodes
    torch.manual_seed(0)
    model = HeteroGAT(collapsed, OPTIONS)
    for parameter in model.parameters():  # no zero may hide a path
        torch.nn.init.normal_(parameter, std=0.3)
    return model, collapsed, plain, profile, first


def test_vectors_agree(graphs: Graphs) -> None:
    model, collapsed, plain, profile, _ = graphs
    ours, theirs = model(collapsed, adjacencies_of(collapsed)), model(plain, adjacencies_of(plain))
    scale = theirs.user.abs().max()
    assert (ours.user[profile] - theirs.user).abs().max() < 1e-5 * scale
    assert (ours.product - theirs.product).abs().max() < 1e-5 * theirs.product.abs().max()


def test_loss_and_gradients_agree(graphs: Graphs) -> None:
    """A loss over every user, whose collapsed form weighs a profile by its users."""
    model, collapsed, plain, _, first = graphs
    results = []
    for data, weight in ((collapsed, collapsed["user"].count.float()), (plain, plain["user"].count.float())):
        model.zero_grad()
        vectors = model(data, adjacencies_of(data))
        log_share = (vectors.user @ vectors.product.T).log_softmax(dim=1)
        loss = -(weight[:, None] * log_share[:, :7]).sum() / weight.sum()
        loss.backward()
        gradients = {
            name: value.grad.clone() for name, value in model.named_parameters() if value.grad is not None
        }
        results.append((loss.detach(), gradients))
    (loss, gradients), (plain_loss, plain_gradients) = results
    assert (loss - plain_loss).abs() < 1e-5 * plain_loss.abs()
    assert gradients.keys() == plain_gradients.keys()
    for name, gradient in gradients.items():
        scale = plain_gradients[name].abs().max().clamp_min(1.0)
        assert (gradient - plain_gradients[name]).abs().max() < 1e-5 * scale, name
    assert len(first) == collapsed["user"].num_nodes


def test_the_loss_of_training_and_its_gradients_agree(graphs: Graphs) -> None:
    """What training minimises, with its negatives, is the same on both graphs."""
    _, collapsed, plain, _, _ = graphs
    losses, gradients = [], []
    for data in (collapsed, plain):
        everything = Training(data, OPTIONS, TrainingOptions(loss="bce", validation_share=0.2, seed=3))
        training = present(everything.edges)
        torch.manual_seed(1)
        for parameter in training.model.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        hidden = training.messages.keeping(training.visible)
        loss = training._loss(training._vectors(training.positives, hidden), training.positives)
        loss.backward()
        losses.append(loss.item())
        weights = dict(training.model.named_parameters())
        gradients.append({name: value.grad for name, value in weights.items() if value.grad is not None})
        assert gradients[-1].keys() == weights.keys(), "every weight is trained"
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for name, gradient in gradients[0].items():
        scale = gradients[1][name].abs().max().clamp_min(1.0)
        assert (gradient - gradients[1][name]).abs().max() < 1e-5 * scale, name


def test_vectors_that_are_asked_for_are_those_of_all(graphs: Graphs) -> None:
    model, collapsed, _, _, _ = graphs
    everyone = model(collapsed, adjacencies_of(collapsed))
    users = torch.arange(0, collapsed["user"].num_nodes, 3)
    some = model(collapsed, adjacencies_of(collapsed), users)
    torch.testing.assert_close(some.user[users], everyone.user[users])
    torch.testing.assert_close(some.product, everyone.product)
    others = torch.ones(len(some.user), dtype=torch.bool)
    others[users] = False
    assert not some.user[others, :-1].any()
