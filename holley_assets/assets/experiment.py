"""The experiment on customers: what users did since they were shown parts, and what is to be decided from it."""

import datetime
import json
from collections.abc import Iterator, Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from holley_assets.assets.experiment_log import (
    DeclarationError,
    Frozen,
    declared_experiment,
    frozen_declaration,
)
from holley_assets.assets.experiment_plan import plan_before_start
from holley_assets.assets.experiment_sends import exposure_source, shown_exposures
from holley_assets.assets.report import JSON_FILE as REPORT_FILE
from holley_assets.assets.rollout_limit import KEPT_READOUTS, NEXT_SHARE, kept_readout
from holley_assets.assets.step import Step, with_windows
from holley_assets.checks.experiment_checks import EXPERIMENT_CHECKS, experiment_verdicts
from holley_assets.core.asset_keys import EXPERIMENT_OUTCOMES, EXPERIMENT_READOUT, SERVING_TABLE
from holley_assets.core.failures import one_line
from holley_assets.core.groups import EXPERIMENT, OWNERS
from holley_assets.core.materialized import Materialized
from holley_assets.core.output_tables import SHOWN_EXPOSURES
from holley_assets.experiment.declaration import Declaration
from holley_assets.pipeline.options import query_parameters
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.storage.artifacts import Reference
from holley_assets.resources.storage.interface import publish_text
from holley_assets.resources.tracking.mlflow_store import TrackingError
from holley_assets.resources.tracking.records import ReadoutRecord
from holley_assets.resources.warehouse.interface import MissingTableError, WarehouseError
from holley_assets.resources.warehouse.sql_files import query_dependencies
from holley_assets.resources.warehouse_resource import WarehouseResource

JSON_FILE, HTML_FILE = "experiment_readout.json", "experiment_readout.html"


@dg.asset(
    key=EXPERIMENT_OUTCOMES,
    group_name=EXPERIMENT,
    owners=OWNERS,
    kinds={"sql", "duckdb", "bigquery"},
    # The log is written with the serving table.
    deps=[SERVING_TABLE, *with_windows(set(query_dependencies("experiment_outcomes")) - {SHOWN_EXPOSURES})],
    # Without an experiment there is nothing to count, and the readout is skipped.
    output_required=False,
    dagster_type=dg.Any,
)
def experiment_outcomes(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
) -> Iterator[Materialized]:
    """One row a user whom the experiment showed parts: arm, first exposure, and clicks and orders in the days after.

    Users are in the arm that the hash assigned at the first exposure, whatever they received. Machine clicks are
    counted apart; what was before the first exposure counts nowhere but as the covariate. Made only while
    `HOLLEY_EXPERIMENT_DECLARATION` names an experiment that has started; by the declaration as it was frozen then.
    """
    step = Step(context, settings)
    with one_line(WarehouseError, DeclarationError):
        frozen, reason = _running(step, warehouse)
        if frozen is None:
            plan = _plan(step, warehouse)
            if plan is not None:
                reason = f"{reason}. Power plan: {plan['reason']} {plan['basis']}"
            context.log.info(reason)
            context.log_event(dg.AssetObservation(EXPERIMENT_OUTCOMES, description=reason))
            return
        declaration = frozen.declaration
        parameters = {
            **query_parameters(step.settings, step.windows),
            **declaration.outcome_parameters(),
        }
        try:
            with shown_exposures(step, warehouse, parameters) as shown:
                result = shown.warehouse.query_to_parquet(
                    EXPERIMENT_OUTCOMES.to_user_string(), parameters, step.staging_path(context.asset_key)
                )
        except MissingTableError:
            # The declaration is frozen before the table is replaced, which may have been refused.
            context.log.info(f"experiment {declaration.name} has exposed nobody yet")
            return
    yield dg.MaterializeResult(
        value=result.path,
        metadata={
            "experiment": declaration.name,
            "users": result.rows,
            **shown.metadata,
            **result.costs,
            **step.took(),
        },
    )


def _plan(step: Step, warehouse: WarehouseResource) -> dict[str, Any] | None:
    """The power plan of an experiment that is declared; None where there is none, or nothing was delivered yet."""
    declaration = declared_experiment(step.settings)
    return None if declaration is None else plan_before_start(step, warehouse, declaration)


def _running(step: Step, warehouse: WarehouseResource) -> tuple[Frozen | None, str]:
    """The experiment that runs or has run; or why there is none."""
    declaration = declared_experiment(step.settings)
    if declaration is None:
        return None, "there is no experiment: HOLLEY_EXPERIMENT_DECLARATION is not set"
    frozen = frozen_declaration(step.open(warehouse), step.settings, declaration.name)
    if frozen is None:
        return None, (
            f"experiment {declaration.name} has not started: it does with the first delivery to customers on or after "
            f"{declaration.start}"
        )
    if frozen.declaration.fingerprint() != declaration.fingerprint():
        step.log.warning(
            f"experiment {declaration.name} is read as it was declared when it started, and the file has changed since"
        )
    return frozen, ""


