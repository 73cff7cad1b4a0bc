"""A training that another machine left unfinished goes on here."""

from __future__ import annotations

from pathlib import Path

import pytest
from storage_emulator import StorageEmulator

from holley_assets.resources.storage import training_state
from holley_assets.resources.storage.bucket import BucketStore
from holley_assets.resources.storage.interface import FileStore, FolderStore
from holley_assets.resources.storage.training_state import STATE_FILE, TrainingState


def test_another_machine_finds_the_state_until_the_training_is_finished(
    storage_emulator: StorageEmulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", storage_emulator.url)
    stores = [
        BucketStore(storage_emulator.bucket, "training-state", tmp_path / name, retry_seconds=5)
        for name in ("killed", "next", "third")
    ]
    killed, following, third = (
        TrainingState(store, tmp_path / name)
        for store, name in zip(stores, ("killed", "next", "third"), strict=True)
    )
    killed.fetch()
    assert not killed.path.exists(), "there is nothing to go on with"
    killed.path.write_text("epoch 1")
    killed.share()
    assert stores[0].keys("") == [], "not with every epoch"
    monkeypatch.setattr(training_state, "SHARE_EVERY_SECONDS", 0.0)
    killed.share()

    following.fetch()
    assert following.path.read_text() == "epoch 1"
    following.path.write_text("epoch 2")
    following.fetch()
    assert following.path.read_text() == "epoch 2", "its own is newer"
    following.forget()
    third.fetch()
    assert not third.path.exists()


def test_a_folder_needs_no_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training_state, "SHARE_EVERY_SECONDS", 0.0)
    store: FileStore = FolderStore(tmp_path)
    state = TrainingState(store, tmp_path)
    state.path.write_text("epoch 1")
    for action in (state.fetch, state.share, state.forget):
        action()
    assert [path.name for path in tmp_path.iterdir()] == [STATE_FILE]
