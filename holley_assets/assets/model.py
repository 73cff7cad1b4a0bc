"""Training, and the vectors that it gives. PyTorch is imported inside the steps that need it."""

import dataclasses
import datetime
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import dagster as dg
import numpy as np
import pyarrow as pa

from holley_assets.assets.graphs import KINDS, graph_statistics
from holley_assets.assets.model_choice import choose_checkpoint, reference_metadata
from holley_assets.assets.starting_weights import StartingWeights, choose_starting_weights
from holley_assets.assets.step import Step
from holley_assets.assets.training_curves import curves_metadata, epoch_line
from holley_assets.core.asset_keys import CHAMPION_MODEL, TRAINED_CHECKPOINT
from holley_assets.core.failures import one_line
from holley_assets.core.groups import MODEL, OWNERS, table_spec
from holley_assets.core.materialized import Materialized
from holley_assets.core.metadata_keys import MODEL_VERSION
from holley_assets.core.tags import STARTED_FROM_TAG
from holley_assets.core.time_windows import TimeWindows
from holley_assets.evaluation.run_settings import flat
from holley_assets.evaluation.systems import delivered_system, version_as
from holley_assets.pipeline.options import training_options
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.storage.training_state import TrainingState
from holley_assets.resources.tracking.records import TRAINING_SECONDS, Parameter, TrainingRecord
from holley_assets.settings import Settings
from holley_assets.terms import View

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

    from holley_assets.gnn.checkpoint import Checkpoint, Epoch
    from holley_assets.gnn.training import TrainingResult

MODEL_FILE = "model.pt"


@dg.asset(
    key=TRAINED_CHECKPOINT,
    group_name=MODEL,
    owners=OWNERS,
    kinds={*KINDS, "mlflow"},
    op_tags=heavy_step("train"),
)
def trained_checkpoint(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    training_graph: pa.Table,
) -> Materialized:
    """Reference to `model.pt`: the weights of the epoch that predicts held-out visitors best, and its history.

    Trained on the graph as of the cutoff, so that the clicks after it are a fair test. 10 % of the
    visitors are held out to choose what is learned and how strongly it is held back. Message passing starts from the
    champion's weights, and every four weeks from nothing. Curves, parameters, graph statistics and the checkpoint are
    in MLflow, in the run that carries this run's id, which is a version of `holley-gnn`. A training that was killed
    goes on where it stopped.
    """
    from holley_assets.gnn.graph import load_graph

    step = Step(context, settings)
    graph_path = step.artifacts.locate(Reference.from_table(training_graph))
    graph = load_graph(graph_path)
    start = _start(step)
    state = _state(step)
    result = _train(step, graph, graph_path, start, state)
    reference = _publish(step, result.checkpoint)
    state.forget()
    row = {
        **dataclasses.asdict(reference),
        MODEL_VERSION: version_as(
            result.checkpoint.version(step.windows.as_of), step.settings.serving.system
        ),
        "best_epoch": result.checkpoint.best_epoch,
        "history": [epoch._asdict() for epoch in result.history],
    }
    tracked = step.shown(step.journal.record(_record(step, reference, row, start, graph_statistics(graph))))
    metadata = {
        **_shown(step, reference, row, start),
        **curves_metadata(row["history"], row["best_epoch"]),
        **_how_it_ended(result),
        **tracked,
        **step.took(),
    }
    return dg.MaterializeResult(value=pa.Table.from_pylist([row]), metadata=metadata)


def _start(step: Step) -> StartingWeights:
    """What the training starts from; the log and a tag of the run say so."""
    from holley_assets.gnn.checkpoint import CheckpointError

    model_options, _ = training_options(step.settings)
    with one_line(CheckpointError):
        start = choose_starting_weights(
            step.settings,
            model_options,
            step.artifacts,
            as_of=step.windows.as_of,
            tags=step.context.run.tags,
        )
    step.log.info(f"The training starts from {start.name}: {start.reason}")
    step.instance.add_run_tags(step.run_id, {STARTED_FROM_TAG: start.name})
    return start


def _state(step: Step) -> TrainingState:
    """What a training that was killed left, if it can be read."""
    state = TrainingState(step.store, step.settings.run.data_dir)
    state.fetch()
    if damaged := state.set_aside_if_damaged():
        step.log.warning(damaged)
    return state


