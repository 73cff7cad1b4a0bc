"""A lease on what runs write: one run at a time, so that none reads another's half-made files.

On this machine it is a lock on a file of the data folder, which the operating system lets go when the process that
holds it dies, however it dies. In production, where the data folder is each run's own scratch space, it is besides a
table of the working dataset (:mod:`.warehouse.bigquery.lease`).
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
import time
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from filelock import FileLock, Timeout

_FOLDER = "lease"
_LOCK = "lock"
_HOLDER = "holder.json"


class LeaseError(RuntimeError):
    """Another run holds the lease, or has taken it over. The message is one line."""


class Holder(NamedTuple):
    """Who holds a lease."""

    run_id: str
    job: str
    place: str
    """Machine and process."""
    since: datetime.datetime

    @classmethod
    def here(cls, run_id: str, job: str) -> Self:
        """This process, from now on."""
        place = f"{socket.gethostname()}, process {os.getpid()}"
        return cls(run_id, job, place, datetime.datetime.now(datetime.UTC))

    def to_json(self) -> str:
        """As it is written down."""
        return json.dumps({**self._asdict(), "since": self.since.isoformat()})

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Inverse of :meth:`to_json`.

        Raises:
            ValueError: it is something else.
        """
        try:
            values = json.loads(text)
            return cls(**{**values, "since": datetime.datetime.fromisoformat(values["since"])})
        except (TypeError, KeyError) as error:
            raise ValueError(f"no holder of a lease: {error}") from error

    def words(self, now: datetime.datetime) -> str:
        """The holder and the lease's age, for people."""
        minutes = max(0.0, (now - self.since).total_seconds() / 60)
        return f"run {self.run_id[:8]} of {self.job} ({self.place}) has held it for {minutes:.0f} minutes"


class Lease(Protocol):
    """One thing that one run at a time may write to."""

    place: str
    """What it is on, for people."""
    poll_seconds: float
    """How often one that waits for it asks."""

    def acquire(self, mine: Holder) -> Holder | None:
        """Take it, also from a holder that is gone; ``None`` once it is taken, else who holds it."""

    def release(self) -> None:
        """Let it go; nothing happens where it is not held."""

    def require(self, run_id: str) -> None:
        """Make sure that no other run than ``run_id`` holds it.

        Raises:
            LeaseError: one does.
        """


class FolderLease:
    """A lease on a data folder."""

    def __init__(self, folder: Path) -> None:
        self.place = f"HOLLEY_DATA_DIR={folder}"
        self.poll_seconds = 0.5
        self._folder = folder / _FOLDER
        self._lock = FileLock(self._folder / _LOCK, thread_local=False)

    def acquire(self, mine: Holder) -> Holder | None:
        """Take it unless another process holds it.

        Raises:
            LeaseError: the folder cannot be written.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.acquire(timeout=0)
        except Timeout:
            return self._holder() or Holder("unknown", "another job", "no name", mine.since)
        except OSError as error:
            raise LeaseError(f"{self.place} cannot be locked: {error.strerror or error}") from error
        partial = self._folder / f".{_HOLDER}.{os.getpid()}.partial"
        partial.write_text(mine.to_json(), encoding="utf-8")
        partial.replace(self._folder / _HOLDER)
        return None

    def release(self) -> None:
        """Let it go."""
        if self._lock.is_locked:
            (self._folder / _HOLDER).unlink(missing_ok=True)
            self._lock.release(force=True)

    def require(self, run_id: str) -> None:
        """Make sure that no other run holds it: a step outlives its run's process for a moment, and must not write.

        Raises:
            LeaseError: one does.
        """
        holder = self._holder()
        if holder is None or holder.run_id == run_id or self._lock.is_locked:
            return
        try:
            with FileLock(self._folder / _LOCK, thread_local=False).acquire(timeout=0):
                return
        except Timeout:
            raise LeaseError(
                f"{self.place} was taken over: {holder.words(datetime.datetime.now(datetime.UTC))}; "
                f"run {run_id[:8]} writes nothing more"
            ) from None

    def _holder(self) -> Holder | None:
        try:
            return Holder.from_json((self._folder / _HOLDER).read_text(encoding="utf-8"))
        except (FileNotFoundError, ValueError):
            return None


def hold(
    leases: list[Lease], mine: Holder, wait_seconds: float, *, sleep: Callable[[float], None] = time.sleep
) -> Generator[str]:
    """Take leases one after the other, waiting for each; yields what is waited for, for people.

    Raises:
        LeaseError: the time is over. What was taken is let go.
    """
    deadline = time.monotonic() + wait_seconds
    try:
        for lease in leases:
            told: str | None = None
            while (holder := lease.acquire(mine)) is not None:
                words = f"{lease.place} is another run's: {holder.words(datetime.datetime.now(datetime.UTC))}"
                if time.monotonic() >= deadline:
                    raise LeaseError(
                        f"{words}; this run waited {wait_seconds / 60:g} minutes (HOLLEY_LEASE_WAIT_MINUTES). Start it "
                        "again when that one has ended"
                    )
                if told != holder.run_id:
                    told = holder.run_id
                    yield f"{words}; waiting up to {wait_seconds / 60:g} minutes (HOLLEY_LEASE_WAIT_MINUTES)"
                sleep(min(lease.poll_seconds, max(0.05, deadline - time.monotonic())))
    except BaseException:
        release(leases)
        raise


def release(leases: Sequence[Lease]) -> None:
    """Let leases go, whatever happens to one of them."""
    with contextlib.ExitStack() as stack:
        for lease in leases:
            stack.callback(lease.release)
