"""Files of a run that are no tables: checkpoints, graphs, reports.

An artifact asset passes a :class:`Reference` between steps, a one-row table that names the file and its
checksum, so that what is loaded is what was written.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Self

import pyarrow as pa

from holley_assets.resources.storage.interface import FileStore, checksum

REFERENCE_SCHEMA = pa.schema(
    [
        pa.field("run_id", pa.string(), nullable=False),
        pa.field("path", pa.string(), nullable=False),
        pa.field("sha256", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
    ]
)


class ArtifactError(RuntimeError):
    """An artifact is missing or is not what was written. The message is one line."""


@dataclasses.dataclass(frozen=True)
class Reference:
    """Names one artifact: ``path`` is relative to the store, ``sha256`` is of the file's bytes."""

    run_id: str
    path: str
    sha256: str
    bytes: int

    def to_table(self) -> pa.Table:
        """One row in :data:`REFERENCE_SCHEMA`."""
        return pa.Table.from_pylist([dataclasses.asdict(self)], schema=REFERENCE_SCHEMA)

    @classmethod
    def from_table(cls, table: pa.Table) -> Self:
        """Inverse of :meth:`to_table`."""
        row = table.select(REFERENCE_SCHEMA.names).to_pylist()[0]
        return cls(**row)


class ArtifactStore:
    """Artifacts of one run, where its store keeps such files."""

    def __init__(self, store: FileStore, run_id: str) -> None:
        self._store = store
        self._run_id = run_id

    def staging_path(self, name: str) -> Path:
        """Local path at which to write an artifact before :meth:`publish`."""
        return self._store.staging_path(self._key(name))

    def publish(self, staged: Path, name: str) -> Reference:
        """Make a finished file the run's artifact ``name``."""
        reference = Reference(self._run_id, self._key(name), checksum(staged), staged.stat().st_size)
        self._store.publish(staged, reference.path)
        return reference

    def publish_text(self, text: str, name: str) -> Reference:
        """Write ``text`` as the run's artifact ``name``."""
        staged = self.staging_path(name)
        staged.write_text(text, encoding="utf-8")
        return self.publish(staged, name)

    def locate(self, reference: Reference) -> Path:
        """Local path of an artifact of any run, verified.

        Raises:
            ArtifactError: it is missing, or its bytes are not those that were written.
        """
        try:
            path = self._store.local_path(reference.path)
        except FileNotFoundError as error:
            raise ArtifactError(str(error)) from error
        found = checksum(path)
        if found != reference.sha256:
            raise ArtifactError(
                f"{path} is not the file that run {reference.run_id} wrote: its SHA-256 is {found}, "
                f"expected {reference.sha256}"
            )
        return path

    def _key(self, name: str) -> str:
        return self._store.artifact_key(self._run_id, name)
