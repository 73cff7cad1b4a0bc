"""Classes of cars: the years of one make and model that exactly the same parts fit.

Fitment cannot tell the cars of a class apart, so that they share one vector and one ranking.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int, Int64
from torch_geometric.data import HeteroData

from holley_assets.gnn.arrow_keys import SEPARATOR, index_of, integers

# Seed of the numbers whose sum names a list of parts.
_LIST_SEED = 0
_YEAR_SEPARATOR = " "


def add_classes(data: HeteroData, candidate_keys: pa.Array, vehicle_keys: pa.Array) -> None:
    """Group the rows of the candidate lists into classes.

    Adds ``class_of_row`` ``[num_rows]``, ``class_row`` ``[num_classes]`` (a row whose list is that of the class),
    ``class_vehicle`` ``[num_classes]`` and ``classes``, the keys: make, model and the years.

    Args:
        candidate_keys: year, make and model of each row, joined.
        vehicle_keys: make and model of each vehicle node, joined.
    """
    names = pc.split_pattern(candidate_keys, SEPARATOR, max_splits=1)
    year = pc.list_element(names, 0).cast(pa.int64()).to_numpy(zero_copy_only=False)
    vehicle = index_of(pc.list_element(names, 1), vehicle_keys)
    key = np.stack([vehicle, _list_codes(data.candidate_offsets.numpy(), data.candidate_products.numpy())])
    # Rows in order of their years, so that a class is known by its first one.
    by_year = np.lexsort((year, vehicle))
    _, first, inverse = np.unique(key[:, by_year], axis=1, return_index=True, return_inverse=True)
    rank = np.empty(len(first), np.int64)
    order = np.argsort(first)
    rank[order] = np.arange(len(first))
    class_of_row = np.empty(len(year), np.int64)
    class_of_row[by_year] = rank[inverse.reshape(-1)]
    row = by_year[first[order]]
    data.class_of_row = integers(class_of_row)
    data.class_row = integers(row)
    data.class_vehicle = integers(vehicle[row])
    data.classes = _class_keys(
        class_of_row[by_year], year[by_year], vehicle_keys.take(pa.array(vehicle[row]))
    )


def _list_codes(
    offsets: Int[np.ndarray, "starts"], products: Int[np.ndarray, "entries"]
) -> Int64[np.ndarray, "starts-1"]:
    """A number for each list, equal for equal lists; two others agree by chance once in 2^64."""
    numbers = np.random.default_rng(_LIST_SEED).integers(0, 2**63, int(products.max(initial=0)) + 1)
    with np.errstate(over="ignore"):
        total = np.concatenate([[0], np.cumsum(numbers[products])])
        return np.asarray(total[offsets[1:]] - total[offsets[:-1]])


def _class_keys(
    class_of_row: Int[np.ndarray, "cars"], year: Int[np.ndarray, "cars"], names: pa.Array
) -> list[str]:
    """Key of each class, ``make, model, years``; the rows are in order of vehicle and year."""
    order = np.argsort(class_of_row, kind="stable")
    start = np.flatnonzero(np.diff(class_of_row[order], prepend=-1))
    offsets = pa.array(np.append(start, len(order)).astype(np.int32))
    years = pa.ListArray.from_arrays(offsets, pa.array(year[order]).cast(pa.string()))
    joined = pc.binary_join_element_wise(names, pc.binary_join(years, _YEAR_SEPARATOR), SEPARATOR)
    keys: list[str] = joined.to_pylist()
    return keys


def cars_of(key: str) -> list[str]:
    """The cars of the class with this key, each as make, model and one year."""
    name, _, years = key.rpartition(SEPARATOR)
    return [f"{name}{SEPARATOR}{year}" for year in years.split(_YEAR_SEPARATOR)]
