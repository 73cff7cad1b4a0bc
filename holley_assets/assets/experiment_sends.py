"""Whom the experiment showed parts: who was sent a mail, where a table tells; else who was published."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from holley_assets.assets.step import Step
from holley_assets.core.output_tables import EXPOSURES_TABLE, SHOWN_EXPOSURES
from holley_assets.resources.warehouse.interface import Warehouse, WarehouseError
from holley_assets.resources.warehouse_resource import WarehouseResource
from holley_assets.settings import Settings, variable_name
from holley_assets.settings.experiment import ExperimentSettings

if TYPE_CHECKING:
    from holley_assets.experiment.readout import ExposureSource


class Shown(NamedTuple):
    """A warehouse whose queries read the exposures, and what the UI shows of these."""

    warehouse: Warehouse
    metadata: Mapping[str, Any]


def exposure_source(settings: Settings) -> ExposureSource:
    """Whether an exposure is a real send or what was published."""
    return "published" if settings.experiment.sends_table is None else "sent"


@contextlib.contextmanager
def shown_exposures(
    step: Step, warehouse: WarehouseResource, parameters: Mapping[str, object]
) -> Iterator[Shown]:
    """The warehouse in which ``shown_exposures`` are the exposures of the experiment that ``parameters`` name.

    Raises:
        MissingTableError: nobody was exposed yet.
        WarehouseError: the table of sends is missing or has not the columns that the settings name. One line.
    """
    log = (step.settings.serving_dataset, EXPOSURES_TABLE)
    opened = step.open(warehouse)
    source = exposure_source(step.settings)
    if source == "published":
        yield Shown(opened.with_output({SHOWN_EXPOSURES: log}), {"exposure_source": source})
        return
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"{SHOWN_EXPOSURES}.parquet"
        # Without a log there is no delivery yet, and the table of sends is not asked.
        opened.describe_table(*log)
        try:
            sent = opened.with_output({EXPOSURES_TABLE: log}).query_to_parquet(
                SHOWN_EXPOSURES, parameters, path
            )
        except WarehouseError as error:
            raise WarehouseError(f"{_setting(step.settings)}: {error}") from error
        yield Shown(
            step.open(warehouse, {SHOWN_EXPOSURES: path}),
            {
                "exposure_source": source,
                "sends_table": step.settings.experiment.sends_table,
                "sends": sent.rows,
                "sends_dropped": sent.dropped,
            },
        )


def _setting(settings: Settings) -> str:
    """The settings that name the table and its columns, with their values."""
    names = ("sends_table", "sends_email_column", "sends_time_column")
    return ", ".join(
        f"{variable_name(ExperimentSettings, name)}={getattr(settings.experiment, name)}" for name in names
    )
