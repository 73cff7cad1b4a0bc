"""The state of an unfinished training, where the next attempt finds it, on this machine or another."""

from __future__ import annotations

import contextlib
import shutil
import time
from pathlib import Path

from holley_assets.resources.storage.interface import FileStore, FolderStore

# Beside the runs and not in one: what goes on with a killed training is another run. Training resumes from
# a state of the same graph and the same options alone.
STATE_FILE = "training_state.pt"
# A state is as large as three models; what a killed machine takes along is this much work at most.
SHARE_EVERY_SECONDS = 120.0


class TrainingState:
    """A local file that training keeps its state in; with a bucket, shared through it.

    Args:
        store: the run's files.
        scratch: local folder for the file. For a :class:`FolderStore` it is the store's own.
    """

    def __init__(self, store: FileStore, scratch: Path) -> None:
        self.path = scratch / STATE_FILE
        self._store = None if isinstance(store, FolderStore) else store
        self._shared_at = time.monotonic()

    def fetch(self) -> None:
        """Take over what another machine left unfinished, unless this one has a state of its own."""
        if self._store is None or self.path.exists():
            return
        with contextlib.suppress(FileNotFoundError):
            shutil.copyfile(self._store.local_path(STATE_FILE), self.path)

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
