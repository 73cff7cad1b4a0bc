"""What the report shows beyond the metrics: training, graph, neighbours, the run before. All from tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Float32

from holley_assets.evaluation.car_traffic import class_visits
from holley_assets.evaluation.embedding_views import embedding_map, nearest
from holley_assets.evaluation.graph_summary import degree_distribution
from holley_assets.evaluation.labels import labelled_users
from holley_assets.evaluation.systems import BASELINE
from holley_assets.evaluation.training_summary import summarise_training
from holley_assets.evaluation.vectors import vector_matrix, vectors_of_view
from holley_assets.terms import CAR

# Best-selling parts whose neighbours a person can judge at a glance.
NEIGHBOUR_EXAMPLES = 8


def training_section(trained_checkpoint: pa.Table) -> dict[str, Any]:
    """Training curves and what they say, from the one row of ``trained_checkpoint``."""
    row = trained_checkpoint.to_pylist()[0]
    return summarise_training(row["history"], best_epoch=row["best_epoch"])


def graph_section(
    statistics: Mapping[str, Any], interacts_edges: pa.Table, fits_edges: pa.Table
) -> dict[str, Any]:
    """Nodes, edges, density and degrees of the training graph.

    Args:
        statistics: ``nodes``, ``edges`` and ``density`` by type.
        interacts_edges: rows with a weight are in the training graph.
        fits_edges: make, model, base_sku.
    """
    interactions = interacts_edges.filter(pc.is_valid(interacts_edges["weight"]))
    return {
        **{name: statistics[name] for name in ("nodes", "edges", "density") if name in statistics},
        "degrees": {
            "parts a user met": degree_distribution(interactions, ["email_lower"]),
            "users that met a part": degree_distribution(interactions, ["base_sku"]),
            "parts that fit a vehicle": degree_distribution(fits_edges, ["make", "model"]),
            "vehicles that a part fits": degree_distribution(fits_edges, ["base_sku"]),
        },
    }


def training_vectors(
    product_embeddings: pa.Table, product_nodes: pa.Table
) -> tuple[pa.Table, Float32[np.ndarray, "products dimension"]]:
    """Product rows and their vectors of the training view, in the same order."""
    rows = vectors_of_view(product_embeddings, "training")
    places = pc.index_in(product_nodes["base_sku"], value_set=rows["base_sku"].combine_chunks())
    return product_nodes, vector_matrix(rows)[places.to_numpy()]


def nearest_section(
    products: pa.Table, vectors: Float[np.ndarray, "products dimension"]
) -> dict[str, list[dict[str, Any]]]:
    """The nearest parts of a few best-selling ones, named by base SKU and part type."""
    types = products["part_type"].to_pylist()
    names = [
        f"{base_sku} ({part_type or 'no type'})"
        for base_sku, part_type in zip(products["base_sku"].to_pylist(), types, strict=True)
    ]
    sales = products["log_popularity"].to_numpy()
    best = np.argsort(-sales, kind="stable")[:NEIGHBOUR_EXAMPLES]
    return {"best-selling parts": nearest(vectors, names, [names[row] for row in best])}


def nearest_vehicles(
    user_nodes: pa.Table, user_profiles: pa.Table, user_embeddings: pa.Table
) -> list[dict[str, Any]]:
    """The nearest makes and models of those with the most owners; a vehicle is the mean of its owners' vectors."""
    rows = vectors_of_view(user_embeddings, "training")
    vectors = vector_matrix(rows)
    row_of_profile = np.zeros(len(vectors), np.int64)
    row_of_profile[rows["profile"].to_numpy()] = np.arange(len(vectors))
    make, model = (user_nodes[name].cast(pa.string()).combine_chunks() for name in ("make", "model"))
    vehicles = pc.binary_join_element_wise(make, model, " ").dictionary_encode()
    names, vehicle = vehicles.dictionary.to_pylist(), vehicles.indices.to_numpy()
    owners = np.bincount(vehicle, minlength=len(names))
    means = np.zeros((len(names), vectors.shape[1]))
    # All owners of a car without history share one profile: each pair is added once, as often as it occurs.
    pairs, counts = np.unique(
        np.stack([vehicle, user_profiles["profile"].to_numpy()]), axis=1, return_counts=True
    )
    np.add.at(means, pairs[0], counts[:, None] * vectors[row_of_profile[pairs[1]]])
    most = np.argsort(-owners, kind="stable")[:NEIGHBOUR_EXAMPLES]
    return nearest(means / owners[:, None], names, [names[row] for row in most])


