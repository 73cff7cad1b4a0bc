"""The live SQL pipeline's own table as system `sql`, in the place of the same pipeline computed here."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holley_assets.evaluation.systems import BASELINE
from holley_assets.resources.warehouse.interface import Warehouse
from holley_assets.settings import SettingsError, variable_name
from holley_assets.settings.judging import EvaluationSettings

_VARIABLE = variable_name(EvaluationSettings, "live_table")


@dataclasses.dataclass(frozen=True)
class LiveBaseline:
    """What the live pipeline showed."""

    rankings: pa.Table
    """``email_lower, system, rank, base_sku, score``, at most four ranks a user."""
    generated: datetime.date
    users: int
    """Users in the table, test users or not."""


def read_live_baseline(warehouse: Warehouse, users: pa.Array, *, cutoff: datetime.date) -> LiveBaseline:
    """Read the live pipeline's table, wide to long, for ``users``.

    A table that was generated after the cutoff knows orders of the test window, and of the very clicks that are
    to be predicted some led to an order: the baseline would look better than it is. Of a table that keeps several
    days the last one up to the cutoff is taken.

    Args:
        warehouse: knows the table as asset ``live_recommendations``.
        users: e-mails of the test users, string [U].
        cutoff: day from which on nothing may be known.

    Raises:
        SettingsError: every row was generated after the cutoff, or there is none.
        WarehouseError: the table is missing or has other columns.
    """
    parameters: Mapping[str, object] = {"cutoff": cutoff}
    with TemporaryDirectory() as folder:
        path = warehouse.query_to_parquet(
            "live_generation", parameters, Path(folder) / "generation.parquet"
        ).path
        (days,) = pq.read_table(path).to_pylist()
        if days["chosen_day"] is None:
            found = f"it was generated from {days['first_day']} on" if days["first_day"] else "it is empty"
            raise SettingsError(
                f"{_VARIABLE} cannot be the baseline: {found}, and what was generated after the cutoff {cutoff} "
                "knows what happened in the test window; name a copy of that day or before, or unset it"
            )
        path = warehouse.query_to_parquet("live_rankings", parameters, Path(folder) / "rankings.parquet").path
        table = pq.read_table(path)
    found_users = pc.count_distinct(table["email_lower"]).as_py()
    table = table.filter(pc.is_in(table["email_lower"], value_set=users.cast(pa.string())))
    rankings = table.add_column(1, "system", pa.repeat(pa.scalar(BASELINE), table.num_rows))
    return LiveBaseline(rankings, days["chosen_day"], found_users)


def with_live_baseline(rankings: pa.Table, live: LiveBaseline) -> pa.Table:
    """``rankings`` of all systems, where the live table's take the place of system ``sql``'s."""
    others = rankings.filter(pc.not_equal(rankings["system"].cast(pa.string()), BASELINE))
    plain = others.cast(pa.schema([(field.name, _plain(field.type)) for field in others.schema]))
    return pa.concat_tables([plain, live.rankings.select(plain.column_names).cast(plain.schema)])


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
