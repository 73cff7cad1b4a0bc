"""Several processes train what one trains with the same global batch."""

from __future__ import annotations

import math
import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from gnn.small_world import make_graph, make_tables

from holley_assets.gnn.demand import DemandOptions
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
from holley_assets.gnn.training import TrainingOptions, train

MODEL = ModelOptions(embedding_dim=16, hidden_dim=16, heads=2, part_type_dim=4)
# Dropout, three kinds of negatives and an odd number of positives: nothing that differs between ranks is left out.
OPTIONS = TrainingOptions(
    epochs=8,
    patience=8,
    batches=2,
    validation_share=0.2,
    demand=DemandOptions(strengths=(math.inf, 1.0), steps=10),
    negatives=NegativeOptions(count=8, in_batch_share=0.25, fitment_share=0.5),
)


@pytest.fixture
def saved_graph(tmp_path: Path) -> Path:
    path = tmp_path / "heterodata.pt"
    save_graph(make_graph(make_tables(active=23)).data, path)
    return path


@pytest.fixture(autouse=True)
def one_thread_a_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )


def test_two_processes_have_the_loss_curve_of_one(saved_graph: Path) -> None:
    alone = train(make_graph(make_tables(active=23)).data, MODEL, OPTIONS)
    together = train_in_processes(saved_graph, MODEL, OPTIONS, processes=2)
    assert len(together.history) == len(alone.history) == 9
    for one, two in zip(alone.history, together.history, strict=True):
        # Ranks of parts with all but the same score turn on the last bit; losses do not. Adam makes steps of full
        # size from gradients that are nothing but rounding, so that in float32 the curves drift apart by some
        # 1e-5 an epoch of the whole network; in float64 they are the same to 1e-13.
        tolerance = 1e-5 if one.epoch <= len(OPTIONS.demand.strengths) else 2e-4
        for name in ("train_loss", "validation_loss"):
            expected, found = getattr(one, name), getattr(two, name)
            assert found == (None if expected is None else pytest.approx(expected, rel=0, abs=tolerance)), (
                one,
                two,
            )
    losses = [epoch.train_loss for epoch in together.history[3:]]
    assert len(set(losses)) == len(losses), "each epoch of the whole network learned something"
    assert together.checkpoint.best_epoch == alone.checkpoint.best_epoch
    assert together.stopped_early == alone.stopped_early


def test_a_process_that_fails_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DistributedTrainingError, match="2 processes ended with 1") as raised:
        train_in_processes(tmp_path / "absent.pt", MODEL, OPTIONS, processes=2)
    assert "\n" not in str(raised.value)


def test_options_survive_the_way_to_the_processes() -> None:
    options = replace(OPTIONS, loss="bpr", device="cuda")
    assert options_from_json(options_to_json(MODEL, options)) == (MODEL, options)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("count", [0, 1, 5, 100])
def test_shards_are_all_terms_once(size: int, count: int) -> None:
    shards = [ProcessGroup(rank, size).shard(count) for rank in range(size)]
    assert (shards[0].start, shards[-1].stop) == (0, count)
    assert all(before.stop == after.start for before, after in pairwise(shards))
    lengths = [shard.stop - shard.start for shard in shards]
    assert max(lengths) - min(lengths) <= 1
