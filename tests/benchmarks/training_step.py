"""One pass of attention over all training edges: ours against the plain PyG formulation.

    python tests/benchmarks/training_step.py --users 50000 100000
    python tests/benchmarks/training_step.py --graph data/runs/<run id>/heterodata.pt --skip-plain

prints a table and writes ``data/benchmarks/training_step.json``; ``--graph`` takes the training graph of a run.
The plain formulation is what PyG's heterogeneous examples do: a node and a learned vector for every user, and
``HeteroConv`` of ``GATConv`` over the whole graph for each batch. Both have the same layers, width, heads, batches
and negatives, and take the same optimiser steps.
"""

from __future__ import annotations

import argparse
import copy
import dataclasses
from pathlib import Path
from typing import Any

import torch
from measure import Measurement, machine, measure, table, write_json
from study import RESULTS_FOLDER, WORK_FOLDER, add_sample_arguments, sample_study, tell
from torch import Tensor, nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import GATConv, HeteroConv

from holley_assets.gnn.graph import load_graph
from holley_assets.gnn.graph_schema import EDGE_TYPES, INTERACTS, OWNS, REV_INTERACTS, REV_OWNS
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.ragged import RaggedPairs, ragged_scores
from holley_assets.gnn.sampling import FittingParts, Positives, draw_negatives
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import Training
from holley_assets.gnn.training_options import TrainingOptions
from holley_assets.pipeline.options import training_options
from holley_assets.settings import load_settings


def expand(data: HeteroData) -> HeteroData:
    """The graph with a node for every user, as it would be without profiles."""
    profile = torch.repeat_interleave(torch.arange(data["user"].num_nodes), data["user"].count.clamp_min(1))
    first = torch.searchsorted(profile, torch.arange(data["user"].num_nodes))
    plain = copy.deepcopy(data)
    store = plain["user"]
    store.num_nodes = len(profile)
    for name in ("tier", "year", "vehicle", "vehicle_year", "vehicle_class"):
        store[name] = data["user"][name][profile]
    store.cold_profile = first[data["user"].cold_profile[profile]]
    for kind, end in ((INTERACTS, 0), (REV_INTERACTS, 1)):
        plain[kind].edge_index[end] = first[data[kind].edge_index[end]]
    everyone = torch.arange(len(profile))
    plain[OWNS].edge_index = torch.stack([everyone, store.vehicle])
    plain[REV_OWNS].edge_index = torch.stack([store.vehicle, everyone])
    for kind in (OWNS, REV_OWNS):
        plain[kind].edge_attr = torch.ones(len(profile), 1)
    return plain


class PlainHeteroGAT(nn.Module):
    """Learned vectors for every node and layers of PyG's own convolutions."""

    def __init__(self, data: HeteroData, options: ModelOptions) -> None:
        super().__init__()
        shape = options.attention or AttentionOptions()
        dim, hidden = options.embedding_dim, shape.hidden_dim
        self.embeddings = nn.ModuleDict(
            {kind: nn.Embedding(data[kind].num_nodes, dim) for kind in data.node_types}
        )
        self.layers = nn.ModuleList(
            HeteroConv(
                {
                    kind: GATConv(
                        (width, width) if kind[0] != kind[2] else width,
                        hidden // shape.heads,
                        shape.heads,
                        edge_dim=data[kind].edge_attr.shape[1],
                        dropout=shape.dropout,
                        add_self_loops=False,
                    )
                    for kind in EDGE_TYPES
                },
                aggr="sum",
            )
            for width in (dim, hidden)
        )
        self.towers = nn.ModuleDict({kind: nn.Linear(hidden, dim) for kind in ("user", "product")})

    def forward(self, edges: dict[Any, Tensor], features: dict[Any, Tensor]) -> tuple[Tensor, Tensor]:
        x = {kind: table.weight for kind, table in self.embeddings.items()}
        for layer in self.layers:
            x = {
                kind: nn.functional.elu(state)
                for kind, state in layer(x, edges, edge_attr_dict=features).items()
            }
        user, product = (nn.functional.normalize(self.towers[kind](x[kind])) for kind in ("user", "product"))
        return user, product


