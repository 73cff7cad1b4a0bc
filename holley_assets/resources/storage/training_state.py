"""The state of an unfinished training, where the next attempt finds it, on this machine or another."""

from __future__ import annotations

import contextlib
import pickle
import shutil
import time
import zipfile
from pathlib import Path

from holley_assets.resources.storage.interface import FileStore, FolderStore
from holley_assets.resources.storage.side_files import DamagedFileError, set_aside

# Beside the runs and not in one: what goes on with a killed training is another run. Training resumes from
# a state of the same graph and the same options alone.
STATE_FILE = "training_state.pt"
# A state is as large as three models; what a killed machine takes along is this much work at most.
SHARE_EVERY_SECONDS = 120.0


class TrainingState:
    """A local file that training keeps its state in; with a bucket, shared through it.

    Args:
        store: the run's files.
        scratch: local folder for the file. For a store that is local it is the store's own.
    """

    def __init__(self, store: FileStore, scratch: Path) -> None:
        self.path = scratch / STATE_FILE
        self._store = store if store.is_remote else None
        self._shared_at = time.monotonic()

    def fetch(self) -> None:
        """Take over what another machine left unfinished, unless this one has a state of its own."""
        if self._store is None or self.path.exists():
            return
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self._store.local_path(STATE_FILE), self.path)

    def set_aside_if_damaged(self) -> str | None:
        """Rename a state that cannot be read, here and in the bucket; a line for the log, ``None`` where all is well.

        PyTorch writes a checksum with each tensor; a file that was cut off has lost the list of them.
        """
        if not self.path.exists():
            return None
        try:
            _require_whole(self.path)
        except DamagedFileError as error:
            if self._store is not None:
                self._store.delete(STATE_FILE)
            return set_aside(FolderStore(self.path.parent), self.path.name, error)
        return None

    def share(self) -> None:
        """Let other machines see the state; at most every :data:`SHARE_EVERY_SECONDS`."""
        if self._store is None or time.monotonic() - self._shared_at < SHARE_EVERY_SECONDS:
            return
        if self.path.exists():
            staged = self._store.staging_path(STATE_FILE)
            shutil.copyfile(self.path, staged)
            self._store.publish(staged, STATE_FILE)
        self._shared_at = time.monotonic()

    def forget(self) -> None:
        """The training is finished."""
        if self._store is not None:
            self._store.delete(STATE_FILE)


def _require_whole(path: Path) -> None:
    """Raises DamagedFileError if ``path`` is no state that PyTorch wrote, or not all of it."""
    import torch

    try:
        with zipfile.ZipFile(path) as file:
            wrong = file.testzip()
        state = torch.load(path, weights_only=True, map_location="cpu") if wrong is None else None
    except (zipfile.BadZipFile, pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise DamagedFileError(f"it cannot be read, {type(error).__name__}") from None
    if wrong is not None:
        raise DamagedFileError(f"the checksum of {wrong} is wrong")
    if not isinstance(state, dict) or "identity" not in state:
        raise DamagedFileError("it is no state of a training")
