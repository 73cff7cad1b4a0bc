"""Where the files of a run live: complete or absent, never half written.

Everything that writes Parquet or artifacts goes through :class:`FileStore`. A folder is the only
implementation that a laptop needs; a bucket has the same three methods.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import shutil
from pathlib import Path
from typing import ClassVar, Protocol

_CHUNK = 1 << 20


class StorageError(RuntimeError):
    """A file cannot be read or written. The message is one line a person can act on."""


class FileStore(Protocol):
    """Files by key, a path relative to the store such as ``assets/user_nodes.parquet``.

    Attributes:
        is_remote: whether a file must be published before another machine can read it, and fetched before this one can.
    """

    is_remote: ClassVar[bool]

    def staging_path(self, key: str) -> Path:
        """Local path, unique to this process, at which to write the file that will become ``key``."""

    def publish(self, staged: Path, key: str) -> None:
        """Make a finished local file visible as ``key``; readers see the old file or the new one."""

    def local_path(self, key: str) -> Path:
        """Local path at which ``key`` can be read.

        Raises:
            FileNotFoundError: no such file was published.
        """

    def keys(self, prefix: str) -> list[str]:
        """Keys of the published files that start with ``prefix``, a folder that ends in a slash."""

    def delete(self, key: str) -> None:
        """Remove a published file; one that is not there is no error."""

    def location(self, key: str) -> str:
        """Where a person finds ``key``: a path, or the address of an object in a bucket."""

    def artifact_folder(self, name: str) -> str:
        """Folder of the files ``name`` of all runs, one folder a run, with a slash at its end."""

    def artifact_key(self, run_id: str, name: str) -> str:
        """Key of a file of a run that is no table: ``artifact_folder(name)``, the run and the name."""


class FolderStore:
    """A :class:`FileStore` in a local folder. Staged files lie beside their target, on one file system."""

    is_remote: ClassVar[bool] = False

    def __init__(self, root: Path) -> None:
        self.root = root

    def staging_path(self, key: str) -> Path:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.with_name(f".{target.name}.{os.getpid()}")

    def publish(self, staged: Path, key: str) -> None:
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            flush(staged)
            staged.replace(target)
        except OSError as error:
            # A file staged on another file system is copied beside its target first.
            if error.errno != errno.EXDEV:
                raise
            beside = self.staging_path(key)
            shutil.copyfile(staged, beside)
            flush(beside)
            beside.replace(target)
            staged.unlink()
        # The rename itself is on disk only once the folder is.
        flush(target.parent)
        # What a process that was killed had staged for this file is of no use to anybody.
        for left in (
            *target.parent.glob(f".{glob.escape(target.name)}.*"),
            *target.parent.glob(f"..{glob.escape(target.name)}.*"),
        ):
            left.unlink(missing_ok=True)

    def local_path(self, key: str) -> Path:
        path = self.root / key
        if not path.is_file():
            raise FileNotFoundError(f"{path} does not exist: materialize it first")
        return path

    def keys(self, prefix: str) -> list[str]:
        folder = self.root / prefix
        found = (path for path in folder.rglob("*") if path.is_file() and not path.name.startswith("."))
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def delete(self, key: str) -> None:
        (self.root / key).unlink(missing_ok=True)

    def location(self, key: str) -> str:
        return str(self.root / key)

    def artifact_folder(self, name: str) -> str:
        return "runs/"

    def artifact_key(self, run_id: str, name: str) -> str:
        return f"{self.artifact_folder(name)}{run_id}/{name}"


def publish_text(store: FileStore, key: str, text: str) -> None:
    """Make ``text`` visible as ``key``; readers see the old text or the new one."""
    staged = store.staging_path(key)
    staged.write_text(text, encoding="utf-8")
    store.publish(staged, key)


def flush(path: Path) -> None:
    """Wait until a file or folder is on disk, so that a rename never outlives its content."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def checksum(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
