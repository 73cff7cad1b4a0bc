"""How much a run had seen of each car: the visits that its class had before the cutoff.

A class is the cars of one make and model that the same parts fit. They share whatever is known of them, so that
what tells a rich car from a poor one is the traffic of its class.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CAR = ("year", "make", "model")
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
    cars = car_names(fitment).dictionary_encode()
    names, car = cars.dictionary, cars.indices.to_numpy(zero_copy_only=False)
    part = fitment["base_sku"].cast(pa.string()).combine_chunks().dictionary_encode()
    # A sum of random numbers, modulo 2^128, stands for a set of parts: two sets share one by no chance.
    marks = np.random.default_rng(0).integers(0, 2**64, (len(part.dictionary), 2), dtype=np.uint64)
    prints = np.zeros((len(names), 2), np.uint64)
    np.add.at(prints, car, marks[part.indices.to_numpy(zero_copy_only=False)])
    _, first = np.unique(car, return_index=True)
    rows = fitment.select(list(CAR)).take(pa.array(first))
    model = pc.binary_join_element_wise(
        *(rows[name].cast(pa.string()).combine_chunks() for name in CAR[1:]), "\x1f"
    ).dictionary_encode()
    key = np.column_stack([model.indices.to_numpy(zero_copy_only=False).astype(np.uint64), prints])
    _, of_class = np.unique(key, axis=0, return_inverse=True)
    of_class = of_class.reshape(-1)

    place = pc.fill_null(pc.index_in(car_names(visitor_demand), value_set=names), -1).to_numpy()
    weight = pc.fill_null(visitor_demand["weight"], 0.0).to_numpy()
    known = place >= 0
    visits = np.bincount(of_class[place[known]], weight[known], int(of_class.max(initial=-1)) + 1)
    return rows.append_column("visits", pa.array(visits[of_class]))


def slice_of(visits: np.ndarray) -> np.ndarray:
    """Position in :data:`NAMES` of each number of visits; −1 where it is NaN, for a car that no part fits."""
    return np.where(np.isnan(visits), -1, np.searchsorted(BOUNDS, visits, side="right") - 1)
