"""A lease on a dataset of BigQuery: a table that one run alone can create.

Creating a table that is there already is refused, which decides between two that come at once. Each holder has a table
of a number of its own, one higher than that of the holder before it; the highest number holds. The holder renews its
table; one that was not renewed for a while belongs to a run that is gone, and the next number takes over. Tables are
metadata alone: nothing is paid.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import threading
from collections.abc import Iterator

import google.api_core.exceptions as google_errors
from google.cloud import bigquery

from holley_assets.resources.lease import Holder, LeaseError
from holley_assets.resources.warehouse.bigquery.client import patience, readable_errors
from holley_assets.resources.warehouse.interface import WarehouseError
from holley_assets.settings import BigQuerySettings

_TABLE = "holley_lease"
_NUMBERED = re.compile(_TABLE + r"_(\d{9})")
_FREE = "free"
_KEPT = datetime.timedelta(days=30)
# Renewals within the time after which a lease counts as abandoned.
_RENEWALS = 6


class DatasetLease:
    """A lease on the working dataset."""

    def __init__(self, client: bigquery.Client, settings: BigQuerySettings, expires_seconds: int) -> None:
        self.place = f"dataset {settings.working_dataset}"
        self.poll_seconds = 5.0
        self._client = client
        self._dataset = settings.working_dataset
        self._expires = datetime.timedelta(seconds=expires_seconds)
        self._retry = patience(settings.retry_seconds)
        self._number: int | None = None
        self._mine: Holder | None = None
        self._ended = threading.Event()

    def acquire(self, mine: Holder) -> Holder | None:
        """Take it unless another holds it and has renewed it lately.

        Raises:
            WarehouseError: BigQuery refuses a step.
        """
        tables = self._tables()
        newest = max(tables, default=0)
        holder = self._live_holder(newest)
        if holder is not None:
            return holder
        number = newest + 1
        table = bigquery.Table(self._full_name(number))
        table.description = mine.to_json()
        table.expires = _now() + _KEPT
        with readable_errors(f"taking the lease on {self._dataset}"):
            try:
                self._client.create_table(table, retry=self._retry)
            except google_errors.Conflict:
                return self._live_holder(number) or mine
        higher = max(self._tables(), default=0)
        if higher > number:
            # Whoever was slow to create its table finds that others came and went meanwhile.
            self._delete(number)
            return self._live_holder(higher) or mine
        for earlier in tables:
            self._delete(earlier)
        self._number, self._mine = number, mine
        self._ended.clear()
        threading.Thread(target=self._renew, daemon=True).start()
        return None

    def release(self) -> None:
        """Let it go. Its table stays, so that numbers only ever rise."""
        self._ended.set()
        if self._number is not None:
            # Whoever comes next waits for its expiry otherwise; a run that is done does not fail for that.
            with contextlib.suppress(WarehouseError):
                self._write(_FREE)
            self._number = None

    def require(self, run_id: str) -> None:
        """Make sure that no other run than ``run_id`` holds it.

        Raises:
            LeaseError: one does.
            WarehouseError: BigQuery does not say.
        """
        holder = self._live_holder(max(self._tables(), default=0))
        if holder is not None and holder.run_id != run_id:
            raise LeaseError(
                f"{self.place} was taken over: {holder.words(_now())}; run {run_id[:8]} writes nothing more"
            )

    def _renew(self) -> None:
        while not self._ended.wait(self._expires.total_seconds() / _RENEWALS):
            # A renewal that fails is made up by the next; steps ask whether the lease is still the run's.
            with contextlib.suppress(WarehouseError):
                self.renew()

    def renew(self) -> None:
        """Say that the holder is still there.

        Raises:
            WarehouseError: BigQuery does not take it.
        """
        if self._mine is not None:
            self._write(self._mine.to_json())

    def _write(self, description: str) -> None:
        if self._number is None:
            return
        table = bigquery.Table(self._full_name(self._number))
        table.description = description
        # A change that changes nothing would not count as one.
        table.labels = {"renewed": f"{_now():%Y%m%dt%H%M%S%f}"}
        with readable_errors(f"renewing the lease on {self._dataset}"):
            self._client.update_table(table, ["description", "labels"], retry=self._retry)

    def _tables(self) -> list[int]:
        with readable_errors(f"listing {self._dataset}"):
            listed = self._client.list_tables(f"{self._client.project}.{self._dataset}", retry=self._retry)
            return list(_numbers(listed))

    def _live_holder(self, number: int) -> Holder | None:
        """Whose the table of a number is, unless it is nobody's or was not renewed."""
        if number == 0:
            return None
        with readable_errors(f"reading the lease on {self._dataset}"):
            try:
                found = self._client.get_table(self._full_name(number), retry=self._retry)
            except google_errors.NotFound:
                return None
        gone = _now() - (found.modified or found.created or _now()) >= self._expires
        return None if gone or found.description == _FREE else _holder(found)

    def _delete(self, number: int) -> None:
        with readable_errors(f"removing the lease on {self._dataset}"):
            self._client.delete_table(self._full_name(number), not_found_ok=True, retry=self._retry)

    def _full_name(self, number: int) -> str:
        return f"{self._client.project}.{self._dataset}.{_TABLE}_{number:09d}"


def _numbers(listed: Iterator[bigquery.table.TableListItem]) -> Iterator[int]:
    for item in listed:
        found = _NUMBERED.fullmatch(item.table_id)
        if found:
            yield int(found[1])


def _holder(table: bigquery.Table) -> Holder:
    try:
        return Holder.from_json(table.description or "")
    except ValueError:
        return Holder("unknown", "another job", table.table_id, table.created or _now())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
