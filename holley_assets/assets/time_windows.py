"""The first asset: what day it is, which source tables stand behind the run, and whether they are sound."""

import dataclasses
import datetime
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Self

import dagster as dg
import pyarrow as pa
from pydantic import ValidationError

from holley_assets.assets.groups import GRAPH_TABLES, OWNERS
from holley_assets.assets.model_choice import DELIVERED_TABLE
from holley_assets.assets.serving_keys import SERVING_TABLE
from holley_assets.assets.sources import source_materialization
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.warehouse.interface import Origin, WarehouseError
from holley_assets.resources.warehouse.source_tables import (
    SourceTableError,
    TableDescription,
    validate_source_tables,
)
from holley_assets.resources.warehouse_resource import WarehouseResource, origin_of
from holley_assets.settings import (
    WORKING_DATASET,
    RunSettings,
    Settings,
    SettingsError,
    allowed_words,
    printable,
    unknown_variables,
)

SAMPLE_SOURCE = "sample"
PARQUET_SOURCE = "parquet"
BIGQUERY_SOURCE = "bigquery"
AS_OF_TAG = "holley/as_of"
"""Run tag with the run's day, an ISO date. Schedules set it, so that a late run gives the result of its day."""

TIME_WINDOWS_SCHEMA = pa.schema(
    [
        pa.field("as_of", pa.date32(), nullable=False),
        pa.field("cutoff", pa.date32(), nullable=False),
        pa.field("intent_start", pa.date32(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("source_location", pa.string(), nullable=False),
    ]
)


@dataclasses.dataclass(frozen=True)
class TimeWindows:
    """The one row of asset ``time_windows``.

    Training sees events in ``[intent_start, cutoff)``, serving in ``[intent_start, as_of)``; test clicks are
    in ``[cutoff, as_of)``.
    """

    as_of: datetime.date
    cutoff: datetime.date
    intent_start: datetime.date
    source: str
    source_location: str

    @property
    def source_kind(self) -> str:
        """Runs of one kind may be compared by their row counts.

        Parquet exports are one kind wherever they lie: next week's may be in another folder. A sample is of
        the kind of its generator and its size, which its folder's name begins with.
        """
        if self.source != SAMPLE_SOURCE:
            return self.source
        return f"{self.source} {Path(self.source_location).name.partition('-seed-')[0]}"

    def to_table(self) -> pa.Table:
        """One row in :data:`TIME_WINDOWS_SCHEMA`."""
        return pa.Table.from_pylist([dataclasses.asdict(self)], schema=TIME_WINDOWS_SCHEMA)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Inverse of :meth:`to_table`."""
        return cls(**table.to_pylist()[0])


def resolve_windows(run: RunSettings, today: datetime.date) -> TimeWindows:
    """Windows and source of a run.

    Raises:
        SettingsError: the training window ``[intent_start, cutoff)`` would be empty.
    """
    as_of = run.as_of or today
    cutoff = as_of - datetime.timedelta(days=run.test_days)
    if run.intent_start >= cutoff:
        raise SettingsError(
            f"HOLLEY_INTENT_START={run.intent_start} is not allowed; allowed: a date before the cutoff "
            f"{cutoff}, which is {'HOLLEY_AS_OF' if run.as_of else 'today'} ({as_of}) less "
            f"HOLLEY_TEST_DAYS={run.test_days}"
        )
    if run.env == "prod":
        return TimeWindows(as_of, cutoff, run.intent_start, BIGQUERY_SOURCE, "BigQuery")
    if run.source_dir is None:
        return TimeWindows(as_of, cutoff, run.intent_start, SAMPLE_SOURCE, str(sample_folder(run, as_of)))
    location = str(run.source_dir.expanduser().resolve())
    return TimeWindows(as_of, cutoff, run.intent_start, PARQUET_SOURCE, location)


def on_tagged_day(run: RunSettings, tags: Mapping[str, str]) -> RunSettings:
    """``run`` on the day that the run's tags name, which goes before HOLLEY_AS_OF.

    Raises:
        SettingsError: the tag is no date.
    """
    tagged = tags.get(AS_OF_TAG)
    if tagged is None:
        return run
    try:
        return RunSettings(**{**dict(run), "as_of": tagged})
    except ValidationError:
        allowed = allowed_words(RunSettings, "as_of")
        raise SettingsError(
            f"run tag {AS_OF_TAG}={printable(tagged)} is not allowed; allowed: {allowed}"
        ) from None


def sample_folder(run: RunSettings, as_of: datetime.date) -> Path:
    """Folder of the generated sample; its name tells all that shapes the sample."""
    size = f"{run.sample_users}-users-traffic-{run.sample_traffic:g}"
    name = f"{run.sample_kind}-{size}-seed-{run.sample_seed}-{run.intent_start}-to-{as_of}"
    return run.data_dir / "sample" / name


def output_datasets(settings: Settings, assets: Collection[dg.AssetKey]) -> list[str]:
    """Datasets of the output tables that a run of ``assets`` may write.

    No others, so that one that is broken does not keep job `serve_sql_only` from the serving table.
    """
    datasets = [WORKING_DATASET] if DELIVERED_TABLE in assets else []
    if SERVING_TABLE in assets and (settings.serving.mode != "shadow" or settings.serving.kill_switch):
        datasets.append(settings.serving_dataset)
    return datasets


def prepare_sources(
    settings: Settings,
    windows: TimeWindows,
    warehouse: WarehouseResource,
    origin: Origin,
    written_datasets: Collection[str],
) -> dict[str, TableDescription]:
    """Generate the sample, if the source is one, make sure of the output's datasets, validate all source tables.

    Args:
        written_datasets: those of the run's output tables.

    Raises:
        SettingsError: the sample cannot be generated with these settings.
        WarehouseError: a dataset of the output cannot be written.
        SourceTableError: a table is not what the queries need.
    """
    if windows.source == SAMPLE_SOURCE:
        from holley_assets.sample_data import generate_sample

        run = settings.run
        try:
            generate_sample(
                Path(windows.source_location),
                users=run.sample_users,
                kind=run.sample_kind,
                traffic=run.sample_traffic,
                seed=run.sample_seed,
                as_of=windows.as_of,
                intent_start=windows.intent_start,
                test_days=run.test_days,
            )
        except (ValueError, FileExistsError) as error:
            raise SettingsError(f"the sample cannot be generated: {error}") from error
    opened = warehouse.open(settings, windows.source_location, origin=origin)
    opened.require_writable(written_datasets)
    return validate_source_tables(opened)


@dg.asset(group_name=GRAPH_TABLES, owners=OWNERS, kinds={"python"})
def time_windows(
    context: dg.AssetExecutionContext, settings: SettingsResource, warehouse: WarehouseResource
) -> dg.MaterializeResult:
    """One row: the run's day, the cutoff, the start of intent, and where the source tables are.

    The first step of every run. It reads and validates every setting and freezes them for the steps that
    follow; asks the clock, once, where no day is set; generates sample data where no source is named; and
    compares the columns of all seven source tables with what the queries need; and makes sure that the output's
    datasets can be written. Whatever is wrong ends the run
    here, in one line, before anything is computed.
    """
    started = time.monotonic()
    for name in unknown_variables():
        context.log.warning(
            f"{name} is set and is no setting of this project; see holley_assets/settings/README.md"
        )
    try:
        loaded = settings.load()
        resolved = loaded.model_copy(update={"run": on_tagged_day(loaded.run, context.run.tags)})
        windows = resolve_windows(resolved.run, datetime.datetime.now(datetime.UTC).date())
        datasets = output_datasets(resolved, context.job_def.asset_layer.selected_asset_keys)
        tables = prepare_sources(resolved, windows, warehouse, origin_of(context), datasets)
    except (SettingsError, SourceTableError, WarehouseError) as error:
        raise dg.Failure(str(error), allow_retries=False) from None
    for name, description in tables.items():
        context.log_event(
            source_materialization(name, description, source=windows.source, found_by="the run")
        )
    path = settings.freeze(resolved, context.run.run_id)
    return dg.MaterializeResult(
        value=windows.to_table(),
        metadata={
            "source_rows": {name: description.rows for name, description in tables.items()},
            "settings": dg.MetadataValue.path(path),
            "seconds": round(time.monotonic() - started, 2),
        },
    )
