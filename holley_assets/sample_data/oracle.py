"""The known truth of a sample, for evaluation alone: no step of the job may read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from holley_assets.sample_data import dirt
from holley_assets.sample_data.clicks import Clicks
from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.shop import Shop

ORACLE_FOLDER = "oracle"
SCORES_FILE = "scores.parquet"
USER_SCORES_FILE = "user_scores.parquet"


def oracle_scores(folder: Path) -> pa.Table:
    """The true ranking for users without a history: year, make, model, base_sku, score.

    ``score`` is the natural logarithm of the probability that an owner's click is for the part; the
    probabilities of one year, make and model sum to 1. Parts that the rules exclude have no row.
    """
    return pq.read_table(folder / ORACLE_FOLDER / SCORES_FILE)


def oracle_user_scores(folder: Path) -> pa.Table:
    """The true ranking for clickers with a history: email_lower, base_sku, score.

    They have tastes of their own. For these users the scores replace those of :func:`oracle_scores`.
    """
    return pq.read_table(folder / ORACLE_FOLDER / USER_SCORES_FILE)


def scores_table(shop: Shop, demand: Demand) -> pa.Table:
    """Log-probabilities of all choices that clicks may make."""
    fits, vehicles = demand.fits, shop.vehicles
    entry = np.flatnonzero(demand.probability > 0.0)
    vehicle = fits.vehicle[entry]
    model = vehicles.vehicle_model[vehicle]
    return pa.table(
        {
            "year": pa.array(vehicles.vehicle_year[vehicle].astype(np.int64)),
            "make": dirt.take(pa.array(vehicles.makes), model),
            "model": dirt.take(pa.array(vehicles.models), model),
            "base_sku": dirt.take(pa.array(shop.catalogue.base_skus), fits.part[entry]),
            "score": pa.array(np.log(demand.probability[entry])),
        }
    )


def user_scores_table(shop: Shop, demand: Demand, clicks: Clicks) -> pa.Table:
    """Log-probabilities for the clickers with tastes of their own."""
    users = shop.users
    people = np.unique(clicks.user)
    people = people[users.taste_row[people] >= 0]
    person, entry, probability = demand.personal_probabilities(
        users.vehicle[people], users.tastes[users.taste_row[people]]
    )
    kept = probability > 0.0
    return pa.table(
        {
            "email_lower": dirt.take(users.emails, people[person[kept]]),
            "base_sku": dirt.take(pa.array(shop.catalogue.base_skus), demand.fits.part[entry[kept]]),
            "score": pa.array(np.log(probability[kept])),
        }
    )
