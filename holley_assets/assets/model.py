"""Training, and the vectors that it gives. PyTorch is imported inside the steps that need it."""

import dataclasses
import datetime
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pyarrow as pa

from holley_assets.assets.graphs import KINDS, graph_statistics
from holley_assets.assets.model_choice import (
    choose_checkpoint,
    reference_metadata,
)
from holley_assets.assets.options import training_options
from holley_assets.assets.starting_weights import (
    choose_starting_weights,
)
from holley_assets.core.asset_keys import (
    CHAMPION_MODEL,
    TRAINED_CHECKPOINT,
)
from holley_assets.core.failures import (
    one_line,
)
from holley_assets.core.groups import (
    MODEL,
    OWNERS,
    table_spec,
)
from holley_assets.core.metadata_keys import (
    MODEL_VERSION,
)
from holley_assets.core.tags import (
    STARTED_FROM_TAG,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.step_resources import heavy_step
from holley_assets.resources.storage.artifacts import ArtifactStore, Reference
from holley_assets.resources.storage.training_state import TrainingState
from holley_assets.resources.tracking.journal import TrackingJournal
from holley_assets.resources.tracking.records import Parameter, TrainingRecord
from holley_assets.resources.tracking.tracking import flatten
from holley_assets.settings import Settings

if TYPE_CHECKING:
    from holley_assets.gnn.checkpoint import Epoch

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
    time_windows: pa.Table,
    training_graph: pa.Table,
) -> dg.MaterializeResult:
    """Reference to `model.pt`: the weights of the epoch that predicts held-out visitors best, and its history.

    Trained on the graph as of the cutoff, so that the clicks after it are a fair test. 10 % of the
    visitors are held out to choose what is learned and how strongly it is held back. Message passing starts from the
    champion's weights, and every four weeks from nothing. Curves, parameters, graph statistics and the checkpoint are
    in MLflow, in the run that carries this run's id, which is a version of `holley-gnn`. A training that was killed
    goes on where it stopped.
    """
    from holley_assets.gnn.checkpoint import CheckpointError
    from holley_assets.gnn.distributed import DistributedTrainingError, train_in_processes
    from holley_assets.gnn.graph import load_graph
    from holley_assets.gnn.training import train

    started = time.monotonic()
    run_settings = settings.of_run(context.run)
    artifacts = ArtifactStore(settings.store(), context.run.run_id)
    graph_path = artifacts.locate(Reference.from_table(training_graph))
    graph = load_graph(graph_path)
    statistics = graph_statistics(graph)
    model_options, options = training_options(run_settings)
    windows = TimeWindows.from_table(time_windows)
    with one_line(CheckpointError):
        start = choose_starting_weights(
            run_settings, model_options, artifacts, as_of=windows.as_of, tags=context.run.tags
        )
    started_from = start.started_from or "nothing"
    context.log.info(f"The training starts from {started_from}: {start.reason}")
    context.instance.add_run_tags(context.run.run_id, {STARTED_FROM_TAG: started_from})

    state = TrainingState(settings.store(), run_settings.run.data_dir)
    state.fetch()
    if damaged := state.set_aside_if_damaged():
        context.log.warning(damaged)

    def report(epoch: "Epoch") -> None:
        context.log.info(_progress(epoch))
        state.share()

    if (processes := run_settings.training.processes) > 1:
        with one_line(DistributedTrainingError):
            result = train_in_processes(
                graph_path,
                model_options,
                options,
                processes=processes,
                state_path=state.path,
                warm_start=start.checkpoint,
                on_epoch=report,
            )
    else:
        result = train(
            graph,
            model_options,
            options,
            state_path=state.path,
            warm_start=start.checkpoint,
            on_epoch=report,
        )
    staged = artifacts.staging_path(MODEL_FILE)
    result.checkpoint.save(staged)
    reference = artifacts.publish(staged, MODEL_FILE)
    state.forget()
    version = result.checkpoint.version(windows.as_of)
    history = [epoch._asdict() for epoch in result.history]
    best = history[result.checkpoint.best_epoch]
    learnt_from = {
        "source": windows.source,
        "source_kind": windows.source_kind,
        "window": f"from {windows.intent_start} to before {windows.cutoff}",
    }
    metadata: dict[str, Any] = {
        MODEL_VERSION: version,
        **reference_metadata(reference),
        **learnt_from,
        "epochs": len(history) - 1,
        "best_epoch": result.checkpoint.best_epoch,
        "stopped_early": result.stopped_early,
        **{f"best_{name}": value for name, value in best.items() if name.startswith("validation") and value},
        "started_from": started_from,
        "started_from_reason": start.reason,
        "warm_start_weights": result.warm_start_weights,
        "device": options.device,
    }
    tracked = TrackingJournal(run_settings, settings.store()).record(
        TrainingRecord(
            written_at=datetime.datetime.now(datetime.UTC),
            dagster_run_id=context.run.run_id,
            model_version=version,
            as_of=windows.as_of,
            checkpoint=reference,
            parameters={**_parameters(run_settings), "device": options.device, "started_from": started_from},
            statistics={
                **{
                    f"{group}.{name}": value for group, of in statistics.items() for name, value in of.items()
                },
                "best_epoch": result.checkpoint.best_epoch,
                "best_validation_mrr": best["validation_mrr"],
                "seconds_training": time.monotonic() - started,
            },
            # What a stage is called is no number of a curve.
            curves=[{name: value for name, value in epoch.items() if name != "stage"} for epoch in history],
            started_from=start.started_from,
            learnt_from=learnt_from,
        )
    )
    if tracked.warning:
        context.log.warning(tracked.warning)
    metadata |= tracked.metadata
    row = {**dataclasses.asdict(reference), MODEL_VERSION: version, "best_epoch": best["epoch"]}
    metadata["seconds"] = round(time.monotonic() - started, 2)
    return dg.MaterializeResult(value=pa.Table.from_pylist([{**row, "history": history}]), metadata=metadata)