def _train(
    step: Step, graph: "HeteroData", graph_path: Path, start: StartingWeights, state: TrainingState
) -> "TrainingResult":
    """Train in this process, or in as many as the settings say."""
    from holley_assets.gnn.distributed import DistributedTrainingError, train_in_processes
    from holley_assets.gnn.training import train

    def report(epoch: "Epoch") -> None:
        step.log.info(epoch_line(epoch))
        state.share()

    processes = step.settings.training.processes
    run = (
        partial(train, graph)
        if processes == 1
        else partial(train_in_processes, graph_path, processes=processes)
    )
    with one_line(DistributedTrainingError):
        return run(
            *training_options(step.settings),
            state_path=state.path,
            warm_start=start.checkpoint,
            on_epoch=report,
        )


def _publish(step: Step, checkpoint: "Checkpoint") -> Reference:
    staged = step.artifacts.staging_path(MODEL_FILE)
    checkpoint.save(staged)
    return step.artifacts.publish(staged, MODEL_FILE)


def _learnt_from(windows: TimeWindows) -> dict[str, str]:
    return {
        "source": windows.source,
        "source_kind": windows.source_kind,
        "window": f"from {windows.intent_start} to before {windows.cutoff}",
    }


def _device(step: Step) -> str:
    _, options = training_options(step.settings)
    return options.device


def _record(
    step: Step,
    reference: Reference,
    row: Mapping[str, Any],
    start: StartingWeights,
    statistics: Mapping[str, Mapping[str, float]],
) -> TrainingRecord:
    """What MLflow is told of the training that ``row`` describes."""
    history = row["history"]
    return TrainingRecord(
        written_at=datetime.datetime.now(datetime.UTC),
        dagster_run_id=step.run_id,
        model_version=row[MODEL_VERSION],
        as_of=step.windows.as_of,
        checkpoint=reference,
        parameters={
            **_parameters(step.settings),
            "device": _device(step),
            "started_from": start.name,
            "delivered_system": delivered_system(row[MODEL_VERSION]),
        },
        statistics={
            **{f"{group}/{name}": value for group, of in statistics.items() for name, value in of.items()},
            "training/chosen_epoch": row["best_epoch"],
            "training/validation_mrr_of_chosen_epoch": history[row["best_epoch"]]["validation_mrr"],
            TRAINING_SECONDS: step.took()["seconds"],
        },
        # What a stage is called is no number of a curve.
        curves=[{name: value for name, value in epoch.items() if name != "stage"} for epoch in history],
        started_from=start.started_from,
        learnt_from=_learnt_from(step.windows),
    )


def _shown(
    step: Step, reference: Reference, row: Mapping[str, Any], start: StartingWeights
) -> dict[str, Any]:
    best = row["history"][row["best_epoch"]]
    return {
        MODEL_VERSION: row[MODEL_VERSION],
        **reference_metadata(reference),
        **_learnt_from(step.windows),
        "epochs": len(row["history"]) - 1,
        "best_epoch": row["best_epoch"],
        **{f"best_{name}": value for name, value in best.items() if name.startswith("validation") and value},
        "delivered_system": delivered_system(row[MODEL_VERSION]),
        "started_from": start.name,
        "started_from_reason": start.reason,
        "device": _device(step),
    }


def _how_it_ended(result: "TrainingResult") -> dict[str, Any]:
    return {"stopped_early": result.stopped_early, "warm_start_weights": result.warm_start_weights}


def _parameters(settings: Settings) -> dict[str, Parameter]:
    """What shaped the training, for its record."""
    values = settings.model_dump(mode="json", include={"run", "model", "training", "rules"})
    # Folders say where, not what, and may name a person.
    for name in ("data_dir", "source_dir"):
        del values["run"][name]
    return flat(values)


