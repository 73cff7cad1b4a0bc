"""Training learns what is there, resumes exactly, and starts from other weights by key."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from gnn.small_world import make_graph, make_tables, visitor_parts
from present import present
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint, CheckpointError, Epoch, copy_weights, vocabularies_of
from holley_assets.gnn.demand import FittingPairs, fit_demand
from holley_assets.gnn.embedding import Embeddings, embed
from holley_assets.gnn.graph_schema import FITS, INTERACTS, LOG_VISITORS, REV_FITS, REV_INTERACTS
from holley_assets.gnn.message_graph import MessageGraph
from holley_assets.gnn.model import HeteroGAT, ModelOptions
from holley_assets.gnn.sampling import NegativeOptions
from holley_assets.gnn.towers import AttentionOptions
from holley_assets.gnn.training import Training, train
from holley_assets.gnn.training_options import EdgeOptions, Loss, TrainingOptions

ATTENTION = AttentionOptions(hidden_dim=16, heads=2, part_type_dim=4)
MODEL = ModelOptions(embedding_dim=16, attention=ATTENTION)
EDGES = EdgeOptions(epochs=3, patience=3, batches=2)
QUICK = TrainingOptions(loss="bce", strengths=(10.0,), validation_share=0.2, edges=EDGES)


class KilledError(Exception):
    pass


def kill_at(number: int) -> Callable[[Epoch], None]:
    def on_epoch(epoch: Epoch) -> None:
        if epoch.epoch == number:
            raise KilledError

    return on_epoch


def parity_share(graph: HeteroData, embeddings: Embeddings) -> float:
    """Share of cold users' four best parts that are of their model's parity; 0.5 is chance."""
    cold = torch.nonzero(graph["user"].cold_profile == torch.arange(graph["user"].num_nodes)).flatten()
    scores = embeddings.user[cold] @ embeddings.product.T
    best = np.argsort(-scores, axis=1)[:, :4]
    return float((best % 2 == graph["user"].vehicle[cold].numpy()[:, None] % 2).mean())


@pytest.mark.parametrize("loss", ["likelihood", "bce"])
def test_cold_users_learn_the_taste_of_their_model(loss: Loss) -> None:
    """Checkerboard: every part fits every car, and only owners' history tells which half a model likes."""
    graph = make_graph(make_tables(users=120, active=60)).data
    options = TrainingOptions(loss=loss, edges=replace(EDGES, epochs=5))
    result = train(graph, replace(MODEL, attention=ATTENTION if loss == "bce" else None), options)
    assert parity_share(graph, embed(graph, result.checkpoint, personal_precision=5.0)) > 0.95
    first, best = result.history[0], result.history[result.checkpoint.best_epoch]
    assert present(best.validation_mrr_cold) > 1.5 * present(first.validation_mrr_cold)


def test_vectors_have_length_one_and_epoch_zero_ranks_by_popularity(graph: HeteroData) -> None:
    checkpoint = Checkpoint(HeteroGAT(graph, MODEL).state_dict(), MODEL, vocabularies_of(graph), [], 0)
    embeddings = embed(graph, checkpoint, personal_precision=float("inf"))
    np.testing.assert_allclose(np.linalg.norm(embeddings.user, axis=1), 1.0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(embeddings.product, axis=1), 1.0, atol=1e-6)
    popularity = graph["product"].features[:, LOG_VISITORS].numpy()
    scores = embeddings.user @ embeddings.product.T
    for row in scores:
        assert (np.diff(popularity[np.argsort(-row, kind="stable")]) <= 1e-6).all()


def test_a_killed_training_ends_with_the_weights_of_an_unbroken_one(
    graph: HeteroData, tmp_path: Path
) -> None:
    unbroken = train(graph, MODEL, QUICK)
    state = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        train(graph, MODEL, QUICK, state_path=state, on_epoch=kill_at(3))
    seen = []
    resumed = train(graph, MODEL, QUICK, state_path=state, on_epoch=lambda epoch: seen.append(epoch.epoch))
    assert resumed.checkpoint.fingerprint == unbroken.checkpoint.fingerprint
    assert [epoch._replace(seconds=0) for epoch in resumed.history] == [
        epoch._replace(seconds=0) for epoch in unbroken.history
    ]
    assert seen == list(range(len(unbroken.history)))
    assert [epoch.stage for epoch in unbroken.history].count("attention") == EDGES.epochs
    assert not state.exists()


def test_a_state_of_other_data_is_not_resumed(graph: HeteroData, tmp_path: Path) -> None:
    state = tmp_path / "state.pt"
    with pytest.raises(KilledError):
        train(graph, MODEL, QUICK, state_path=state, on_epoch=kill_at(3))
    other = make_graph(make_tables(seed=5)).data
    assert (
        train(other, MODEL, QUICK, state_path=state).checkpoint.fingerprint
        == train(other, MODEL, QUICK).checkpoint.fingerprint
    )