@dg.asset(
    key=EXPERIMENT_READOUT,
    group_name=EXPERIMENT,
    owners=OWNERS,
    kinds={"html", "mlflow"},
    check_specs=EXPERIMENT_CHECKS,
    # With checks of its own, an asset annotated as MaterializeResult is taken to have no value.
    dagster_type=dg.Any,
)
def experiment_readout(
    context: dg.AssetExecutionContext,
    settings: SettingsResource,
    warehouse: WarehouseResource,
    experiment_outcomes: pa.Table,
) -> Materialized:
    """Is the graph better for customers? One decision with its reason: ship, keep running, stop for no effect, harm,
    invalid.

    Reference to `experiment_readout.json`; beside it lies `experiment_readout.html`, one page that needs nothing else.
    Whether the arms have their users comes first. One may read it daily: the comparison is that of the newest declared
    look, and its bounds hold for all looks together.
    """
    step = Step(context, settings)
    with one_line(WarehouseError, DeclarationError):
        frozen = _required(step, warehouse)
    readout = _read(step, frozen.declaration, experiment_outcomes)
    page = step.artifacts.publish_text(
        _page(step, readout, frozen.declaration, experiment_outcomes), HTML_FILE
    )
    text = json.dumps(readout, indent=2, ensure_ascii=False) + "\n"
    reference = step.artifacts.publish_text(text, JSON_FILE)
    tracked = step.shown(step.journal.record(_record(step, readout, [reference, page])))
    publish_text(step.store, kept_readout(frozen.declaration.name), text)
    return dg.MaterializeResult(
        value=reference.to_table(),
        metadata={
            **_shown(readout),
            "report": dg.MetadataValue.path(step.store.location(page.path)),
            "frozen_at": frozen.frozen_at.isoformat(),
            **tracked,
            **step.took(),
        },
        check_results=experiment_verdicts(readout, step.windows.as_of),
    )


def _required(step: Step, warehouse: WarehouseResource) -> Frozen:
    """The experiment that the outcomes are of.

    Raises:
        DeclarationError: it is not there any more.
        WarehouseError: the record of declarations cannot be read.
    """
    frozen, reason = _running(step, warehouse)
    if frozen is None:
        raise DeclarationError(f"these outcomes are of an experiment that is not there now: {reason}")
    return frozen


def _read(step: Step, declaration: Declaration, outcomes: pa.Table) -> dict[str, Any]:
    """The readout as of the run's day, and how far a rollout may go by it.

    Raises:
        dg.Failure: the outcomes are not of this experiment.
    """
    # Seconds of imports that no other step needs.
    from holley_assets.experiment.readout import read_experiment
    from holley_assets.experiment.rollout import next_share

    as_of, source = step.windows.as_of, exposure_source(step.settings)
    try:
        readout = read_experiment(declaration, outcomes, as_of=as_of, exposure_source=source)
    except ValueError as error:
        raise dg.Failure(f"The experiment cannot be read: {error}", allow_retries=False) from error
    share, reason = next_share(readout)
    return {**readout, NEXT_SHARE: {"share": share, "reason": reason}}


def _page(step: Step, readout: Mapping[str, Any], declaration: Declaration, outcomes: pa.Table) -> str:
    from holley_assets.experiment.page import render
    from holley_assets.experiment.power import power_plan, recent_users

    plan = power_plan(declaration, recent_users(outcomes, declaration))
    return render(readout, plan=plan, lifts=_lifts(step, readout), source=step.windows.source)


def _shown(readout: Mapping[str, Any]) -> dict[str, Any]:
    """What the UI shows of a readout."""
    from holley_assets.experiment.page import summarise

    decision, following = readout["decision"], readout[NEXT_SHARE]
    return {
        "decision": decision["outcome"],
        "reason": decision["reason"],
        "readout": dg.MetadataValue.md(summarise(readout)),
        NEXT_SHARE: f"{following['share']:.0%}: {following['reason']}",
    }


def _record(step: Step, readout: Mapping[str, Any], artifacts: list[Reference]) -> ReadoutRecord:
    from holley_assets.experiment.readout import readout_metrics

    return ReadoutRecord(
        written_at=datetime.datetime.now(datetime.UTC),
        dagster_run_id=step.run_id,
        experiment=readout["experiment"]["name"],
        as_of=step.windows.as_of,
        outcome=readout["decision"]["outcome"],
        metrics=readout_metrics(readout),
        artifacts=artifacts,
    )


def _lifts(step: Step, readout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Offline lifts beside online ones, of this experiment and of those before it; fewer where MLflow is away."""
    from holley_assets.experiment.offline import lift_rows

    own = kept_readout(readout["experiment"]["name"])
    earlier = [
        json.loads(step.store.local_path(key).read_text(encoding="utf-8"))
        for key in sorted(step.store.keys(KEPT_READOUTS))
        if key != own
    ]
    readouts = sorted([*earlier, readout], key=lambda each: str(each["as_of"]))
    versions = {
        version["model_version"]
        for each in readouts
        for version in each["versions"] or []
        if version["estimate"]
    }
    return lift_rows(readouts, _offline(step, versions))


def _offline(step: Step, versions: set[str]) -> dict[str, dict[str, Any]]:
    """Lift in Hit Rate@4 over all users and its interval, by model version, from the report of its training's run."""
    from holley_assets.resources.tracking.model_registry import open_model_registry

    found: dict[str, dict[str, Any]] = {}
    try:
        registry = open_model_registry(step.settings)
        for version in sorted(versions):
            model = registry.by_model_version(version)
            if model is None:
                continue
            path = step.store.local_path(step.store.artifact_key(model.dagster_run_id, REPORT_FILE))
            comparison = json.loads(path.read_text(encoding="utf-8"))["comparison"]["overall"]
            found[version] = {"lift": comparison["hit_rate@4_delta"], "interval": comparison["ci95"]}
    except (TrackingError, FileNotFoundError) as error:
        step.log.warning(f"Not every offline lift is known: {error}")
    return found
