"""The model with fewer layers, which tells what each layer adds. PyTorch is imported inside the step that needs it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import dagster as dg
import numpy as np
import pyarrow as pa

from holley_assets.assets.graphs import KINDS
from holley_assets.assets.model_choice import choose_checkpoint
from holley_assets.assets.step import Step
from holley_assets.core.asset_keys import CHAMPION_MODEL, TRAINED_CHECKPOINT
from holley_assets.core.groups import MODEL, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.settings import TrainingSettings

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from holley_assets.gnn.checkpoint import Checkpoint

# Stages of the training whose vectors are kept, and the system of the report that ranks by them.
SYSTEM_OF_STAGE = {"levels": "levels", "visitors": "levels_visitors", "messages": "levels_messages"}


@dg.asset(
    group_name=MODEL,
    owners=OWNERS,
    kinds=KINDS,
    deps=[TRAINED_CHECKPOINT, CHAMPION_MODEL],
    op_tags=heavy_step("score"),
)
def layer_embeddings(
    context: dg.AssetExecutionContext, settings: SettingsResource, training_graph: pa.Table
) -> Materialized:
    """One row a system and node of the training view: its vector in the model with fewer layers.

    `levels` has vectors of cars and parts by level, `levels_visitors` infers visitors' cars by them, and
    `levels_messages` adds messages from car to car; what the model has beyond is a last fit with everybody. `profile`
    names a customer's vector, `base_sku` a part's; the other is null.
    Empty where the weights come from a run that kept no layers. Only `control_rankings` reads it.
    """
    from holley_assets.gnn.checkpoint import Checkpoint
    from holley_assets.gnn.graph import load_graph

    step = Step(context, settings)
    model = choose_checkpoint(step.instance, context.run, step.settings)
    checkpoint = Checkpoint.load(step.artifacts.locate(model.reference))
    graph = load_graph(step.artifacts.locate(Reference.from_table(training_graph)))
    layers = _layers(graph, checkpoint, step.settings.training)
    return dg.MaterializeResult(value=layer_table(layers), metadata={MODEL_VERSION: model.model_version})


def _layers(
    graph: "HeteroData", checkpoint: "Checkpoint", chosen: TrainingSettings
) -> list[tuple[str, pa.Array, np.ndarray, np.ndarray]]:
    from holley_assets.gnn.embedding import embed
    from holley_assets.gnn.training_options import resolve_device

    layers = []
    for stage, system in SYSTEM_OF_STAGE.items():
        if stage in checkpoint.stages:
            vectors = embed(
                graph,
                checkpoint.of_stage(stage),
                personal_precision=chosen.personal_precision,
                device=resolve_device(chosen.device),
            )
            layers.append((system, pa.array(graph.products, pa.string()), vectors.user, vectors.product))
    return layers


def layer_table(layers: Sequence[tuple[str, pa.Array, np.ndarray, np.ndarray]]) -> pa.Table:
    """``system, profile, base_sku, embedding``: of each layer the users, then the parts.

    Args:
        layers: system, base SKUs, and vectors of profiles and of parts.
    """
    tables = []
    for system, base_skus, users, products in layers:
        vectors = np.ascontiguousarray(np.concatenate([users, products]), np.float32)
        profiles = pa.array(np.arange(len(users), dtype=np.int32))
        columns = {
            "system": pa.repeat(system, len(vectors)),
            "profile": pa.concat_arrays([profiles, pa.nulls(len(products), pa.int32())]),
            "base_sku": pa.concat_arrays([pa.nulls(len(users), pa.string()), base_skus]),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1)), vectors.shape[1]),
        }
        tables.append(pa.table(columns))
    nothing = pa.schema(
        {
            "system": pa.string(),
            "profile": pa.int32(),
            "base_sku": pa.string(),
            "embedding": pa.list_(pa.float32(), 1),
        }
    ).empty_table()
    return pa.concat_tables(tables) if tables else nothing