class PlainTraining:
    """An epoch of the plain formulation."""

    def __init__(self, data: HeteroData, model: ModelOptions, options: TrainingOptions) -> None:
        torch.manual_seed(options.seed)
        self.data, self.options = expand(data), options.edges
        self.model = PlainHeteroGAT(self.data, model)
        self.optimiser = torch.optim.Adam(self.model.parameters(), self.options.learning_rate)
        self.generator = torch.Generator().manual_seed(options.seed)
        self.candidates = FittingParts(self.data)
        self.positives = Positives.of(self.data, self.candidates, self.options.minimum_edge_weight)
        num_products = self.data["product"].num_nodes
        self.known = (self.positives.user * num_products + self.positives.product).sort().values

    def epoch(self) -> None:
        order = torch.randperm(len(self.positives), generator=self.generator)
        for index in order.chunk(self.options.batches):
            batch = self.positives.take(index)
            keep = torch.ones(self.data[INTERACTS].edge_index.shape[1], dtype=torch.bool)
            keep[batch.edge] = False
            edges, features = dict(self.data.edge_index_dict), dict(self.data.edge_attr_dict)
            for kind in (INTERACTS, REV_INTERACTS):
                edges[kind], features[kind] = edges[kind][:, keep], features[kind][keep]
            user, product = self.model(edges, features)
            negatives = draw_negatives(
                batch, self.known, self.candidates, self.options.negatives, self.generator
            )
            rows = user[batch.user]
            positive = (rows * product[batch.product]).sum(1, keepdim=True)
            negative = ragged_scores(rows, product, RaggedPairs.of_table(negatives.product))
            scores = torch.cat([positive, negative.view_as(negatives.product)], dim=1)
            loss = -(batch.weight * scores.log_softmax(1)[:, 0]).sum() / batch.weight.sum()
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()


def compare(data: HeteroData, runs: int, skip_plain: bool) -> list[Measurement]:
    """A pass over all training edges of a graph, by both."""
    model, options = training_options(load_settings())
    model = dataclasses.replace(model, attention=AttentionOptions())
    options = dataclasses.replace(options, loss="bce")
    figures = {
        "users": int(data["user"].count.sum()),
        "user nodes": int(data["user"].num_nodes),
        "fits edges": int(data["product", "fits", "vehicle"].edge_index.shape[1]),
    }
    tell(f"graph of {figures}")
    training = Training(data, model, options)
    assert training.edges is not None, "the loss is that of single edges"
    results = [measure("ours", training.edges.epoch, runs=runs, **figures)]
    del training
    if not skip_plain:
        plain = PlainTraining(data, model, options)
        results.append(measure("plain PyG", plain.epoch, runs=runs, **figures))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--graph", type=Path, help="a training graph that is there, instead of samples")
    parser.add_argument("--users", type=int, nargs="+", default=[50_000], help="sizes of samples")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--skip-plain", action="store_true", help="where the plain formulation does not fit")
    parser.add_argument("--work", type=Path, default=WORK_FOLDER, help="samples and tables are kept here")
    parser.add_argument("--output", type=Path, default=RESULTS_FOLDER / "training_step.json")
    arguments = parser.parse_args()
    results: list[Measurement] = []
    if arguments.graph:
        results += compare(load_graph(arguments.graph), arguments.runs, arguments.skip_plain)
    else:
        for users in arguments.users:
            sample = argparse.Namespace(
                **{**vars(sample_arguments()), "users": users, "work": arguments.work}
            )
            data = sample_study(sample, sample.seeds[0]).graph.data
            results += compare(data, arguments.runs, arguments.skip_plain)
    print(table(results))
    write_json(arguments.output, results, machine=machine("torch", "torch-geometric"))


def sample_arguments() -> argparse.Namespace:
    """What a study of a sample is asked for when nothing is said."""
    parser = argparse.ArgumentParser()
    add_sample_arguments(parser, seeds=(0,), users=50_000)
    return parser.parse_args([])


if __name__ == "__main__":
    main()
