"""Names of what a checkpoint learned of, read without the network: PyG takes longer to import than the file to read."""

from __future__ import annotations

from pathlib import Path

import torch


def read_vocabularies(path: Path) -> dict[str, list[str]]:
    """Field ``vocabularies`` of the checkpoint at ``path``, see :class:`.checkpoint.Checkpoint`.

    Raises:
        KeyError: ``path`` holds something else.
    """
    # Weights stay on the disk.
    content = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    found: dict[str, list[str]] = content["vocabularies"]
    return found
