"""The known truth of a sample, for evaluation alone: no step of the job may read it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Float64

from holley_assets.sample_data import dirt
from holley_assets.sample_data.clicks import Clicks
from holley_assets.sample_data.demand import Demand
from holley_assets.sample_data.fits import ranges
from holley_assets.sample_data.met_parts import MetParts
from holley_assets.sample_data.parameters import SampleParameters
from holley_assets.sample_data.people import COLD
from holley_assets.sample_data.shop import Shop

ORACLE_FOLDER = "oracle"
SCORES_FILE = "scores.parquet"
USER_SCORES_FILE = "user_scores.parquet"


def oracle_scores(folder: Path) -> pa.Table:
    """The true ranking for users without a history: year, make, model, base_sku, score.

    ``score`` is the natural logarithm of the probability that an owner's click is for the part, whatever the
    owner's own taste: the mean over all own tastes. The probabilities of one year, make and model sum to 1.
    Parts that the rules exclude have no row.
    """
    return pq.read_table(folder / ORACLE_FOLDER / SCORES_FILE)


def oracle_user_scores(folder: Path) -> pa.Table:
    """The true ranking for clickers with interactions in the window: email_lower, base_sku, score.

    ``score`` is the natural logarithm of the probability that the user's click is for the part, given the
    user's own taste and what the user met before the cutoff. For these users it replaces that of
    :func:`oracle_scores`. Probabilities sum to 1 over the parts that fit.
    """
    return pq.read_table(folder / ORACLE_FOLDER / USER_SCORES_FILE)


def true_chances(folder: Path, shown: pa.Table) -> Float64[np.ndarray, "rows"]:
    """The chance that a user's next click is for a part, 0 where it cannot be.

    Args:
        folder: of the sample.
        shown: email_lower, year, make, model and base_sku.
    """
    by_car, by_user = oracle_scores(folder), oracle_user_scores(folder)
    known = pc.is_in(shown["email_lower"], value_set=pc.unique(by_user["email_lower"]))
    of_car = _looked_up(by_car, shown, ("year", "make", "model", "base_sku"))
    of_user = _looked_up(by_user, shown, ("email_lower", "base_sku"))
    return np.where(known.to_numpy(), of_user, of_car)


def _looked_up(scores: pa.Table, rows: pa.Table, key: tuple[str, ...]) -> Float64[np.ndarray, "rows"]:
    def keys(table: pa.Table) -> pa.ChunkedArray:
        texts = [pc.cast(table[name], pa.string()) for name in key]
        return pc.binary_join_element_wise(*texts, "\x1f")

    place = pc.fill_null(pc.index_in(keys(rows), value_set=keys(scores)), -1).to_numpy()
    return np.where(place < 0, 0.0, np.exp(scores["score"].to_numpy())[place])


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


def user_scores_table(
    parameters: SampleParameters, shop: Shop, demand: Demand, clicks: Clicks, met: MetParts
) -> pa.Table:
    """Log-probabilities for the clickers who have interactions before the cutoff."""
    users = shop.users
    people = np.unique(clicks.user)
    people = people[users.tier[people] != COLD]
    person, entry, probability = demand.own_probabilities(users.vehicle[people], shop.own_taste(people))
    owner, meeting = ranges(met.start[people], met.start[people + 1])
    # Entries of one person are in order of the fits, from the first of the vehicle on.
    begin = np.searchsorted(person, np.arange(len(people)))
    position = begin[owner] + met.entry[meeting] - demand.fits.start[users.vehicle[people[owner]]]
    amount = met.amount(people)
    returning = np.bincount(position, 1.0 / amount[owner], len(person))
    share = np.where(amount > 0, parameters.return_share, 0.0)[person]
    probability = (1.0 - share) * probability + share * returning
    kept = probability > 0.0
    return pa.table(
        {
            "email_lower": dirt.take(users.emails, people[person[kept]]),
            "base_sku": dirt.take(pa.array(shop.catalogue.base_skus), demand.fits.part[entry[kept]]),
            "score": pa.array(np.log(probability[kept])),
        }
    )