@dg.multi_asset(
    name="embeddings",
    op_tags=heavy_step("score"),
    specs=[
        table_spec(
            "user_embeddings",
            deps=[TRAINED_CHECKPOINT, CHAMPION_MODEL, "training_graph", "serving_graph"],
            group=MODEL,
            kinds=KINDS,
            description="""One row a view (`training`, `serving`) and profile: its vector of length one.

A customer's vector is that of its profile (see `user_profiles`). The score of a part is the dot product.
`norm` is the length that the vector had before it was brought to one.
The weights are those trained in this run; a run without training takes the champion, or the newest model that
was delivered while none was ever promoted.""",
        ),
        table_spec(
            "product_embeddings",
            deps=[TRAINED_CHECKPOINT, CHAMPION_MODEL, "training_graph", "serving_graph"],
            group=MODEL,
            kinds=KINDS,
            description="""One row a view and base SKU: its vector of length one.

A part that the weights do not know yet has a vector from its features and its neighbours.
`norm` is the length that the vector had, with the part's bias, before it was brought to one.
`counted_popularity` and `fitted_popularity` (training view) are popularity counted on the same data without
tastes: what the model must beat for a lift to be the graph's own.""",
        ),
    ],
)
def embeddings(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    training_graph: pa.Table,
    serving_graph: pa.Table,
) -> Iterator[Materialized]:
    """Vectors of both graphs with one model, in one process."""
    from holley_assets.gnn.checkpoint import Checkpoint

    step = Step(context, settings)
    model = choose_checkpoint(step.instance, context.run, step.settings)
    step.log.info(f"Model {model.model_version}: {model.reason}")
    graphs: dict[View, pa.Table] = {
        "training": training_graph,
        "serving": serving_graph,
    }
    checkpoint = Checkpoint.load(step.artifacts.locate(model.reference))
    version = model.model_version
    made = [_view_vectors(step, checkpoint, version, view, graph) for view, graph in graphs.items()]
    metadata: dict[str, Any] = {
        MODEL_VERSION: model.model_version,
        "model_of_run": model.reference.run_id,
        "model_reason": model.reason,
        **{f"shop_popularity_{view}": of.shop_popularity for view, of in zip(graphs, made, strict=True)},
        **step.took(),
    }
    for asset, tables in (
        ("user_embeddings", [of.users for of in made]),
        ("product_embeddings", [of.products for of in made]),
    ):
        yield dg.MaterializeResult(asset, value=pa.concat_tables(tables), metadata=metadata)


class _ViewVectors(NamedTuple):
    """Rows of both tables of one view, and how far the whole shop's popularity holds in it."""

    users: pa.Table
    products: pa.Table
    shop_popularity: float


def _view_vectors(
    step: Step,
    checkpoint: "Checkpoint",
    version: str,
    view: View,
    graph_reference: pa.Table,
) -> _ViewVectors:
    from holley_assets.gnn.controls import counted_popularity, fitted_popularity
    from holley_assets.gnn.embedding import embed
    from holley_assets.gnn.graph import load_graph
    from holley_assets.gnn.training_options import resolve_device

    chosen = step.settings.training
    graph = load_graph(step.artifacts.locate(Reference.from_table(graph_reference)))
    device = resolve_device(chosen.device)
    vectors = embed(graph, checkpoint, personal_precision=chosen.personal_precision, device=device)
    profiles = pa.array(np.arange(len(vectors.user), dtype=np.int32))
    users = _vector_table(view, "profile", profiles, vectors.user, vectors.user_norm, version)
    base_skus = pa.array(graph.products, pa.string())
    products = _vector_table(view, "base_sku", base_skus, vectors.product, vectors.product_norm, version)
    none = pa.nulls(len(base_skus), pa.float32())
    fitted, counted = none, none
    if view == "training":
        fitted, counted = (
            pa.array(fitted_popularity(graph, checkpoint)),
            pa.array(counted_popularity(graph)),
        )
    products = products.append_column("fitted_popularity", fitted).append_column(
        "counted_popularity", counted
    )
    return _ViewVectors(users, products, vectors.shop_popularity)


def _vector_table(
    view: str, key: str, keys: pa.Array, vectors: np.ndarray, norms: np.ndarray, version: str
) -> pa.Table:
    """``view, <key>, embedding, norm, model_version``; vectors as FixedSizeList<float32>[dim]."""
    dimension = vectors.shape[1]
    values = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    return pa.table(
        {
            "view": pa.repeat(view, len(keys)),
            key: keys,
            "embedding": pa.FixedSizeListArray.from_arrays(values, dimension),
            "norm": pa.array(norms),
            MODEL_VERSION: pa.repeat(version, len(keys)),
        }
    )