def _progress(epoch: "Epoch") -> str:
    shown = {
        "train loss": epoch.train_loss,
        "validation loss": epoch.validation_loss,
        "validation MRR": epoch.validation_mrr,
    }
    numbers = ", ".join(f"{name} {value:.4f}" for name, value in shown.items() if value is not None)
    stage = epoch.stage if epoch.strength is None else f"{epoch.stage}, priors times {epoch.strength:g}"
    return f"epoch {epoch.epoch} ({stage}): {numbers or 'nothing to learn from'} ({epoch.seconds:.1f} s)"


def _parameters(settings: Settings) -> dict[str, Parameter]:
    """What shaped the training, for its record."""
    values = settings.model_dump(mode="json", include={"run", "model", "training", "rules"})
    # Folders say where, not what, and may name a person.
    for name in ("data_dir", "source_dir"):
        del values["run"][name]
    return flatten(values)


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
) -> Iterator[dg.MaterializeResult]:
    """Vectors of both graphs with one model, in one process."""
    from holley_assets.gnn.checkpoint import Checkpoint
    from holley_assets.gnn.controls import counted_popularity, fitted_popularity
    from holley_assets.gnn.embedding import embed
    from holley_assets.gnn.graph import load_graph
    from holley_assets.gnn.training_options import resolve_device

    started = time.monotonic()
    run_settings = settings.of_run(context.run)
    model = choose_checkpoint(context.instance, context.run, run_settings)
    context.log.info(f"Model {model.model_version}: {model.reason}")
    artifacts = ArtifactStore(settings.store(), context.run.run_id)
    checkpoint = Checkpoint.load(artifacts.locate(model.reference))
    chosen = run_settings.training
    device = resolve_device(chosen.device)
    users, products, shop_popularity = [], [], {}
    for view, reference in (("training", training_graph), ("serving", serving_graph)):
        graph = load_graph(artifacts.locate(Reference.from_table(reference)))
        base_skus = pa.array(graph.products, pa.string())
        vectors = embed(graph, checkpoint, personal_precision=chosen.personal_precision, device=device)
        shop_popularity[f"shop_popularity_{view}"] = vectors.shop_popularity
        profiles = pa.array(np.arange(len(vectors.user), dtype=np.int32))
        version = model.model_version
        users.append(_vector_table(view, "profile", profiles, vectors.user, vectors.user_norm, version))
        table = _vector_table(view, "base_sku", base_skus, vectors.product, vectors.product_norm, version)
        is_training = view == "training"
        for name, popularity in (
            ("fitted_popularity", fitted_popularity(graph, checkpoint) if is_training else None),
            ("counted_popularity", counted_popularity(graph) if is_training else None),
        ):
            none = pa.nulls(len(base_skus), pa.float32())
            table = table.append_column(name, none if popularity is None else pa.array(popularity))
        products.append(table)
    metadata: dict[str, Any] = {
        MODEL_VERSION: model.model_version,
        "model_of_run": model.reference.run_id,
        "model_reason": model.reason,
        **shop_popularity,
        "seconds": round(time.monotonic() - started, 2),
    }
    yield dg.MaterializeResult("user_embeddings", value=pa.concat_tables(users), metadata=metadata)
    yield dg.MaterializeResult("product_embeddings", value=pa.concat_tables(products), metadata=metadata)


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
