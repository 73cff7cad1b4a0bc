"""What the report says has changed since the run before."""

import json
from pathlib import Path

import pytest
import torch

from holley_assets.assets.run_changes import NAMED, changes_between
from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.model import ModelOptions
from holley_assets.resources.storage.interface import FolderStore

NAMES = [f"P{number:02}" for number in range(NAMED + 2)]


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    """Two runs; the second has another seed, folder and version of torch."""
    for run, seed in (("before", 0), ("now", 1)):
        folder = tmp_path / "runs" / run
        folder.mkdir(parents=True)
        settings = {
            "run": {"data_dir": f"/home/person-{seed}", "source_dir": f"/src-{seed}", "as_of": None},
            "training": {"seed": seed, "epochs": 3},
            "alerts": {"url": f"token-{seed}"},
        }
        (folder / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
        versions = {"python": "3.11", "torch": f"2.{seed}"}
        (folder / "versions.json").write_text(json.dumps(versions), encoding="utf-8")
        Checkpoint({"x": torch.zeros(1)}, ModelOptions(), {"products": ["A", *NAMES]}, [], 0).save(
            folder / "model.pt"
        )
    return FolderStore(tmp_path)


def test_what_differs_is_told_and_folders_and_tokens_are_not(store: FolderStore) -> None:
    found = changes_between(store, "before", "now", ["A", "Z", "B"])
    assert found["settings"] == {"training.seed": ("0", "1"), "alerts.url": ("(not shown)", "(not shown)")}
    assert found["versions"] == {"torch": ("2.0", "2.1")}
    assert found["came"] == {"count": 2, "names": ["B", "Z"]}
    assert found["went"] == {"count": NAMED + 2, "names": NAMES[:NAMED]}


def test_what_is_gone_of_a_run_is_not_known(store: FolderStore, tmp_path: Path) -> None:
    (tmp_path / "runs" / "before" / "versions.json").unlink()
    (tmp_path / "runs" / "before" / "settings.json").write_text("{", encoding="utf-8")
    (tmp_path / "runs" / "before" / "model.pt").unlink()
    assert changes_between(store, "before", "now", []) == dict.fromkeys(
        ("settings", "versions", "came", "went")
    )


def test_the_same_run_changes_nothing(store: FolderStore) -> None:
    found = changes_between(store, "now", "now", ["A", *NAMES])
    nothing = {"count": 0, "names": []}
    assert found == {"settings": {}, "versions": {}, "came": nothing, "went": nothing}
