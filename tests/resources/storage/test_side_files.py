"""A damaged side file is renamed, counted and named, and the work goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import torch
from tracking_world import delivery_of, training_of

from holley_assets.assets.run_memory import SHOWN_FILE, SUMMARY_FILE, VECTORS_FILE, RunMemory
from holley_assets.assets.starting_weights import _load
from holley_assets.evaluation.run_comparison import RunSummary
from holley_assets.gnn.checkpoint import CheckpointError
from holley_assets.resources.storage.artifacts import ArtifactStore
from holley_assets.resources.storage.interface import FolderStore, StorageError
from holley_assets.resources.storage.side_files import DAMAGED, DamagedFileError, sealed, set_aside, unsealed
from holley_assets.resources.storage.training_state import STATE_FILE, TrainingState
from holley_assets.resources.tracking.journal import PENDING, TrackingJournal
from holley_assets.settings import load_settings

VALUES = {"text": "Ann's $1", "numbers": [1, 2.5, None], "nested": {"1": True}}


class TestSealed:
    def test_what_was_written_is_read(self) -> None:
        assert unsealed(sealed(VALUES)) == VALUES
        keyed_by_number: dict[Any, Any] = {1: (2, 3)}
        assert unsealed(sealed(keyed_by_number)) == {"1": [2, 3]}

    def test_what_has_no_checksum_yet_is_read(self) -> None:
        assert unsealed('{"a": 1}') == {"a": 1}

    def test_every_cut_and_every_changed_letter_is_seen(self) -> None:
        text = sealed(VALUES)
        for end in range(len(text) - 2):
            with pytest.raises(DamagedFileError):
                unsealed(text[:end])
        for place, letter in enumerate(text):
            if letter.isalnum():
                changed = text[:place] + ("1" if letter != "1" else "2") + text[place + 1 :]
                with pytest.raises(DamagedFileError):
                    unsealed_or_unnamed(changed)


def unsealed_or_unnamed(text: str) -> None:
    """Without its name a checksum is no checksum; the file says then what it says."""
    values = unsealed(text)
    if "sha256" not in text:
        raise DamagedFileError("the seal is broken")
    assert values != VALUES


def test_set_aside_keeps_the_bytes_and_counts(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    for number, content in enumerate(("one", "two"), start=1):
        path = tmp_path / "tracking" / "x.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content)
        line = set_aside(store, "tracking/x.json", "ann@example.com\nsaid so")
        assert not path.exists() and f"{number} damaged files" in line
        assert "\n" not in line and "example" not in line
    assert sorted(store.local_path(key).read_text() for key in store.keys(DAMAGED)) == ["one", "two"]


@pytest.fixture
def state(tmp_path: Path) -> TrainingState:
    return TrainingState(FolderStore(tmp_path), tmp_path)


def spoil(path: Path, how: str) -> None:
    whole = path.read_bytes()
    middle = len(whole) // 2
    spoiled = {
        "empty": b"",
        "cut": whole[:middle],
        "flipped": whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :],
        "text": b"no state",
    }
    path.write_bytes(spoiled[how])


class TestTrainingState:
    def test_a_whole_state_stays(self, state: TrainingState) -> None:
        assert state.set_aside_if_damaged() is None
        torch.save({"identity": "x", "weights": torch.zeros(1000)}, state.path)
        assert state.set_aside_if_damaged() is None and state.path.exists()

    @pytest.mark.parametrize("how", ["empty", "cut", "flipped", "text"])
    def test_a_damaged_state_is_set_aside(self, state: TrainingState, tmp_path: Path, how: str) -> None:
        torch.save({"identity": "x", "weights": torch.arange(100_000)}, state.path)
        spoil(state.path, how)
        line = state.set_aside_if_damaged()
        assert line is not None and STATE_FILE in line and "1 damaged files" in line
        assert not state.path.exists()
        assert len(FolderStore(tmp_path).keys(DAMAGED)) == 1

    @pytest.mark.parametrize("content", [[1], {"weights": 1}, {"identity": np.float64}])
    def test_what_is_no_state_is_set_aside(self, state: TrainingState, content: object) -> None:
        torch.save(content, state.path)
        assert state.set_aside_if_damaged() is not None and not state.path.exists()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrackingJournal:
    """Of a server that does not answer, so that sound records wait."""
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("HOLLEY_MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("HOLLEY_MLFLOW_RETRIES", "0")
    return TrackingJournal(load_settings(), FolderStore(tmp_path))


class TestJournal:
    @pytest.mark.parametrize("how", ["empty", "cut", "flipped", "text", "other"])
    def test_a_damaged_record_holds_up_no_other(
        self, journal: TrackingJournal, tmp_path: Path, how: str
    ) -> None:
        store = FolderStore(tmp_path)
        training = training_of("run-1", store)
        journal.record(training)
        (key,) = store.keys(PENDING)
        path = store.local_path(key)
        if how == "other":
            path.write_text(sealed({"kind": "nothing", "email": "ann@example.com"}))
        else:
            spoil(path, how)
        receipt = journal.record(delivery_of(training))
        assert receipt.waiting == 1 and len(receipt.problems) == 2
        assert "is damaged" in receipt.problems[0] and "ann" not in receipt.problems[0]
        assert len(store.keys(DAMAGED)) == 1 and len(store.keys(PENDING)) == 1

    def test_a_store_that_fails_fails_nobody(
        self, journal: TrackingJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A table that was published is on record, whatever becomes of what MLflow should hear of it."""

        def fail(*_: object) -> None:
            raise StorageError("the bucket is gone")

        training = training_of("run-2", FolderStore(tmp_path))
        monkeypatch.setattr(FolderStore, "publish", fail)
        receipt = journal.record(training)
        assert receipt.warning is not None and "the bucket is gone" in receipt.warning
        monkeypatch.setattr(FolderStore, "keys", fail)
        assert "the bucket is gone" in str(journal.send().warning)


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    for how in ("empty", "cut", "text"):
        torch.save({"state": {"x": torch.arange(10_000)}}, path)
        spoil(path, how)
        with pytest.raises(CheckpointError, match=r"model\.pt cannot be read as a checkpoint") as raised:
            _load(path)
        assert "\n" not in str(raised.value)


class TestRunMemory:
    def memory(self) -> RunMemory:
        summary = RunSummary.from_json(
            {field: {} for field in RunSummary.__dataclass_fields__}  # Empty mappings will do for the files.
        )
        table = pa.table({"user": [1, 2]})
        return RunMemory(summary, table, table)

    @pytest.mark.parametrize("name", [SUMMARY_FILE, SHOWN_FILE, VECTORS_FILE])
    @pytest.mark.parametrize("how", ["empty", "cut", "flipped", "text"])
    def test_each_damaged_file_is_seen(self, tmp_path: Path, name: str, how: str) -> None:
        store = FolderStore(tmp_path)
        self.memory().save(ArtifactStore(store, "run-1"))
        found = RunMemory.load(store, "run-1")
        assert found is not None and found.shown.equals(self.memory().shown)
        spoil(store.local_path(store.artifact_key("run-1", name)), how)
        with pytest.raises(DamagedFileError):
            RunMemory.load(store, "run-1")
