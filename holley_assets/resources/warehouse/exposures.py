"""The log of an experiment's exposures: which parts of which arm each user was shown on which day.

It is written with the table that shows them: in the transaction that replaces the table, or not at all. A later
delivery of a day takes the place of that day's earlier rows, user by user; earlier days are never touched.
"""

from __future__ import annotations

import datetime
import re

import pyarrow as pa

from holley_assets.resources.warehouse.interface import Exposures, WarehouseError, check_identifiers
from holley_assets.terms import SLOTS

_PARTS = tuple(f"rec_part_{slot}" for slot in range(1, SLOTS + 1))
DAY_COLUMN = "exposure_day"
# What a partition of a day is sorted by in BigQuery.
CLUSTERED_BY = ("experiment", "email_lower")
EXPOSURES_SCHEMA = pa.schema(
    [
        ("experiment", pa.string()),
        (DAY_COLUMN, pa.date32()),
        ("email_lower", pa.string()),
        ("assigned_arm", pa.string()),
        ("received_arm", pa.string()),
        ("share", pa.float64()),
        ("system", pa.string()),
        ("model_version", pa.string()),
        *((part, pa.string()) for part in _PARTS),
        ("published_at", pa.timestamp("us", "UTC")),
        ("run_id", pa.string()),
    ]
)
# What may stand between quotes in the text of a statement.
_PLAIN = re.compile(r"[\w.:-]{1,200}")


def log_statements(log: str, source: str, exposures: Exposures, published_at: datetime.datetime) -> list[str]:
    """Two statements, of both engines, that make the log hold one row for each user of ``source`` on the day.

    Args:
        log: name of the log, quoted as the engine wants it.
        source: name of the table that is served from now on, with columns ``arm`` and ``assigned_arm``.
        published_at: now.

    Raises:
        WarehouseError: a value is not one that may stand in the text of a statement.
    """
    check_identifiers(exposures.experiment)
    for value in (exposures.run_id, *exposures.systems, *exposures.systems.values()):
        if not _PLAIN.fullmatch(value):
            raise WarehouseError(f"{value!r} cannot be logged; expected letters, digits, _, ., : and -")
    experiment, day = f"'{exposures.experiment}'", f"DATE '{exposures.day.isoformat()}'"
    systems = " ".join(f"WHEN '{arm}' THEN '{system}'" for arm, system in sorted(exposures.systems.items()))
    at = published_at.astimezone(datetime.UTC).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
    values = {
        **{name: name for name in EXPOSURES_SCHEMA.names},
        "experiment": experiment,
        DAY_COLUMN: day,
        "received_arm": "arm",
        "share": repr(float(exposures.share)),
        "system": f"CASE arm {systems} END",
        "published_at": f"TIMESTAMP '{at}'",
        "run_id": f"'{exposures.run_id}'",
    }
    return [
        f"DELETE FROM {log} WHERE experiment = {experiment} AND {DAY_COLUMN} = {day} "
        f"AND email_lower IN (SELECT email_lower FROM {source})",
        f"INSERT INTO {log} ({', '.join(values)}) SELECT {', '.join(values.values())} FROM {source}",
    ]
