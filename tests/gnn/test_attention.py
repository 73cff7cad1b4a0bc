"""The sparse attention is GATConv's mathematics, and a counted neighbour is that many neighbours."""

import pytest
import torch
from present import present
from torch import Tensor
from torch_geometric.nn import GATConv, HeteroConv

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.attention import HeteroAttention, SparseGATConv

SOURCES, TARGETS, EDGES, IN, OUT, HEADS, EDGE_DIM = 13, 7, 60, 6, 8, 2, 3
# Edges, their features, and features of both ends.
Graph = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def graph() -> Graph:
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.stack(
        [
            torch.randint(SOURCES, (EDGES,), generator=generator),
            torch.randint(TARGETS - 1, (EDGES,), generator=generator),  # the last target has no neighbour
        ]
    )
    features = torch.randn(EDGES, EDGE_DIM, generator=generator, dtype=torch.float64)
    source = torch.randn(SOURCES, IN, generator=generator, dtype=torch.float64)
    target = torch.randn(TARGETS, IN, generator=generator, dtype=torch.float64)
    return edge_index, features, source, target


@pytest.fixture
def convolution() -> SparseGATConv:
    torch.manual_seed(1)
    return SparseGATConv(IN, OUT, HEADS, EDGE_DIM).double()


def pyg_twin(convolution: SparseGATConv) -> GATConv:
    """PyG's GATConv with the same function: its longer parametrisation is solved for ours."""
    channels = OUT // HEADS
    twin = GATConv((IN, IN), channels, HEADS, edge_dim=EDGE_DIM, add_self_loops=False, bias=False).double()
    with torch.no_grad():
        twin.lin_src.weight.copy_(convolution.source.weight)
        twin.att_src.copy_(convolution.source_attention[None])
        for linear, attention, ours in (
            (twin.lin_dst, twin.att_dst, convolution.target_attention),
            (twin.lin_edge, twin.att_edge, convolution.edge_attention),
        ):
            linear.weight.zero_()
            linear.weight[::channels] = ours.weight  # first channel of each head carries the logit
            attention.zero_()
            attention[0, :, 0] = 1.0
    return twin


def test_messages_and_gradients_equal_gat_conv(graph: Graph, convolution: SparseGATConv) -> None:
    edge_index, features, source, target = graph
    twin = pyg_twin(convolution)
    probe = torch.randn(TARGETS, OUT, dtype=torch.float64)
    results = []
    for layer in (convolution, twin):
        x = source.clone().requires_grad_()
        y = target.clone().requires_grad_()
        attributes = features.clone().requires_grad_()
        if layer is convolution:
            out = layer((x, y), Adjacency.build(edge_index, attributes, SOURCES, TARGETS))
        else:
            out = layer((x, y), edge_index, attributes)
        (out * probe).sum().backward()
        results.append((out, x.grad, y.grad, attributes.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    torch.testing.assert_close(convolution.source.weight.grad, twin.lin_src.weight.grad, rtol=0, atol=1e-10)


def test_target_without_neighbours_gets_zero(graph: Graph, convolution: SparseGATConv) -> None:
    edge_index, features, source, target = graph
    out = convolution((source, target), Adjacency.build(edge_index, features, SOURCES, TARGETS))
    assert torch.equal(out[-1], torch.zeros(OUT, dtype=torch.float64))


def test_no_edges_give_zero(convolution: SparseGATConv) -> None:
    empty = Adjacency.build(
        torch.empty(2, 0, dtype=torch.long), torch.empty(0, EDGE_DIM, dtype=torch.float64), SOURCES, TARGETS
    )
    source = torch.randn(SOURCES, IN, dtype=torch.float64, requires_grad=True)
    out = convolution((source, torch.randn(TARGETS, IN, dtype=torch.float64)), empty)
    out.sum().backward()
    assert torch.equal(out, torch.zeros(TARGETS, OUT, dtype=torch.float64))


def test_multiplicity_equals_copies(convolution: SparseGATConv) -> None:
    """Three identical neighbours and one with count 3 give the same message and the same gradient."""
    torch.manual_seed(2)
    node = torch.randn(2, IN, dtype=torch.float64)
    target = torch.randn(1, IN, dtype=torch.float64)
    copies = torch.cat([node[:1].expand(3, IN), node[1:]]).requires_grad_()
    counted = node.clone().requires_grad_()
    ones = torch.ones
    plain = convolution(
        (copies, target),
        Adjacency.build(
            torch.tensor([[0, 1, 2, 3], [0, 0, 0, 0]]), ones(4, EDGE_DIM, dtype=torch.float64), 4, 1
        ),
    )
    collapsed = convolution(
        (counted, target),
        Adjacency.build(
            torch.tensor([[0, 1], [0, 0]]),
            ones(2, EDGE_DIM, dtype=torch.float64),
            2,
            1,
            torch.tensor([3.0, 1.0], dtype=torch.float64),
        ),
    )
    torch.testing.assert_close(plain, collapsed, rtol=0, atol=1e-12)
    plain.sum().backward()
    collapsed.sum().backward()
    of_copies, of_counted = present(copies.grad), present(counted.grad)
    torch.testing.assert_close(of_copies[:3].sum(0), of_counted[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(of_copies[3], of_counted[1], rtol=0, atol=1e-12)


def test_gradient_check(graph: Graph, convolution: SparseGATConv) -> None:
    edge_index, features, source, target = graph

    def messages(x: Tensor, y: Tensor, attributes: Tensor) -> Tensor:
        out: Tensor = convolution((x, y), Adjacency.build(edge_index, attributes, SOURCES, TARGETS))
        return out

    assert torch.autograd.gradcheck(
        messages, (source.requires_grad_(), target.requires_grad_(), features.requires_grad_())
    )


def test_edges_into_some_targets_give_them_what_all_edges_give(
    graph: Graph, convolution: SparseGATConv
) -> None:
    edge_index, features, source, target = graph
    multiplicity = torch.arange(1.0, EDGES + 1, dtype=torch.float64)
    adjacency = Adjacency.build(edge_index, features, SOURCES, TARGETS, multiplicity)
    some = torch.tensor([1, 4, TARGETS - 1])
    torch.testing.assert_close(
        convolution((source, target[some]), adjacency.of_targets(some)),
        convolution((source, target), adjacency)[some],
        rtol=0,
        atol=1e-12,
    )


def test_attention_over_relations_is_hetero_conv_with_a_sum(graph: Graph, convolution: SparseGATConv) -> None:
    edge_index, features, source, target = graph
    torch.manual_seed(3)
    kinds = [("a", "likes", "b"), ("a", "sees", "b"), ("b", "likes", "a")]
    convolutions = {kind: SparseGATConv(IN, OUT, HEADS, EDGE_DIM).double() for kind in kinds}
    adjacencies = {
        kinds[0]: Adjacency.build(edge_index, features, SOURCES, TARGETS),
        kinds[1]: Adjacency.build(edge_index.roll(1, 1), features, SOURCES, TARGETS),
        kinds[2]: Adjacency.build(edge_index.flip(0), features, TARGETS, SOURCES),
    }
    x = {"a": source, "b": target}
    ours = HeteroAttention(convolutions)(x, x, adjacencies)
    theirs = HeteroConv(convolutions, aggr="sum")(x, adjacencies)
    assert ours.keys() == theirs.keys()
    for kind in ours:
        torch.testing.assert_close(ours[kind], theirs[kind], rtol=0, atol=1e-12)
