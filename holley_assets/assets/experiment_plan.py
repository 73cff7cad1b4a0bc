"""The power plan of an experiment before it starts, while its metric and its days can still be changed."""

from __future__ import annotations

import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.assets.step import Step
from holley_assets.core.asset_keys import EXPERIMENT_OUTCOMES, STAGED
from holley_assets.core.output_tables import SHOWN_EXPOSURES
from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.outcomes import CONTROL
from holley_assets.pipeline.options import query_parameters
from holley_assets.resources.storage.interface import checksum
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA
from holley_assets.resources.warehouse_resource import WarehouseResource


def plan_before_start(
    step: Step, warehouse: WarehouseResource, declaration: Declaration
) -> dict[str, Any] | None:
    """The plan by what the users of the newest delivery did in the last days, as if they had been exposed just before.

    The outcomes are those of the query that reads the experiment. Everybody of the delivery is taken to be exposed in
    the first week, and nobody after it.

    Returns:
        what :func:`.power.power_plan` returns and ``basis``, one sentence; None where nothing was delivered yet.

    Raises:
        WarehouseError: a table cannot be read.
    """
    # Seconds of imports that no other step needs.
    from holley_assets.experiment.metrics import TESTED
    from holley_assets.experiment.outcomes import read_outcomes
    from holley_assets.experiment.page import write_value
    from holley_assets.experiment.power import expected_users, power_plan

    try:
        paths = step.asset_paths([STAGED.to_user_string()])
    except FileNotFoundError:
        return None
    users = pq.read_table(paths[STAGED.to_user_string()], columns=["email_lower"])["email_lower"]
    day = step.windows.as_of - datetime.timedelta(days=declaration.window_days)
    supposed = declaration.model_copy(update={"start": day})
    parameters = {**query_parameters(step.settings, step.windows), **supposed.outcome_parameters()}
    opened = step.open(warehouse)
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{SHOWN_EXPOSURES}.parquet"
        pq.write_table(_exposures(users, declaration, day), path)
        staged = opened.stage_table(SHOWN_EXPOSURES, path, checksum(path))
        result = opened.with_staged({SHOWN_EXPOSURES: staged}).query_to_parquet(
            EXPERIMENT_OUTCOMES.to_user_string(), parameters, Path(folder) / "outcomes.parquet"
        )
        outcomes = read_outcomes(pq.read_table(result.path), supposed)
    metric = TESTED[declaration.primary_metric]
    recent = expected_users(outcomes.exposed, metric)
    basis = (
        f"It reckons with the {recent.users_in_the_first_week:,} users of the newest delivery, whose "
        f"{metric.label.lower()} was {write_value(recent.mean, metric.kind)} in the {declaration.window_days} days "
        f"from {day} on, and takes all of them to come in the first week."
    )
    return {**power_plan(declaration, recent), "basis": basis}


def _exposures(users: pa.ChunkedArray, declaration: Declaration, day: datetime.date) -> pa.Table:
    """Everybody exposed on ``day``; nothing that the outcomes need hangs on the arm."""
    values = {
        "experiment": declaration.name,
        "exposure_day": day,
        "assigned_arm": CONTROL,
        "received_arm": CONTROL,
        "share": declaration.share,
        "system": "",
        "model_version": "",
        "published_at": datetime.datetime.combine(day, datetime.time(), datetime.UTC),
    }
    columns = [
        users.cast(field.type)
        if field.name == "email_lower"
        else pa.repeat(pa.scalar(values.get(field.name), field.type), len(users))
        for field in EXPOSURES_SCHEMA
    ]
    return pa.table(columns, schema=EXPOSURES_SCHEMA)
