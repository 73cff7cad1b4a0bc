"""Files beside the work: written whole with a checksum, and set aside when they are damaged.

Records that wait for MLflow, what a run remembers, an unfinished training: the work goes on without any of them. A
damaged one is renamed, counted and named in a warning, never deleted and never a reason to stop.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from holley_assets.resources.storage.interface import FileStore, checksum
from holley_assets.texts import for_log

DAMAGED = "damaged/"
_SEAL = "sha256"


class DamagedFileError(ValueError):
    """A side file is not what was written. The message is one line."""


def sealed(values: Mapping[str, Any]) -> str:
    """``values`` as JSON with the checksum of all the rest under ``sha256``."""
    return json.dumps({**values, _SEAL: _digest(values)}, indent=2, ensure_ascii=False) + "\n"


def unsealed(text: str) -> dict[str, Any]:
    """Inverse of :func:`sealed`. What was written before there were checksums has none, and is taken as it is.

    Raises:
        DamagedFileError: it is no JSON object, or not the one that was written.
    """
    try:
        values = json.loads(text)
    except ValueError as error:
        raise DamagedFileError(f"it is no JSON: {for_log(str(error))}") from None
    if not isinstance(values, dict):
        raise DamagedFileError(f"it holds a {type(values).__name__}, no object")
    seal = values.pop(_SEAL, None)
    if seal is not None and seal != _digest(values):
        raise DamagedFileError("its checksum is not that of its content")
    return values


def read_sealed(path: Path) -> dict[str, Any]:
    """What :func:`sealed` wrote to a file.

    Raises:
        DamagedFileError: the file holds something else.
        OSError: it cannot be read.
    """
    try:
        return unsealed(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        raise DamagedFileError("it is no text in UTF-8") from None


def set_aside(store: FileStore, key: str, reason: object) -> str:
    """Move a damaged file below ``damaged/``, under a name of its content; returns a line for the log."""
    path = store.local_path(key)
    kept = f"{DAMAGED}{key}.{checksum(path)[:12]}"
    staged = store.staging_path(kept)
    shutil.copyfile(path, staged)
    store.publish(staged, kept)
    store.delete(key)
    count = len(store.keys(DAMAGED))
    return (
        f"{store.location(key)} is damaged ({for_log(str(reason))}): it is kept as {store.location(kept)}, with "
        f"{count} damaged files in all, and the work goes on without it"
    )


def _digest(values: Mapping[str, Any]) -> str:
    # As it reads back: keys are text there, and tuples lists.
    written = json.dumps(json.loads(json.dumps(dict(values))), sort_keys=True)
    return hashlib.sha256(written.encode()).hexdigest()
