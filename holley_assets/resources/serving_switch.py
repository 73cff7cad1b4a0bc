"""The kill switch and its record: who pulled it or let it go, when and why, beside the serving table.

The record is a table of the warehouse that only ever grows, so that it is the same for every run, whatever event log
that writes to. The newest decision holds until the next one.
"""

from __future__ import annotations

import datetime
from typing import Literal, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.resources.warehouse.interface import MissingTableError, Unchanged, Warehouse
from holley_assets.settings import Settings

State = Literal["on", "off"]
ON: State = "on"
OFF: State = "off"
# A first row that decides nothing, so that a replacement can ask a table that is there.
_BEGUN = "begun"
_SCHEMA = pa.schema(
    [
        pa.field("state", pa.string(), nullable=False),
        pa.field("decided_at", pa.timestamp("us", "UTC"), nullable=False),
        pa.field("decided_by", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("run_id", pa.string(), nullable=False),
    ]
)


class Decision(NamedTuple):
    """One row of the record."""

    state: str
    decided_at: datetime.datetime
    decided_by: str
    reason: str
    run_id: str

    @property
    def words(self) -> str:
        """For people: the state, since when, by whom and why."""
        at = f"{self.decided_at.astimezone(datetime.UTC):%Y-%m-%d %H:%M} UTC"
        return f"{self.state} since {at} by {self.decided_by}: {self.reason}"


class Switch(NamedTuple):
    """The kill switch as it stands.

    Attributes:
        decision: the newest; None while nobody ever decided anything.
        by_setting: whether ``HOLLEY_SERVING_KILL_SWITCH`` holds it on, whatever was decided.
        record: how long the record was when it was read.
    """

    decision: Decision | None
    by_setting: bool
    record: Unchanged

    @property
    def is_on(self) -> bool:
        """Whether everybody gets the SQL pipeline's parts."""
        return self.by_setting or (self.decision is not None and self.decision.state == ON)

    @property
    def words(self) -> str:
        """For people: the state, since when and why."""
        if self.by_setting:
            return "on by HOLLEY_SERVING_KILL_SWITCH=true"
        return self.decision.words if self.decision else "off: it was never pulled"

    @property
    def metadata(self) -> dict[str, str | bool]:
        """As the UI shows it."""
        found: dict[str, str | bool] = {"kill_switch": self.is_on, "kill_switch_state": self.words}
        if self.decision is not None:
            found |= {
                "kill_switch_since": self.decision.decided_at.isoformat(),
                "kill_switch_by": self.decision.decided_by,
                "kill_switch_reason": self.decision.reason,
                "kill_switch_run": self.decision.run_id,
            }
        return found


def read_switch(warehouse: Warehouse, settings: Settings) -> Switch:
    """The switch as setting and record have it now.

    Raises:
        WarehouseError: the record cannot be read.
    """
    dataset, table = _place(settings)
    rows = _rows(warehouse, dataset, table)
    decisions = [row for row in rows if row.state != _BEGUN]
    # The record is in the order of its times; of two at once, on is the careful one.
    newest = max(decisions, key=lambda row: (row.decided_at, row.state == ON), default=None)
    return Switch(newest, settings.serving.kill_switch, Unchanged(dataset, table, len(rows)))


def begin_record(warehouse: Warehouse, settings: Settings) -> None:
    """Make sure that there is a record that a replacement of the serving table can ask.

    Raises:
        WarehouseError: it cannot be written.
    """
    dataset, table = _place(settings)
    if not _rows(warehouse, dataset, table):
        _append(warehouse, dataset, table, _BEGUN, by="the publisher", reason="no decision yet", run_id="")


def record_decision(
    warehouse: Warehouse, settings: Settings, state: State, *, by: str, reason: str, run_id: str
) -> Switch:
    """Write a decision down, once a run; returns the switch as it stands then.

    Raises:
        WarehouseError: the record cannot be read or written.
    """
    dataset, table = _place(settings)
    if all(row.run_id != run_id for row in _rows(warehouse, dataset, table)):
        _append(warehouse, dataset, table, state, by=by, reason=reason, run_id=run_id)
    return read_switch(warehouse, settings)


def _append(
    warehouse: Warehouse, dataset: str, table: str, state: str, *, by: str, reason: str, run_id: str
) -> None:
    # A clock that is behind must not make a later decision an earlier one.
    earlier = [row.decided_at for row in _rows(warehouse, dataset, table)]
    now = datetime.datetime.now(datetime.UTC)
    at = max([now, *(moment + datetime.timedelta(microseconds=1) for moment in earlier)])
    row = Decision(state, at, by, reason, run_id)
    warehouse.append_rows(dataset, table, pa.Table.from_pylist([row._asdict()], schema=_SCHEMA))


def _rows(warehouse: Warehouse, dataset: str, table: str) -> list[Decision]:
    try:
        found = warehouse.read_table(dataset, table)
    except MissingTableError:
        return []
    ordered = found.select(_SCHEMA.names).sort_by("decided_at")
    # An engine may answer in the time zone of its session.
    moments = ordered["decided_at"].cast(pa.timestamp("us", "UTC"))
    place = ordered.schema.get_field_index("decided_at")
    assert pc.is_valid(moments).to_pylist().count(False) == 0, "a decision has a time"
    return [Decision(**row) for row in ordered.set_column(place, "decided_at", moments).to_pylist()]


def _place(settings: Settings) -> tuple[str, str]:
    return settings.serving_dataset, f"{settings.serving.table}_switch"
