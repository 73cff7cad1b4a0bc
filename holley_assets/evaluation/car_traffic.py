"""How much a run had seen of each car: the visits that its class had before the cutoff.

A class is the cars of one make and model that the same parts fit. They share whatever is known of them, so that
what tells a rich car from a poor one is the traffic of its class.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int64

from holley_assets.terms import CAR

# More than the last year that a car may be of.
YEARS = 10_000
# Lower bounds of the slices, in visits. Below one, a car is as good as never seen.
BOUNDS = (0.0, 1.0, 3.0, 6.0, 12.0, 25.0, 100.0)
NAMES = ("below 1", "1–3", "3–6", "6–12", "12–25", "25–100", "100 and more")


def car_names(table: pa.Table) -> pa.Array:
    """Year, make and model as one string."""
    columns = [table[name].cast(pa.string()).combine_chunks() for name in CAR]
    return pc.binary_join_element_wise(*columns, "\x1f")


def class_visits(fitment: pa.Table, visitor_demand: pa.Table) -> pa.Table:
    """One row a car that parts fit: year, make, model and ``visits``, those of its class.

    A visit is one visitor's interest in one part. Whose car is not known counts for each car with the
    probability that it is this one, so that visits are no whole numbers.

    Args:
        fitment: year, make, model, base_sku.
        visitor_demand: year, make, model, base_sku, weight; null where the visit came after the cutoff.
    """
    known = {name: pc.unique(fitment[name].cast(pa.string())) for name in ("make", "model", "base_sku")}
    model_of, part = _models(fitment, known), _codes(fitment["base_sku"], known["base_sku"])
    keys, first, car = np.unique(
        model_of * YEARS + fitment["year"].to_numpy(), return_index=True, return_inverse=True
    )
    # A sum of random numbers, modulo 2^128, stands for a set of parts: two sets share one by no chance.
    marks = np.random.default_rng(0).integers(0, 2**64, (len(known["base_sku"]), 2), dtype=np.uint64)
    key = np.zeros((len(keys), 3), np.uint64)
    key[:, 0] = model_of[first]
    np.add.at(key[:, 1], car, marks[part, 0])
    np.add.at(key[:, 2], car, marks[part, 1])
    _, of_class = np.unique(key, axis=0, return_inverse=True)
    of_class = of_class.reshape(-1)

    wanted = _models(visitor_demand, known)
    wanted = np.where(wanted >= 0, wanted * YEARS + visitor_demand["year"].to_numpy(), -1)
    place = np.searchsorted(keys, wanted)
    found = np.append(keys, -2)[place] == wanted
    weight = pc.fill_null(visitor_demand["weight"], 0.0).to_numpy()
    visits = np.bincount(of_class[place[found]], weight[found], int(of_class.max(initial=-1)) + 1)
    rows = fitment.select(list(CAR)).take(pa.array(first))
    return rows.append_column("visits", pa.array(visits[of_class]))


def _codes(values: pa.ChunkedArray, known: pa.Array) -> Int64[np.ndarray, "rows"]:
    """Position of each value in ``known``, −1 where it is not there."""
    position = pc.fill_null(pc.index_in(values.cast(pa.string()), value_set=known), -1)
    codes: np.ndarray = position.to_numpy().astype(np.int64)
    return codes


def _models(table: pa.Table, known: dict[str, pa.Array]) -> Int64[np.ndarray, "rows"]:
    """A number for each make and model, −1 where one of them is not known."""
    make, model = (_codes(table[name], known[name]) for name in ("make", "model"))
    return np.where((make >= 0) & (model >= 0), make * len(known["model"]) + model, -1)


def slice_of(visits: Float64[np.ndarray, "users"]) -> Int64[np.ndarray, "users"]:
    """Position in :data:`NAMES` of each number of visits; −1 where it is NaN, for a car that no part fits."""
    return np.where(np.isnan(visits), -1, np.searchsorted(BOUNDS, visits, side="right") - 1)
