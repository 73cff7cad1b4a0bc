"""The table of outcomes that the readout reads, and the rows of it that may be compared."""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.experiment.declaration import Declaration
from holley_assets.experiment.metrics import Metric

CONTROL, TREATMENT = "sql", "graph"
ARMS = (CONTROL, TREATMENT)
# One row a user that was exposed. Clicks and orders are those inside the windows after the first exposure, without
# machine clicks; what is called "before" is of a window of the same length before it.
OUTCOMES_SCHEMA = pa.schema(
    [
        ("email_lower", pa.string()),
        ("assigned_arm", pa.string()),
        ("received_arm", pa.string()),
        ("first_exposure", pa.date32()),
        ("period", pa.int64()),
        ("share", pa.float64()),
        ("tier", pa.string()),
        ("week", pa.int64()),
        ("moved", pa.bool_()),
        ("click_window_over", pa.bool_()),
        ("order_window_over", pa.bool_()),
        ("clicks", pa.int64()),
        ("machine_clicks", pa.int64()),
        ("orders", pa.int64()),
        ("order_value", pa.float64()),
        ("order_value_uncapped", pa.float64()),
        ("unsubscribed", pa.bool_()),
        ("exposures", pa.int64()),
        ("received_as_assigned", pa.bool_()),
        ("clicks_before", pa.int64()),
        ("orders_before", pa.int64()),
        ("order_value_before", pa.float64()),
        ("person", pa.string()),
        ("model_version", pa.string()),
        ("system", pa.string()),
    ]
)
# A user without a row in the window before had no clicks and no orders there.
_NOTHING_BEFORE = ("clicks_before", "orders_before", "order_value_before")
_REQUIRED = tuple(
    name
    for name in OUTCOMES_SCHEMA.names
    if name not in ("model_version", "system", "unsubscribed", *_NOTHING_BEFORE)
)
_DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class Outcomes:
    """The users of an experiment.

    Attributes:
        exposed: every row of the experiment's days, in :data:`OUTCOMES_SCHEMA` with ``cell`` (int64: twice the period,
            one more for the graph) and the values of metrics as float64.
        outside: rows with a first exposure outside the experiment's days, which count nowhere.
    """

    exposed: pa.Table
    outside: int

    def compared(self, declaration: Declaration) -> pa.Table:
        """The users that are compared: moved ones are left out where that is declared."""
        if declaration.moved_users == "first_arm":
            return self.exposed
        return self.exposed.filter(pc.invert(self.exposed["moved"]))


def read_outcomes(table: pa.Table, declaration: Declaration) -> Outcomes:
    """The rows of ``table`` that belong to the experiment, checked.

    Args:
        table: columns of :data:`OUTCOMES_SCHEMA` by name, in any order; integers and texts of any width. Missing or
            null ``…_before`` is nothing before; a missing or wholly null ``unsubscribed`` is no source.
        declaration: whose days count.

    Raises:
        ValueError: where a column is missing or of another type, a value that must be there is null, an arm, share or
            period is none, or a user has two rows.
    """
    missing = [name for name in _REQUIRED if name not in table.column_names]
    if missing:
        raise ValueError(f"the table of outcomes has no column {', '.join(missing)}")
    try:
        columns = {
            field.name: table[field.name].cast(field.type)
            if field.name in table.column_names
            else pa.nulls(len(table), field.type)
            for field in OUTCOMES_SCHEMA
        }
    except pa.ArrowInvalid as error:
        raise ValueError(f"the table of outcomes does not fit its schema: {error}") from error
    for name in _NOTHING_BEFORE:
        columns[name] = pc.fill_null(columns[name], 0)
    outcomes = pa.table(columns, schema=OUTCOMES_SCHEMA)
    _check(outcomes)
    days = outcomes["first_exposure"]
    inside = pc.and_(
        pc.greater_equal(days, pa.scalar(declaration.start)),
        pc.less_equal(days, pa.scalar(declaration.planned_end)),
    )
    exposed = outcomes.filter(inside)
    return Outcomes(exposed=_with_values(exposed), outside=len(outcomes) - len(exposed))


def window_over(table: pa.Table, metric: Metric, declaration: Declaration, day: datetime.date) -> pa.Table:
    """The users whose window of ``metric`` is over on ``day``, and by the table's own column too.

    Where a window is open, the outcome is not known: such a user is left out instead of counted as "no".
    """
    days, flag = metric.window_days(declaration)
    over = pc.less_equal(table["first_exposure"], pa.scalar(day - days * _DAY))
    return table.filter(pc.and_(over, table[flag]) if flag else over)


def _check(outcomes: pa.Table) -> None:
    empty = [name for name in _REQUIRED if outcomes[name].null_count]
    if empty:
        raise ValueError(
            f"the table of outcomes has rows without {', '.join(empty)}; each user needs a value"
        )
    arms = set(pc.unique(outcomes["assigned_arm"]).to_pylist()) - set(ARMS)
    if arms:
        raise ValueError(f"assigned_arm holds {sorted(arms)}; it must be {CONTROL!r} or {TREATMENT!r}")
    users = pc.count_distinct(outcomes["email_lower"]).as_py()
    if users != len(outcomes):
        raise ValueError(
            f"the table of outcomes has {len(outcomes)} rows for {users} users; it must have one a user"
        )
    if not len(outcomes):
        return
    share = pc.min_max(outcomes["share"]).as_py()
    if not (share["min"] >= 0.0 and share["max"] <= 1.0):
        raise ValueError(f"share goes from {share['min']} to {share['max']}; it must be from 0 to 1")
    if pc.min(outcomes["period"]).as_py() < 0:
        raise ValueError("period must be 0 or more")
    shares = outcomes.select(["period", "share"]).group_by(["period", "share"]).aggregate([])
    if len(shares) != pc.count_distinct(shares["period"]).as_py():
        raise ValueError("a period has users of two shares; a period is the days of one constant share")


def _with_values(exposed: pa.Table) -> pa.Table:
    numbers = {
        "clicked": pc.greater(exposed["clicks"], 0),
        "converted": pc.greater(exposed["orders"], 0),
        "all_clicks": exposed["clicks"],
        "all_orders": exposed["orders"],
        "delivered": exposed["received_as_assigned"],
        "left": exposed["unsubscribed"],
        "clicks_then": exposed["clicks_before"],
        "orders_then": exposed["orders_before"],
    }
    of_graph = pc.cast(pc.equal(exposed["assigned_arm"], TREATMENT), pa.int64())
    exposed = exposed.append_column("cell", pc.add(pc.multiply(exposed["period"], 2), of_graph))
    for name, values in numbers.items():
        exposed = exposed.append_column(name, pc.cast(values, pa.float64()))
    return exposed
