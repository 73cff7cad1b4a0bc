"""The graph, twice: as of the cutoff to learn from, as of today to deliver from."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pyarrow as pa

from holley_assets.assets.model_choice import reference_metadata
from holley_assets.assets.step import Step
from holley_assets.checks.graph_checks import TRAINING_GRAPH_CHECKS, check_training_graph, recounted_tables
from holley_assets.checks.source_row_checks import SOURCE_ROWS
from holley_assets.core.groups import (
    MODEL,
    table_spec,
)
from holley_assets.core.materialized import Materialized
from holley_assets.gnn.graph_schema import GRAPH_TABLE_NAMES, GraphTables, relations_in_use
from holley_assets.resources.io_manager import read_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.terms import View

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from holley_assets.gnn.graph import BuiltGraph

GRAPH_FILES = {"training": "heterodata.pt", "serving": "serving_heterodata.pt"}
KINDS = {"pytorch"}
# A customer's vehicle is a column of user_nodes too; the graph is built once this table's checks have passed. What the
# leak check recounts is read as files, and must have been written before. Nothing is learned from sources whose rows do
# not add up.
_INPUTS = list(dict.fromkeys([*GRAPH_TABLE_NAMES, "owns_edges", *recounted_tables(), SOURCE_ROWS]))


def graph_statistics(data: "HeteroData") -> dict[str, dict[str, float]]:
    """Nodes, edges and density (edges among all pairs of the two node types) by type."""
    nodes: dict[str, float] = {kind: int(data[kind].num_nodes) for kind in data.node_types}
    edges: dict[str, float] = {kind[1]: int(data[kind].edge_index.shape[1]) for kind in data.edge_types}
    pairs = {kind[1]: nodes[kind[0]] * nodes[kind[2]] for kind in data.edge_types}
    density = {name: edges[name] / pairs[name] if pairs[name] else 0.0 for name in edges}
    return {"nodes": nodes, "edges": edges, "density": density}


@dg.multi_asset(
    name="graphs",
    op_tags=heavy_step("graph"),
    specs=[
        table_spec(
            "training_graph",
            deps=_INPUTS,
            group=MODEL,
            kinds=KINDS,
            description="""Reference to `heterodata.pt`, the graph as of the cutoff: what the model learns
from.

Three node types (user, product, vehicle), four relations in seven edge types, with edge weights. Users
without history that share year, make and model are one node with a count. No e-mail address is in it. Its
check recounts everything that moves with time from what happened before the cutoff.""",
        ),
        table_spec(
            "serving_graph",
            deps=_INPUTS,
            group=MODEL,
            kinds=KINDS,
            description="""Reference to `serving_heterodata.pt`, the same graph as of `as_of`.

What is delivered is scored with the weights learned at the cutoff on today's interactions and purchases.""",
        ),
        table_spec(
            "user_profiles",
            deps=["user_nodes", "training_graph", "serving_graph"],
            group=MODEL,
            kinds={"arrow"},
            description="""One row a customer: its node in the training graph and in the serving graph, and the node
of its car without any history.

98 % of the customers share a node with all others that have the same car and no history, so that vectors
and rankings are computed once a node and not once a customer.""",
        ),
    ],
    ins={name: dg.AssetIn(name) for name in GRAPH_TABLE_NAMES},
    check_specs=TRAINING_GRAPH_CHECKS,
)
def graphs(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    **loaded: pa.Table,
) -> Iterator[Materialized]:
    """Build both graphs in one process, which loads tables and PyTorch once."""
    step = Step(context, settings)
    relations = relations_in_use(step.settings.model)
    optional = step.asset_paths(relation.table for relation in relations if relation.optional)
    tables = GraphTables(**loaded, **{name: read_parquet(path) for name, path in optional.items()})
    training, result = _build(step, tables, "training")
    checks = check_training_graph(
        step.asset_paths(recounted_tables(relations)),
        cutoff=step.windows.cutoff,
        interactions=int(training.data["user", "interacts", "product"].edge_index.shape[1]),
        relations=relations,
    )
    yield result._replace(check_results=checks)
    serving, result = _build(step, tables, "serving")
    yield result
    yield _profiles(tables.user_nodes["email_lower"], training, serving)


def _profiles(emails: pa.ChunkedArray, training: "BuiltGraph", serving: "BuiltGraph") -> Materialized:
    profiles = {
        "profile": training.user_profiles,
        "serving_profile": serving.user_profiles,
        "cold_profile": training.data["user"].cold_profile.numpy()[training.user_profiles],
    }
    columns = {name: pa.array(values, pa.int32()) for name, values in profiles.items()}
    return dg.MaterializeResult(
        asset_key="user_profiles",
        value=pa.table({"email_lower": emails, **columns}),
        metadata={
            "profiles": int(np.unique(training.user_profiles).size),
            "serving_profiles": int(np.unique(serving.user_profiles).size),
        },
    )


def _build(step: Step, tables: GraphTables, view: View) -> tuple["BuiltGraph", Materialized]:
    from holley_assets.gnn.graph import build_graph, save_graph

    step.begin()
    run = step.settings.run
    graph = build_graph(
        tables,
        view=view,
        view_end=step.windows.cutoff if view == "training" else step.windows.as_of,
        order_weight=run.order_weight,
        decay_days=run.decay_days,
        season_days=run.season_days,
    )
    staged = step.artifacts.staging_path(GRAPH_FILES[view])
    save_graph(graph.data, staged)
    reference = step.artifacts.publish(staged, GRAPH_FILES[view])
    statistics = graph_statistics(graph.data)
    return graph, dg.MaterializeResult(
        asset_key=f"{view}_graph",
        value=reference.to_table(),
        metadata={
            **{name: dict(values) for name, values in statistics.items()},
            **reference_metadata(reference),
            **step.took(),
        },
    )
