"""Training and vectors on a GPU, where there is one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from gnn.small_world import make_graph, make_tables

from holley_assets.gnn.checkpoint import Epoch
from holley_assets.gnn.embedding import embed
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import train
from holley_assets.gnn.training_options import EdgeOptions, Loss, TrainingOptions

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")

MODEL = ModelOptions(embedding_dim=16)
OPTIONS = TrainingOptions(device="cuda", edges=EdgeOptions(epochs=5, patience=5, batches=2))


@pytest.mark.parametrize("loss", ["likelihood", "bce"])
def test_cold_users_learn_the_taste_of_their_model_and_the_graph_stays_where_it_is(loss: Loss) -> None:
    """The checkerboard of test_training: a model likes the parts of its own parity."""
    graph = make_graph(make_tables(users=240, active=200)).data
    attention = AttentionOptions(hidden_dim=16, heads=2, part_type_dim=4) if loss == "bce" else None
    result = train(graph, replace(MODEL, attention=attention), replace(OPTIONS, loss=loss))
    vectors = embed(graph, result.checkpoint, personal_precision=5.0, device="cuda")
    assert graph["product"].features.device.type == "cpu"
    cold = torch.nonzero(graph["user"].cold_profile == torch.arange(graph["user"].num_nodes)).flatten()
    best = np.argsort(-(vectors.user[cold] @ vectors.product.T), axis=1)[:, :4]
    assert (best % 2 == graph["user"].vehicle[cold].numpy()[:, None] % 2).mean() > 0.95
    on_cpu = embed(graph, result.checkpoint, personal_precision=5.0)
    np.testing.assert_allclose(vectors.user, on_cpu.user, atol=1e-4)
    np.testing.assert_allclose(vectors.product, on_cpu.product, atol=1e-4)


def test_a_training_killed_on_a_gpu_goes_on_there(tmp_path: Path) -> None:
    graph = make_graph(make_tables(users=240, active=200)).data

    def kill_at_the_fourth(epoch: Epoch) -> None:
        if epoch.epoch == 4:
            raise KeyboardInterrupt

    state = tmp_path / "state.pt"
    seen: list[Epoch] = []
    with pytest.raises(KeyboardInterrupt):
        train(graph, MODEL, OPTIONS, state_path=state, on_epoch=kill_at_the_fourth)
    assert state.exists()
    resumed = train(graph, MODEL, OPTIONS, state_path=state, on_epoch=seen.append)
    assert [epoch.epoch for epoch in seen] == list(range(len(resumed.history)))
    assert resumed.history[-1].stage == "everybody" and not state.exists()
