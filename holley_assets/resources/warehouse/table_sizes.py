"""How large tables are to BigQuery: its price counts bytes by column, of values as types define them.

An INT64, a FLOAT64, a DATE or a TIMESTAMP has 8 bytes, a BOOL 1, a STRING 2 and those of its text in UTF-8, NULL none;
an array or a struct has what its values have (https://cloud.google.com/bigquery/pricing, "data size calculation").
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# The column that says of which day a row is: BigQuery reads no other days where the table is partitioned by it.
DAY_COLUMNS: Mapping[str, str] = {
    "ingestion_unified_attributes_schema_incremental": "update_timestamp",
    "ingestion_unified_schema_incremental": "client_event_timestamp",
    "treatment_interaction": "interaction_timestamp_micros",
}
_FIRST_DAY = datetime.date(1970, 1, 1)
_BATCH_ROWS = 65_536
_WIDTH = 8
_TEXT_EXTRA = 2


@dataclass(frozen=True)
class TableSize:
    """One table.

    Attributes:
        rows: how many it has.
        columns: bytes of each top-level column; names in lower case, as column names have no case.
        days: rows of each day of the table's day column, by days since 1970-01-01, UTC; empty where it has none. Rows
            without a day count in ``rows`` alone.
    """

    rows: int
    columns: Mapping[str, int]
    days: Mapping[int, int] = field(default_factory=dict)

    def share_of_days(self, since: datetime.date | None, before: datetime.date | None) -> float:
        """Part of the rows that is of days in ``[since, before)``, or of no day."""
        if not self.rows or not self.days:
            return 1.0
        outside = sum(
            rows
            for day, rows in self.days.items()
            if (since is not None and day < day_number(since))
            or (before is not None and day >= day_number(before))
        )
        return 1.0 - outside / self.rows


def day_number(day: datetime.date) -> int:
    """Days from 1970-01-01 to ``day``."""
    return (day - _FIRST_DAY).days


def value_bytes(values: pa.Array) -> int:
    """Bytes of ``values`` as BigQuery counts them; those in memory of a type that no query here reads."""
    kind = values.type
    if pa.types.is_dictionary(kind):
        values, kind = values.cast(kind.value_type), kind.value_type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return value_bytes(values.flatten())
    if pa.types.is_struct(kind):
        return sum(map(value_bytes, values.flatten()))
    known: int = len(values) - values.null_count
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _TEXT_EXTRA * known + int(pc.sum(pc.binary_length(values)).as_py() or 0)
    if pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return known
    wide = (pa.types.is_integer, pa.types.is_floating, pa.types.is_timestamp, pa.types.is_date)
    return _WIDTH * known if any(is_wide(kind) for is_wide in wide) else int(values.nbytes)


def measure_table(files: Sequence[Path], table: str, *, sample_rows: int | None = None) -> TableSize:
    """Size of the table in ``files``.

    Args:
        files: Parquet, all parts of it.
        table: its name, by which its day column is known.
        sample_rows: bytes are those of so many first rows, in proportion; unset: all are read.
    """
    rows = 0
    columns: dict[str, float] = {}
    days: dict[int, int] = {}
    for path in files:
        with pq.ParquetFile(path) as file:
            total = file.metadata.num_rows
            wanted = total if sample_rows is None else min(total, sample_rows)
            read, found = _read_columns(file, wanted)
            rows += total
            for name, count in found.items():
                columns[name] = columns.get(name, 0.0) + count * total / max(read, 1)
            day_column = DAY_COLUMNS.get(table)
            if day_column is not None and day_column in file.schema_arrow.names:
                _count_days(file, day_column, days)
    return TableSize(
        rows, {name: round(count) for name, count in columns.items()}, dict(sorted(days.items()))
    )


def _read_columns(file: pq.ParquetFile, wanted: int) -> tuple[int, dict[str, int]]:
    """Rows that were read, at most ``wanted``, and the bytes of each of their columns."""
    found = {name.lower(): 0 for name in file.schema_arrow.names}
    read = 0
    for batch in file.iter_batches(batch_size=max(1, min(_BATCH_ROWS, wanted))):
        if read >= wanted:
            break
        part = batch.slice(0, wanted - read)
        read += part.num_rows
        for name, values in zip(part.schema.names, part.columns, strict=True):
            found[name.lower()] += value_bytes(values)
    return read, found


def _count_days(file: pq.ParquetFile, column: str, days: dict[int, int]) -> None:
    for batch in file.iter_batches(columns=[column]):
        # Without its zone a moment is that of UTC. Numbers, since a wrong year may be none that a date can have.
        moments = batch.column(0).cast(pa.timestamp("us"), safe=False)
        for each in pc.value_counts(moments.cast(pa.date32(), safe=False).cast(pa.int32())).to_pylist():
            if each["values"] is not None:
                days[each["values"]] = days.get(each["values"], 0) + int(each["counts"])
