"""What is kept of a run for the runs after it, since the tables themselves are overwritten.

Under ``runs/<run_id>/``: numbers as JSON, the parts that each user is shown as hashes, and a sample of the
vectors. No address is among them.
"""

from __future__ import annotations

import dataclasses
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holley_assets.evaluation.drift import VectorDrift, vector_drift
from holley_assets.evaluation.run_comparison import RunSummary
from holley_assets.evaluation.stability import changed_share
from holley_assets.evaluation.vectors import vector_matrix
from holley_assets.ranking.encoding import hash_strings
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.interface import FileStore, checksum
from holley_assets.resources.storage.side_files import DamagedFileError, read_sealed, sealed
from holley_assets.terms import SLOTS

SUMMARY_FILE = "run_summary.json"
SHOWN_FILE = "shown_parts.parquet"
VECTORS_FILE = "vector_sample.parquet"
# Vectors of one kind that are kept: all pairs of them are compared.
SAMPLE = 512
_EMPTY_SLOT = -1
_FILES = "files"


@dataclasses.dataclass(frozen=True)
class RunMemory:
    """What is kept of one run.

    Attributes:
        summary: its numbers.
        shown: ``user`` and ``slot_1`` … ``slot_4``, hashes as int64; −1 in an empty slot.
        vectors: ``kind`` (parts or vehicles), ``key``, ``embedding``.
    """

    summary: RunSummary
    shown: pa.Table
    vectors: pa.Table

    def save(self, artifacts: ArtifactStore) -> None:
        """Write the run's three files; the summary last, so that one that is there is whole.

        The summary holds the checksums of all three.
        """
        files = {}
        for table, name in ((self.shown, SHOWN_FILE), (self.vectors, VECTORS_FILE)):
            staged = artifacts.staging_path(name)
            pq.write_table(table, staged, compression="zstd")
            files[name] = artifacts.publish(staged, name).sha256
        artifacts.publish_text(sealed({**dataclasses.asdict(self.summary), _FILES: files}), SUMMARY_FILE)

    @classmethod
    def load(cls, store: FileStore, run_id: str) -> Self | None:
        """The memory of a run; ``None`` where its folder is gone.

        Raises:
            DamagedFileError: one of the files is not what was written.
        """
        try:
            summary, shown, vectors = (
                store.local_path(store.artifact_key(run_id, name))
                for name in (SUMMARY_FILE, SHOWN_FILE, VECTORS_FILE)
            )
        except FileNotFoundError:
            return None
        values = read_sealed(summary)
        # Memories of before there were checksums have none.
        written = values.pop(_FILES, {})
        for path in (shown, vectors):
            if written.get(path.name, checksum(path)) != checksum(path):
                raise DamagedFileError(f"the checksum of {path.name} is not that which was written")
        try:
            return cls(RunSummary.from_json(values), pq.read_table(shown), pq.read_table(vectors))
        except (pa.ArrowException, OSError, LookupError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{type(error).__name__} in the memory of run {run_id}") from None


def shown_parts(recommendations: pa.Table) -> pa.Table:
    """:attr:`RunMemory.shown` of a delivered table."""
    columns = {"user": _hashes(recommendations["email_lower"])}
    for slot in range(1, SLOTS + 1):
        part = recommendations[f"rec_part_{slot}"]
        columns[f"slot_{slot}"] = np.where(pc.is_null(part).to_numpy(), _EMPTY_SLOT, _hashes(part))
    return pa.table(columns)


def vector_sample(kind: str, keys: pa.Array, vectors: np.ndarray) -> pa.Table:
    """:attr:`RunMemory.vectors` of one kind: those with the lowest hashes, mostly the same in every run.

    Args:
        keys: string [N], unique.
        vectors: float32 [N, D].
    """
    lowest = np.argsort(_hashes(keys), kind="stable")[:SAMPLE]
    chosen = np.ascontiguousarray(vectors[lowest], np.float32)
    return pa.table(
        {
            "kind": pa.repeat(kind, len(lowest)),
            "key": keys.take(pa.array(lowest)),
            "embedding": pa.FixedSizeListArray.from_arrays(pa.array(chosen.reshape(-1)), vectors.shape[1]),
        }
    )


def users_changed(before: pa.Table, now: pa.Table) -> tuple[float | None, int]:
    """Share of the common users who are shown other parts, and how many those users are."""
    return changed_share(*_users_and_parts(before), *_users_and_parts(now))


def drift_by_kind(before: pa.Table, now: pa.Table) -> dict[str, VectorDrift]:
    """Drift of the vectors that both samples hold, by kind."""
    found = {}
    for kind in pc.unique(now["kind"]).to_pylist():
        (keys_before, vectors_before), (keys_now, vectors_now) = (
            _vectors(table, kind) for table in (before, now)
        )
        places = pc.index_in(keys_now, value_set=keys_before)
        common = np.flatnonzero(pc.is_valid(places).to_numpy(zero_copy_only=False))
        rows_before = pc.drop_null(places).to_numpy()
        found[kind] = vector_drift(vectors_before[rows_before], vectors_now[common])
    return found


def _vectors(table: pa.Table, kind: str) -> tuple[pa.Array, np.ndarray]:
    rows = table.filter(pc.equal(table["kind"], kind))
    return rows["key"].combine_chunks(), vector_matrix(rows)


def _users_and_parts(shown: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    slots = [shown[f"slot_{slot}"].to_numpy() for slot in range(1, SLOTS + 1)]
    return shown["user"].to_numpy(), np.stack(slots, axis=1)


def _hashes(values: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return hash_strings(values).view(np.int64)
