"""The day of a run, its cutoff, and which source tables stand behind it."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pyarrow as pa
from pydantic import ValidationError

from holley_assets.core.tags import AS_OF_TAG
from holley_assets.settings import RunSettings, SettingsError, allowed_words
from holley_assets.texts import for_log

SAMPLE_SOURCE = "sample"

PARQUET_SOURCE = "parquet"

BIGQUERY_SOURCE = "bigquery"

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


def source_of(run: RunSettings) -> str:
    """Where the customers of a run are from."""
    if run.env == "prod":
        return BIGQUERY_SOURCE
    return SAMPLE_SOURCE if run.source_dir is None else PARQUET_SOURCE


def resolve_windows(run: RunSettings, today: datetime.date) -> TimeWindows:
    """Windows and source of a run.

    Raises:
        SettingsError: the training window ``[intent_start, cutoff)`` would be empty.
    """
    as_of = run.as_of or today
    cutoff = as_of - datetime.timedelta(days=run.test_days)
    intent_start = intent_start_of(run, as_of)
    if intent_start >= cutoff:
        wrong = (
            f"HOLLEY_INTENT_START={intent_start} is not allowed; allowed: a date"
            if run.intent_start
            else f"HOLLEY_INTENT_DAYS={run.intent_days} is not allowed; allowed: a first day of events"
        )
        raise SettingsError(
            f"{wrong} before the cutoff {cutoff}, which is {'HOLLEY_AS_OF' if run.as_of else 'today'} "
            f"({as_of}) less HOLLEY_TEST_DAYS={run.test_days}"
        )
    if run.env == "prod":
        return TimeWindows(as_of, cutoff, intent_start, BIGQUERY_SOURCE, "BigQuery")
    if run.source_dir is None:
        return TimeWindows(as_of, cutoff, intent_start, SAMPLE_SOURCE, str(sample_folder(run, as_of)))
    location = str(run.source_dir.expanduser().resolve())
    return TimeWindows(as_of, cutoff, intent_start, PARQUET_SOURCE, location)


def intent_start_of(run: RunSettings, as_of: datetime.date) -> datetime.date:
    """First day of interaction events: the one that is set, else so many days before the run's day."""
    return run.intent_start or as_of - datetime.timedelta(days=run.intent_days)


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
            f"run tag {AS_OF_TAG}={for_log(tagged)} is not allowed; allowed: {allowed}"
        ) from None


def sample_folder(run: RunSettings, as_of: datetime.date) -> Path:
    """Folder of the generated sample; its name tells all that shapes the sample."""
    size = f"{run.sample_users}-users-traffic-{run.sample_traffic:g}"
    name = f"{run.sample_kind}-{size}-seed-{run.sample_seed}-{intent_start_of(run, as_of)}-to-{as_of}"
    return run.data_dir / "sample" / name
