"""Several processes train what one trains with the same global batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from gnn.small_world import make_graph, make_tables

from holley_assets.gnn.checkpoint import Epoch
from holley_assets.gnn.demand import FitOptions
from holley_assets.gnn.distributed import (
    DistributedTrainingError,
    options_from_json,
    options_to_json,
    train_in_processes,
)
from holley_assets.gnn.graph import save_graph
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.process_group import ProcessGroup
from holley_assets.gnn.sampling import NegativeOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import train
from holley_assets.gnn.training_options import EdgeOptions, Loss, TrainingOptions

MODEL = ModelOptions(embedding_dim=16, attention=AttentionOptions(hidden_dim=16, heads=2, part_type_dim=4))
# Dropout, three kinds of negatives and an odd number of positives: nothing that differs between ranks is left out.
OPTIONS = TrainingOptions(
    loss="bce",
    validation_share=0.2,
    strengths=(10.0, 1.0),
    fit=FitOptions(steps=10),
    edges=EdgeOptions(
        epochs=3,
        patience=3,
        batches=2,
        negatives=NegativeOptions(count=8, in_batch_share=0.25, fitment_share=0.5),
    ),
)


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.fixture(autouse=True)
def processes_of_one_thread_find_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    tests = Path(__file__).parents[1]
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(tests), str(tests.parent), os.environ.get("PYTHONPATH", "")])
    )


@pytest.mark.usefixtures("double_precision")
@pytest.mark.parametrize(
    ("loss", "users", "stages"),
    [
        (
            "bce",
            {"active": 23},
            ["start", *["popularity"] * 4, *["levels", "visitors", "messages"] * 2, *["attention"] * 3],
        ),
        (
            "likelihood",
            {"users": 240, "active": 200},
            ["start", *["popularity"] * 4, *["levels", "visitors", "messages"] * 2, "everybody"],
        ),
    ],
)
def test_two_processes_have_the_loss_curve_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loss: Loss, users: dict[str, int], stages: list[str]
) -> None:
    """In double precision, so that nothing but the order of sums may differ; see the asset's test for single."""
    monkeypatch.setattr("holley_assets.gnn.distributed.WORKER_MODULE", "gnn.double_precision")
    data = make_graph(make_tables(**users)).data
    model = MODEL if loss == "bce" else replace(MODEL, attention=None)
    options = replace(OPTIONS, loss=loss)
    for store in data.stores:
        for name, value in store.items():
            if isinstance(value, torch.Tensor) and value.is_floating_point():
                store[name] = value.double()
    save_graph(data, tmp_path / "heterodata.pt")

    alone = train(data, model, options)
    epochs: list[Epoch] = []
    together = train_in_processes(
        tmp_path / "heterodata.pt", model, options, processes=2, on_epoch=epochs.append
    )
    assert together.history == epochs
    assert sorted(epoch.stage for epoch in epochs) == sorted(stages)
    for one, two in zip(alone.history, epochs, strict=True):
        for name in ("train_loss", "validation_loss"):
            expected, found = getattr(one, name), getattr(two, name)
            assert found == (None if expected is None else pytest.approx(expected, rel=1e-12)), (one, two)
    losses = [epoch.train_loss for epoch in epochs[1:] if epoch.stage != "everybody"]
    assert all(one != other for one, other in pairwise(losses)), "each epoch learned something"
    assert together.checkpoint.best_epoch == alone.checkpoint.best_epoch
    assert together.stopped_early == alone.stopped_early
    for name, weights in alone.checkpoint.state.items():
        torch.testing.assert_close(together.checkpoint.state[name], weights, rtol=0, atol=1e-9)


def test_a_process_that_fails_tells_why_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DistributedTrainingError) as raised:
        train_in_processes(tmp_path / "absent.pt", MODEL, OPTIONS, processes=2)
    assert str(raised.value) == (
        "training in 2 processes: FileNotFoundError: [Errno 2] No such file or directory: "
        f"'{tmp_path / 'absent.pt'}'"
    )


def test_options_survive_the_way_to_the_processes() -> None:
    options = replace(OPTIONS, device="cuda")
    assert options_from_json(options_to_json(MODEL, options)) == (MODEL, options)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_shards_are_all_terms_once(size: int, count: int) -> None:
    shards = [ProcessGroup(rank, size).shard(count) for rank in range(size)]
    assert (shards[0].start, shards[-1].stop) == (0, count)
    assert all(before.stop == after.start for before, after in pairwise(shards))
    lengths = [shard.stop - shard.start for shard in shards]
    assert max(lengths) - min(lengths) <= 1
