"""Artifacts: named by checksum, verified when they are loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from holley_assets.resources.storage.artifacts import ArtifactError, ArtifactStore, Reference
from holley_assets.resources.storage.interface import FolderStore


def test_a_reference_survives_its_table_and_finds_the_file(tmp_path: Path) -> None:
    store = ArtifactStore(FolderStore(tmp_path), "run-1")
    reference = store.publish_text("weights", "model.pt")
    assert reference.path == "runs/run-1/model.pt"
    assert reference.bytes == 7

    copy = Reference.from_table(reference.to_table())
    later_run = ArtifactStore(FolderStore(tmp_path), "run-2")
    assert later_run.locate(copy).read_text() == "weights"


def test_a_changed_file_is_refused(tmp_path: Path) -> None:
    store = ArtifactStore(FolderStore(tmp_path), "run-1")
    reference = store.publish_text("weights", "model.pt")
    (tmp_path / reference.path).write_text("other weights")
    with pytest.raises(ArtifactError, match="is not the file that run run-1 wrote"):
        store.locate(reference)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    store = ArtifactStore(FolderStore(tmp_path), "run-1")
    with pytest.raises(ArtifactError, match=r"model\.pt does not exist"):
        store.locate(Reference("run-1", "runs/run-1/model.pt", "0" * 64, 1))


def test_what_a_killed_process_left_is_cleared(tmp_path: Path) -> None:
    store = FolderStore(tmp_path)
    left = store.staging_path("assets/parts.parquet").with_name(".parts.parquet.1")
    other = left.with_name(".user_parts.parquet.1")
    for path in (left, other):
        path.write_text("half")
    staged = store.staging_path("assets/parts.parquet")
    staged.write_text("whole")
    store.publish(staged, "assets/parts.parquet")
    assert sorted(path.name for path in left.parent.iterdir()) == [".user_parts.parquet.1", "parts.parquet"]


def test_a_file_staged_elsewhere_is_published_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staged = tmp_path / "staged"
    staged.write_text("content")
    replace = Path.replace

    def across_file_systems(self: Path, target: Path) -> Path:
        if self == staged:
            raise OSError(18, "Invalid cross-device link")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", across_file_systems)
    FolderStore(tmp_path / "store").publish(staged, "a/b")
    assert (tmp_path / "store" / "a" / "b").read_text() == "content"
    assert not staged.exists()