def embedding_points(products: pa.Table, vectors: Float[np.ndarray, "products dimension"]) -> pa.Table:
    """Parts in the plane, coloured by part type."""
    return embedding_map(vectors, products["part_type"].to_pylist())


def visits_of_test_users(
    user_nodes: pa.Table, labels: pa.Table, fitment: pa.Table, visitor_demand: pa.Table
) -> pa.Table:
    """email_lower and ``visits``, those of the class of the user's car before the cutoff; null without parts."""
    # Plain types: dictionaries of two tables cannot be joined.
    car = [("year", pa.int64()), ("make", pa.string()), ("model", pa.string())]
    users = labelled_users(user_nodes.select(["email_lower", *CAR]), labels)
    users = users.cast(pa.schema([users.schema.field("email_lower"), *car]))
    visits = class_visits(fitment, visitor_demand).cast(pa.schema([*car, ("visits", pa.float64())]))
    return users.join(visits, list(CAR), join_type="left outer").select(["email_lower", "visits"])


def no_worse(run_comparison: pa.Table) -> bool:
    """Whether the run kept every limit that a promotion asks for."""
    judged = run_comparison.filter(pc.equal(run_comparison["kind"], "worse"))
    return bool(pc.all(pc.fill_null(judged["kept"], True)).as_py() is not False)


def previous_run_section(run_comparison: pa.Table) -> dict[str, Any]:
    """Every measure against the run before; ``run_id`` is None where there was none."""
    rows = run_comparison.to_pylist()
    run_id = rows[0]["previous_run"] if rows else None
    return {
        "run_id": run_id,
        "no_worse": no_worse(run_comparison),
        "measures": [{name: row[name] for name in row if name != "previous_run"} for row in rows],
    }


def headline_numbers(report: Mapping[str, Any]) -> dict[str, float]:
    """Hit Rate@4 of what is delivered and of the SQL pipeline, and the lift by tier, for plots over time. What is null
    is left out."""
    numbers: dict[str, float | None] = {}
    for scope, comparison in report["comparison"].items():
        for system in (report["delivered_system"], BASELINE):
            numbers[f"{scope}_hit_rate_at_4_{system}"] = report["metrics"][system][scope]["hit_rate@4"]
        numbers[f"{scope}_hit_rate_at_4_lift"] = comparison["hit_rate@4_delta"]
    return {name: value for name, value in numbers.items() if value is not None and math.isfinite(value)}


def metrics_by_name(report: Mapping[str, Any]) -> dict[str, float]:
    """Every number in the metrics and the comparison, by name; intervals end in low and high.

    What stands before the slash is the system, or ``comparison``: MLflow draws each of these as a group of charts.
    """
    flat: dict[str, float] = {}

    def add(name: str, value: object) -> None:
        if isinstance(value, Mapping):
            for key, item in value.items():
                add(f"{name}.{key}", item)
        elif isinstance(value, list):
            for key, item in zip(("low", "high"), value, strict=True):
                add(f"{name}.{key}", item)
        elif isinstance(value, (int, float)):
            flat[name.replace(".", "/", 1)] = float(value)

    for system, table in report["metrics"].items():
        add(system, table)
    add("comparison", report["comparison"])
    return flat
