"""What the fits of a training know: nothing of the visitors who choose among them."""

import copy
import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import torch
from gnn.small_world import make_graph
from gnn.two_cars import two_cars_tables
from torch import Tensor
from torch_geometric.data import HeteroData

from holley_assets.gnn.fits import HELD_OUT, TRAINING
from holley_assets.gnn.graph_schema import LOG_VISITORS
from holley_assets.gnn.model import ModelOptions
from holley_assets.gnn.training import Training
from holley_assets.gnn.training_options import TrainingOptions

VISITORS = {"A": 400, "B": 100}


@pytest.fixture
def training() -> Training:
    tables = two_cars_tables(*(([sku], number) for sku, number in VISITORS.items()), owners=(30, 10))
    edges = pa.table(
        {
            "email_lower": tables.user_nodes["email_lower"],
            "base_sku": pa.array(["A", "B"] * 20),
            "weight": [1.0] * 40,
        }
    )
    # The customers are visitors too.
    counts = [VISITORS["A"] + 20, VISITORS["B"] + 20]
    nodes = tables.product_nodes.set_column(
        tables.product_nodes.column_names.index("log_visitors"), "log_visitors", pa.array(np.log1p(counts))
    )
    graph = make_graph(dataclasses.replace(tables, product_nodes=nodes, interacts_edges=edges)).data
    return Training(graph, ModelOptions(embedding_dim=8), TrainingOptions(validation_share=0.2))


def visitors(data: HeteroData) -> np.ndarray:
    counts: Tensor = data["product"].features[:, LOG_VISITORS].double().expm1()
    return counts.numpy()


def test_parts_are_as_popular_as_those_learned_from_make_them(training: Training) -> None:
    held_out = training.fits.asked[HELD_OUT].weight.sum().item()
    learned_from = training.fits.asked[TRAINING].weight.sum().item()
    assert held_out + learned_from == 540
    assert 60 < held_out < 160
    np.testing.assert_allclose(visitors(training.fits.data).sum(), learned_from, rtol=1e-5)
    np.testing.assert_allclose(visitors(training.data), [420, 120], rtol=1e-5)
    assert (visitors(training.fits.data) < visitors(training.data)).all(), "some of each part are held out"


def test_the_last_fit_knows_everybody(training: Training, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        "holley_assets.gnn.fits.fit_demand",
        lambda model, data, fitting, weights, *rest, **named: seen.append(
            (visitors(data).sum(), float(weights.sum()))
        ),
    )
    training.fits.fit("popularity", torch.inf, 1.0, infer_cars=False)
    training.fits.fit_everybody("popularity", torch.inf, 1.0, infer_cars=False)
    (some, demand_of_some), (all_of_them, demand_of_all) = seen
    assert some == pytest.approx(demand_of_some, rel=1e-5)
    assert demand_of_some < demand_of_all
    assert all_of_them == pytest.approx(540, rel=1e-5)
    assert demand_of_all == pytest.approx(540, rel=1e-5)


def test_a_part_without_a_count_of_visitors_has_none_left(training: Training) -> None:
    """The count and the sets are two tables: one may lag behind the other."""
    data = copy.copy(training.data)
    data["product"].features = torch.zeros_like(data["product"].features)
    fits = Training(data, ModelOptions(embedding_dim=8), TrainingOptions(validation_share=0.2)).fits
    assert (visitors(fits.data) == 0.0).all()
