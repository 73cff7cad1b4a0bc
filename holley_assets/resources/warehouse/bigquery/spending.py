"""What the queries of a run cost, written down before they start: steps that start at once see one another."""

from __future__ import annotations

from collections.abc import Iterable

from holley_assets.resources.storage.interface import FileStore, publish_text


class Spending:
    """The bytes that a run has read or is about to, a file a query in the run's folder.

    A query is written down first and all are counted then, as Cloud Storage lists whatever was written before. Of
    two that come at once at least one sees the other, and neither starts where both together cost too much.

    Args:
        store: where the files of the run are.
        run_id: the run.
    """

    def __init__(self, store: FileStore, run_id: str) -> None:
        self._store = store
        self._folder = f"runs/{run_id}/queries/"

    def write(self, query: str, read: int) -> None:
        """Put ``read`` bytes in the place of what was written for ``query`` before.

        Args:
            query: its name, the same whenever it is tried again.
        """
        key = f"{self._folder}{query}-{read}"
        earlier = [other for other in self._keys_of(query) if other != key]
        publish_text(self._store, key, f"{read} bytes\n")
        for other in earlier:
            self._store.delete(other)

    def read(self, query: str) -> int | None:
        """Bytes written for ``query``; ``None`` where it was never asked."""
        read = [int(key.rpartition("-")[2]) for key in self._keys_of(query)]
        return max(read, default=None)

    def remove(self, query: str) -> None:
        """Forget a query that did not start."""
        for key in self._keys_of(query):
            self._store.delete(key)

    def total(self) -> int:
        """Bytes of all queries of the run: read where they are done, estimated where they are not."""
        return sum(int(key.rpartition("-")[2]) for key in self._store.keys(self._folder))

    @staticmethod
    def of_runs(store: FileStore, run_ids: Iterable[str]) -> dict[str, int]:
        """Bytes of each of these runs that asked BigQuery anything, by its id."""
        totals = {run_id: Spending(store, run_id).total() for run_id in run_ids}
        return {run_id: read for run_id, read in totals.items() if read}

    def _keys_of(self, query: str) -> list[str]:
        return [
            key
            for key in self._store.keys(self._folder)
            if key.removeprefix(self._folder).rpartition("-")[0] == query
        ]
