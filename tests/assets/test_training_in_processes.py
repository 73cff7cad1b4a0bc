"""The training step with two processes: the weights of one, an error in one line, and resumption."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import dagster as dg
import psutil
import pytest
import torch
from small_run import FinishedRun, execute_job, failure_of

from holley_assets.core.asset_keys import (
    TRAINED_CHECKPOINT,
)
from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.resources.storage.training_state import STATE_FILE


def train_once(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    return execute_job(instance=instance, only=["trained_checkpoint"])


def checkpoint_of(run: FinishedRun, result: dg.ExecuteInProcessResult) -> Checkpoint:
    return Checkpoint.load(run.run_folder(result.run_id) / "model.pt")


def kill_second_process_after_an_epoch(state: Path) -> None:
    """SIGKILL, as the kernel does where memory runs out."""
    while not state.exists():
        time.sleep(0.02)
    for child in psutil.Process().children(recursive=True):
        if child.environ().get("RANK") == "1":
            child.kill()


def test_two_processes_train_what_one_trains_and_go_on_after_one_was_killed(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, instance = continued_run
    # So few that no fit reaches an optimum, where gradients are nothing but rounding.
    monkeypatch.setenv("HOLLEY_TRAINING_FIT_STEPS", "2")
    alone = train_once(instance)
    assert alone.success

    monkeypatch.setenv("HOLLEY_TRAINING_PROCESSES", "2")
    state = run.data_dir / STATE_FILE
    killer = threading.Thread(target=kill_second_process_after_an_epoch, args=(state,), daemon=True)
    killer.start()
    failed = train_once(instance)
    killer.join(timeout=60)
    assert not failed.success
    failure = failure_of(failed, TRAINED_CHECKPOINT.to_user_string())
    assert failure.startswith("training in 2 processes: ") and "\n" not in failure
    kept = torch.load(state, weights_only=True)["history"]

    together = train_once(instance)
    assert together.success
    assert not state.exists()
    one, two = checkpoint_of(run, alone), checkpoint_of(run, together)
    # Their seconds show that these epochs were not trained again.
    assert [tuple(epoch.values()) for epoch in two.history[: len(kept)]] == kept
    assert two.best_epoch == one.best_epoch
    # The order of sums differs, and Adam makes steps of full size from gradients that are nothing but rounding.
    # tests/gnn/test_distributed.py shows in double precision that there is no other difference.
    for expected, found in zip(one.history, two.history, strict=True):
        for name in ("train_loss", "validation_loss"):
            assert found[name] == (
                None if expected[name] is None else pytest.approx(expected[name], rel=1e-3)
            )
    chosen = str(one.history[one.best_epoch]["stage"])
    before = one.stages[chosen]
    for name, weights in before.items():
        difference = (two.stages[chosen][name] - weights).norm() / weights.norm()
        assert difference < 0.05, name
    # The last fit starts at an optimum, where Adam's first steps follow what rounding left of the gradient.
    for name, weights in one.state.items():
        assert (two.state[name] - weights).norm() < 0.3 * (weights - before[name]).norm(), name
