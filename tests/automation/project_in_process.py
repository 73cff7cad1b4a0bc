"""The whole project, its steps in the process that launches a run: on a test's clock, and in seconds."""

from __future__ import annotations

import dagster as dg

from holley_assets.definitions import definitions as project

definitions = dg.Definitions(
    assets=project.assets,
    asset_checks=project.asset_checks,
    jobs=project.jobs,
    schedules=project.schedules,
    sensors=project.sensors,
    resources=project.resources,
    executor=dg.in_process_executor,
)
