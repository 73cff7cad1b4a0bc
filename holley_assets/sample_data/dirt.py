"""Ways in which real exports are dirty: padding, case, values in the wrong column, repeated rows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int


def spellings(values: pa.Array) -> pa.Array:
    """Each value as it should be, in the other cases and padded: an array of five times the length.

    The value i in spelling s stands at ``s · len(values) + i``; spelling 0 is the clean one.
    """
    return pa.concat_arrays(
        [
            values,
            pc.utf8_lower(values),
            pc.utf8_upper(values),
            pc.binary_join_element_wise("  ", values, " ", ""),
            pc.utf8_capitalize(pc.binary_join_element_wise(values, " ", "")),
        ]
    )


SPELLINGS = 5


def spell(
    random: np.random.Generator, codes: Int[np.ndarray, "rows"], size: int, share: float
) -> Int[np.ndarray, "rows"]:
    """Codes into ``spellings`` of ``size`` values, ``share`` of them not the clean ones."""
    dirty = random.random(len(codes)) < share
    spelled: np.ndarray = codes + size * np.where(dirty, random.integers(1, SPELLINGS, len(codes)), 0)
    return spelled


def repeated(random: np.random.Generator, count: int, share: float) -> Int[np.ndarray, "rows"]:
    """Row numbers in order, ``share`` of them twice."""
    return np.repeat(np.arange(count), 1 + (random.random(count) < share))


def take(values: pa.Array, codes: Int[np.ndarray, "rows"]) -> pa.Array:
    """Values at ``codes``; null where a code is negative."""
    return values.take(pa.array(codes, pa.int64(), mask=codes < 0))
