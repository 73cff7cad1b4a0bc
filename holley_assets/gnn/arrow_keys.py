"""Columns of Arrow tables as arrays and tensors, and keys as positions in a vocabulary."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Float32, Float64, Int64, Integer, Num, Shaped
from torch import Tensor

# Separates the parts of a composite key; no make, model or SKU holds the ASCII unit separator.
SEPARATOR = "\x1f"


def stacked(*columns: Num[np.ndarray, "rows"]) -> Float32[Tensor, "rows columns"]:
    """Columns side by side."""
    return torch.from_numpy(np.stack([np.asarray(column, np.float32) for column in columns], axis=1))


def integers(values: Integer[np.ndarray, "*shape"]) -> Int64[Tensor, "*shape"]:
    """``values`` as an int64 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.int64))


def to_numpy(column: pa.ChunkedArray) -> Shaped[np.ndarray, "rows"]:
    """``column`` as an array; nulls of a number are NaN."""
    values: np.ndarray = column.to_numpy(zero_copy_only=False)
    return values


def _plain(column: pa.ChunkedArray | pa.Array) -> pa.Array:
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    return array.cast(pa.string())


def vocabulary(column: pa.ChunkedArray) -> list[str]:
    """Distinct values in order; a missing value is the empty string."""
    return sorted(pc.unique(pc.fill_null(_plain(column), "")).to_pylist())


def index_of(
    column: pa.ChunkedArray | pa.Array, vocabulary: pa.ChunkedArray | pa.Array
) -> Int64[np.ndarray, "rows"]:
    """Position of each value in ``vocabulary``, −1 where it is not there."""
    values = pc.fill_null(_plain(column), "")
    found = pc.index_in(values, value_set=_plain(vocabulary))
    position: np.ndarray = pc.fill_null(found, -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return position


def known_index(
    column: pa.ChunkedArray | pa.Array, vocabulary: pa.ChunkedArray | pa.Array, table: str
) -> Int64[np.ndarray, "rows"]:
    """Like :func:`index_of`, for keys that must be nodes."""
    index = index_of(column, vocabulary)
    if (index < 0).any():
        unknown = _plain(column).filter(pa.array(index < 0)).unique()
        examples = [str(key).replace(SEPARATOR, " ") for key in unknown[:3].to_pylist()]
        raise ValueError(f"{table} names {len(unknown)} keys that are no node, such as {', '.join(examples)}")
    return index


def joined_key(table: pa.Table, *columns: str) -> pa.Array:
    """One string a row: ``columns`` joined by :data:`SEPARATOR`."""
    return pc.binary_join_element_wise(*[_plain(table[column]) for column in columns], SEPARATOR)


def days_before(end: datetime.date, dates: pa.ChunkedArray) -> Float64[np.ndarray, "rows"]:
    """Days from each date to ``end``."""
    return np.asarray(np.datetime64(end, "D") - to_numpy(dates).astype("datetime64[D]"), np.float64)
