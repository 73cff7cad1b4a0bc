"""Writing a sample so that a reader finds either all of it or none."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

MANIFEST = "sample.json"


def write_table(path: Path, table: pa.Table | Iterable[pa.Table]) -> int:
    """Write a table, or its pieces one after the other, and return the number of rows."""
    pieces = [table] if isinstance(table, pa.Table) else table
    rows = 0
    writer = None
    try:
        for piece in pieces:
            if writer is None:
                # Without pyarrow's own schema, dictionary-encoded columns read back as plain strings.
                writer = pq.ParquetWriter(path, piece.schema, compression="zstd", store_schema=False)
            writer.write_table(piece)
            rows += piece.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a complete sample, None where there is no sample."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    manifest: dict[str, Any] = json.loads(path.read_text())
    return manifest


def write_folder(folder: Path, fill: Callable[[Path], dict[str, Any]]) -> None:
    """Let ``fill`` write into a folder beside the target, add its result as the manifest, and swap it in.

    Raises:
        FileExistsError: the target has contents that are no sample; nothing of it is touched.
    """
    if folder.exists() and read_manifest(folder) is None and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} exists and holds no sample data; choose another folder or empty it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        manifest = fill(staging)
        (staging / MANIFEST).write_text(json.dumps(manifest, indent=2, sort_keys=True) + "\n")
        staging.chmod(0o755)
        _swap_in(staging, folder, manifest)
    finally:
        if staging.exists():
            shutil.rmtree(staging)


def _swap_in(staging: Path, folder: Path, manifest: dict[str, Any]) -> None:
    if folder.exists():
        retired = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        folder.rename(retired / "sample")
        shutil.rmtree(retired)
    try:
        staging.rename(folder)
    except OSError:
        # Another process was faster; equal manifests mean equal bytes.
        if read_manifest(folder) != manifest:
            raise
