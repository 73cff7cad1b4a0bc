"""Worlds whose right answer is known: a hidden taste, a sibling that nobody visits, and nothing to learn."""

import numpy as np
import pytest
import torch
from gnn.two_cars import two_cars
from present import present
from torch_geometric.data import HeteroData

from holley_assets.gnn.checkpoint import Checkpoint
from holley_assets.gnn.embedding import embed
from holley_assets.gnn.fit_sequence import LEVELS, MESSAGES, POPULARITY, VISITORS, best_of
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.training import train
from holley_assets.gnn.training_options import TrainingOptions

MODEL = ModelOptions(embedding_dim=16)


def chances(graph: HeteroData, checkpoint: Checkpoint) -> dict[str, dict[str, float]]:
    """``{car: {part: chance}}`` of owners without a history."""
    vectors = embed(graph, checkpoint, personal_precision=float("inf"))
    result: dict[str, dict[str, float]] = {}
    for profile in range(graph["user"].num_nodes):
        row = int(graph["user"].vehicle_year[profile])
        first, last = graph.candidate_offsets[row : row + 2].tolist()
        parts = graph.candidate_products[first:last].numpy()
        share = np.exp(vectors.temperature * (vectors.product[parts] @ vectors.user[profile]))
        car = graph.vehicles[int(graph["user"].vehicle[profile])].split("\x1f")[1]
        result[car] = dict(zip([graph.products[part] for part in parts], share / share.sum(), strict=True))
    return result


def test_visitors_of_one_part_are_told_apart_by_those_of_two() -> None:
    """M and F betray the car: with M goes A, with F goes B. So the visitors of A alone are the first car's.

    Counted by what fits, half of A's visitors have the second car and would want A for it.
    """
    sets = [(["A", "M"], 100), (["B", "F"], 100), (["A"], 400), (["B"], 400)]
    graph = two_cars(*sets, fits={"first": "ABM", "second": "ABF"}, owners=(5, 5))
    result = train(graph, MODEL, TrainingOptions())
    learned = chances(graph, result.checkpoint)
    counted = chances(graph, result.checkpoint.of_stage(LEVELS))
    for own, other, car in (("A", "B", "first"), ("B", "A", "second")):
        assert learned[car][own] / learned[car][other] > 2.5
        assert counted[car][own] / counted[car][other] < 2.0
    assert result.history[result.checkpoint.best_epoch].stage in (VISITORS, MESSAGES)


def test_a_sibling_that_nobody_visits_wants_what_its_platform_wants() -> None:
    """FORD twin and MERCURY sibling share all parts but M; all other cars want B, the twin's owners want A.

    M betrays each visitor of the twin, so that none may be the sibling's, whose make and model tell nothing: without
    messages it would want B as everybody does.
    """
    fits = {"twin": "ABCDEM", "sibling": "ABCDE", **{f"other{number}": f"AB{number}" for number in range(6)}}
    makes = ["FORD", "MERCURY", *["DODGE", "HONDA", "AUDI"] * 2]
    sets = [(["A", "C", "M"], 150), (["A", "M"], 150), (["A", "D", "M"], 150)]
    sets += [(["B", str(number)], 200) for number in range(6)]
    graph = two_cars(*sets, fits=fits, makes=makes, owners=(400, 1))
    checkpoint = train(graph, MODEL, TrainingOptions()).checkpoint
    alone, connected = (chances(graph, checkpoint.of_stage(stage)) for stage in (LEVELS, MESSAGES))
    for of_stage in (alone, connected):
        assert of_stage["twin"]["A"] > 2 * of_stage["twin"]["B"]
        assert of_stage["other0"]["B"] > 2 * of_stage["other0"]["A"]
    assert alone["sibling"]["B"] > alone["sibling"]["A"]
    assert connected["sibling"]["A"] > 2 * connected["sibling"]["B"]


@pytest.mark.parametrize("seed", range(2))
def test_where_there_is_nothing_to_learn_the_choice_is_popularity(seed: int) -> None:
    """Visitors of twelve cars choose among the same parts with the same chances."""
    random = np.random.default_rng(seed)
    parts = "ABCDEFGHIJKL"
    share = np.arange(1, 13) / 78
    fits = {f"car{number}": parts + chr(ord("a") + number) for number in range(12)}
    sets = []
    for number in range(12):
        drawn = random.multinomial(60, share)
        sets += [([part, chr(ord("a") + number)], int(n)) for part, n in zip(parts, drawn, strict=True) if n]
    graph = two_cars(*sets, fits=fits, makes=["FORD", "DODGE", "AUDI", "BMW"] * 3, owners=(5,) * 12)
    result = train(graph, MODEL, TrainingOptions(seed=seed))
    popularity = best_of(result.history, POPULARITY)
    best = result.history[result.checkpoint.best_epoch]
    assert present(best.validation_loss) > present(popularity.validation_loss) * 0.99, "noise is not learned"
    for of_car in chances(graph, result.checkpoint).values():
        shown = np.array([of_car[part] for part in parts])
        assert np.corrcoef(shown, share)[0, 1] > 0.9
    assert torch.isfinite(result.checkpoint.state["levels.product.weight"]).all()