def taste_of_models() -> tuple[HeteroData, TrainingOptions]:
    """A graph with something to learn, and a training that tries priors from strong to far too weak."""
    graph = make_graph(make_tables(users=120, active=60)).data
    return graph, TrainingOptions(strengths=(300.0, 10.0, 1.0, 0.01))


def test_the_fit_that_held_out_visitors_like_best_is_chosen() -> None:
    graph, options = taste_of_models()
    history = train(graph, replace(MODEL, attention=None, hops=0), options).history
    losses = [present(epoch.validation_loss) for epoch in history[:-1]]
    best = int(np.argmin(losses))
    assert train(graph, replace(MODEL, attention=None, hops=0), options).checkpoint.best_epoch == best
    assert 0 < best < len(losses) - 1, "weaker priors overfit"
    last = history[-1]
    assert (last.stage, last.strength) == ("everybody", history[best].strength)
    assert (last.train_loss, last.validation_loss) == (None, None), "nobody is left to ask"


def test_biases_keep_the_prior_that_popularity_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a world of forty customers a weak prior of biases overfits."""
    graph = make_graph(make_tables(users=80, active=40)).data
    strengths: list[float] = []

    def remember(*arguments: Any, bias_strength: float, **keywords: Any) -> None:
        strengths.append(bias_strength)
        fit_demand(*arguments, bias_strength=bias_strength, **keywords)

    monkeypatch.setattr("holley_assets.gnn.fits.fit_demand", remember)
    history = train(graph, replace(MODEL, attention=None), TrainingOptions(strengths=(10.0, 1.0))).history
    popularity = [epoch for epoch in history if epoch.stage == "popularity"]
    best = min(popularity, key=lambda epoch: present(epoch.validation_loss)).strength
    assert present(best) > 1.0
    assert strengths[: len(popularity)] == [epoch.strength for epoch in popularity]
    assert set(strengths[len(popularity) :]) == {best}
    assert history[-1].stage == "everybody"


@pytest.mark.parametrize("refused", [False, True])
def test_messages_are_kept_unless_held_out_visitors_refute_them(
    monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """Held at the strength that was best without them; the choice asks for the ranks alone."""
    graph, options = taste_of_models()
    asked = []

    def is_better(
        candidate: np.ndarray, best: np.ndarray, standard_errors: float, *, weight: np.ndarray
    ) -> bool:
        asked.append((len(candidate), len(best), standard_errors, len(weight)))
        return refused

    monkeypatch.setattr("holley_assets.gnn.training.is_better", is_better)
    result = train(graph, replace(MODEL, attention=None), options)
    without = min(
        (epoch for epoch in result.history if epoch.stage in ("levels", "visitors")),
        key=lambda epoch: present(epoch.validation_loss),
    )
    chosen = result.history[result.checkpoint.best_epoch]
    assert chosen.strength == without.strength
    assert chosen.stage == ("messages" if not refused else without.stage)
    assert bool(result.checkpoint.state["hops"].any()) == (not refused)
    ((candidates, bests, errors, weights),) = asked
    assert candidates == bests == weights
    assert errors == 2.0


def test_those_held_out_are_learned_from_at_last() -> None:
    """All of the demand that the fit of the training fold saw, and that of those held out."""
    graph, options = taste_of_models()
    seen = []

    def remember(
        model: HeteroGAT,
        data: HeteroData,
        pairs: FittingPairs,
        demand: Tensor,
        *arguments: object,
        **keywords: object,
    ) -> None:
        seen.append(float(demand.sum()))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("holley_assets.gnn.fits.fit_demand", remember)
        training = Training(graph, replace(MODEL, attention=None), options)
        training.fits.fit("levels", 1.0, 1.0, infer_cars=False)
        training.fits.fit_everybody("levels", 1.0, 1.0, infer_cars=False)
    edges = graph[INTERACTS].edge_index.shape[1]
    met_by_visitors = float((graph.set_offsets.diff() * graph.set_visitors).sum())
    assert seen[1] == pytest.approx(edges + met_by_visitors, rel=1e-6)
    fewer = edges - round(edges * options.validation_share)
    assert fewer <= seen[0] <= fewer + met_by_visitors


def test_without_interactions_the_network_is_returned_as_it_starts() -> None:
    graph = make_graph(replace(make_tables(active=0), visitor_parts=visitor_parts())).data
    result = train(graph, MODEL, QUICK)
    assert len(result.history) == 1
    assert result.history[0].validation_mrr is None
    assert np.isfinite(embed(graph, result.checkpoint, personal_precision=5.0).user).all()


def test_validation_edges_and_their_reverses_are_out_of_the_message_graph(graph: HeteroData) -> None:
    num_edges = graph[INTERACTS].edge_index.shape[1]
    keep = torch.ones(num_edges, dtype=torch.bool)
    keep[7] = False
    user, product = graph[INTERACTS].edge_index[:, 7]
    kept = MessageGraph(graph).keeping(keep)
    pairs = set(zip(kept[INTERACTS].source.tolist(), kept[INTERACTS].target.tolist(), strict=True))
    reverse = set(zip(kept[REV_INTERACTS].target.tolist(), kept[REV_INTERACTS].source.tolist(), strict=True))
    assert (int(user), int(product)) not in pairs
    assert pairs == reverse
    assert len(pairs) == num_edges - 1
    # The demand on the fits edge of the user's vehicle shrinks by that edge, in both directions.
    vehicle = graph["user"].vehicle[user]
    for kind, ends in ((FITS, (product, vehicle)), (REV_FITS, (vehicle, product))):
        full = MessageGraph(graph).full[kind]
        edge = torch.nonzero((full.source == ends[0]) & (full.target == ends[1])).flatten()
        assert kept[kind].features[edge, 0].item() < full.features[edge, 0].item()
        others = torch.arange(len(full.source)) != edge
        torch.testing.assert_close(kept[kind].features[others], full.features[others])


def test_weights_find_their_rows_by_key_never_by_position(graph: HeteroData) -> None:
    checkpoint = train(graph, MODEL, QUICK).checkpoint
    tables = make_tables()
    order = np.random.default_rng(0).permutation(tables.product_nodes.num_rows)
    shuffled = make_graph(replace(tables, product_nodes=tables.product_nodes.take(order))).data
    model = HeteroGAT(shuffled, MODEL)
    copy_weights(checkpoint, model, shuffled)
    table = model.state_dict()["levels.product.weight"]
    source = checkpoint.state["levels.product.weight"]
    for row, sku in enumerate(shuffled.products):
        assert torch.equal(table[row], source[graph.products.index(sku)])


def test_an_unknown_part_starts_from_zero_when_scored(graph: HeteroData) -> None:
    checkpoint = train(graph, MODEL, QUICK).checkpoint
    names = {**checkpoint.vocabularies, "products": ["OLD", *checkpoint.vocabularies["products"][1:]]}
    older = replace(checkpoint, vocabularies=names)
    assert older.model(graph).levels.product.weight[0].abs().sum() == 0


def test_a_warm_start_takes_over_what_passes_messages_and_nothing_that_remembers_an_edge() -> None:
    """A champion has seen the edges that are held out now: its node vectors would win by what they remember."""
    graph, _ = taste_of_models()
    cold = train(graph, MODEL, QUICK)
    champion = replace(
        cold.checkpoint,
        state={name: torch.full_like(value, 0.01) for name, value in cold.checkpoint.state.items()},
    )
    warm = train(graph, MODEL, QUICK, warm_start=champion)
    without_messages = [epoch.stage for epoch in cold.history].index("messages")
    assert [epoch.stage for epoch in cold.history].count("messages") == 1
    assert [epoch.validation_loss for epoch in warm.history[:without_messages]] == [
        epoch.validation_loss for epoch in cold.history[:without_messages]
    ]
    assert warm.history[without_messages].validation_loss != cold.history[without_messages].validation_loss
    assert warm.warm_start_weights > 0 and cold.warm_start_weights == 0


def test_a_checkpoint_of_another_shape_is_refused_by_name(graph: HeteroData) -> None:
    checkpoint = train(graph, MODEL, QUICK).checkpoint
    wider = HeteroGAT(graph, replace(MODEL, attention=replace(ATTENTION, hidden_dim=32)))
    with pytest.raises(CheckpointError, match="HOLLEY_TRAINING_WARM_START"):
        copy_weights(checkpoint, wider, graph)


def test_checkpoint_round_trip(graph: HeteroData, tmp_path: Path) -> None:
    checkpoint = train(graph, MODEL, QUICK).checkpoint
    checkpoint.save(tmp_path / "model.pt")
    loaded = Checkpoint.load(tmp_path / "model.pt")
    assert loaded.fingerprint == checkpoint.fingerprint
    assert (loaded.options, loaded.history) == (checkpoint.options, checkpoint.history)
    assert loaded.vocabularies == checkpoint.vocabularies


def test_same_seed_same_weights_other_seed_other_weights(graph: HeteroData) -> None:
    first, second = (train(graph, MODEL, QUICK).checkpoint.fingerprint for _ in range(2))
    assert first == second
    assert train(graph, MODEL, replace(QUICK, seed=1)).checkpoint.fingerprint != first


def test_negative_shares_may_be_all_of_one_kind(graph: HeteroData) -> None:
    for negatives in (
        NegativeOptions(8, 1.0, 0.0),
        NegativeOptions(8, 0.0, 1.0),
        NegativeOptions(8, 0.0, 0.0),
    ):
        result = train(graph, MODEL, replace(QUICK, edges=replace(EDGES, epochs=1, negatives=negatives)))
        assert np.isfinite(present(result.history[-1].train_loss))
