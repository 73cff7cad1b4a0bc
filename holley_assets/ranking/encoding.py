"""Strings to integers: sorted dictionaries, look-ups and a hash, all without a loop over values."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int64, UInt64

Column: TypeAlias = pa.Array | pa.ChunkedArray


def encode(column: Column) -> tuple[Int64[np.ndarray, "rows"], pa.StringArray]:
    """Codes of a string column, and the sorted distinct values they point into.

    Values are sorted by their UTF-8 bytes, so that comparing codes is comparing strings. Null is code −1.

    Args:
        column: strings, plain or dictionary-encoded.

    Returns:
        codes, and the distinct values in use.
    """
    indices, dictionary = _dictionary(column)
    used = np.flatnonzero(np.bincount(indices[indices >= 0], minlength=len(dictionary)))
    values = pc.unique(dictionary.take(pa.array(used))).drop_null()
    values = values.take(pc.sort_indices(values))
    return _look_up(indices, dictionary, values), values


def codes_in(column: Column, values: pa.StringArray) -> Int64[np.ndarray, "rows"]:
    """Position of each string of ``column`` in ``values``; −1 where it is null or not among them."""
    indices, dictionary = _dictionary(column)
    return _look_up(indices, dictionary, values)


def hash_strings(values: Column) -> UInt64[np.ndarray, "rows"]:
    """A 64-bit hash of each string that depends on its bytes alone; null hashes like the empty string.

    The sum of one mixed word for each (byte, position), mixed again: every word is independent of the
    others, so that all strings are hashed in one pass over the buffer.
    """
    array = pc.fill_null(_flat(values).cast(pa.string()), "")
    count = len(array)
    if count == 0:
        return np.empty(0, np.uint64)
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32)[array.offset : array.offset + count + 1].astype(np.int64)
    data = np.frombuffer(data_buffer, np.uint8) if data_buffer is not None else np.empty(0, np.uint8)
    data = data[offsets[0] : offsets[-1]]
    offsets = offsets - offsets[0]
    lengths = np.diff(offsets)
    positions = np.arange(len(data), dtype=np.int64) - np.repeat(offsets[:-1], lengths)
    words = mix(data.astype(np.uint64) + np.uint64(256) * (positions + 1).astype(np.uint64))
    # Unsigned sums wrap around, so that differences of the running sum stay right.
    running = np.concatenate([np.zeros(1, np.uint64), np.cumsum(words, dtype=np.uint64)])
    return mix(running[offsets[1:]] - running[offsets[:-1]] + lengths.astype(np.uint64))


def mix(words: UInt64[np.ndarray, "*shape"]) -> UInt64[np.ndarray, "*shape"]:
    """SplitMix64's output function (Steele, Lea, Flood 2014): every input bit moves every output bit."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = words ^ (words >> np.uint64(31))
    return mixed


def distinct(keys: Int64[np.ndarray, "rows"], limit: int) -> Int64[np.ndarray, "keys"]:
    """Sorted distinct ``keys`` (from 0 up to, not including, ``limit``).

    Where a flag for each possible key takes no more memory than four copies of the keys, flags are several
    times faster than sorting or hashing millions of keys.
    """
    if limit > 32 * len(keys):
        return np.unique(keys)
    present = np.zeros(limit, bool)
    present[keys] = True
    return np.flatnonzero(present)


def integers(column: Column, missing: int) -> Int64[np.ndarray, "rows"]:
    """An integer column as int64, ``missing`` where it is null."""
    values = pc.fill_null(_flat(column).cast(pa.int64()), missing)
    return np.asarray(values.to_numpy(zero_copy_only=False), dtype=np.int64)


def _flat(column: Column) -> pa.Array:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _dictionary(column: Column) -> tuple[Int64[np.ndarray, "rows"], pa.StringArray]:
    array = _flat(column)
    if not pa.types.is_dictionary(array.type):
        array = array.cast(pa.string()).dictionary_encode()
    indices = pc.fill_null(array.indices.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    return indices, array.dictionary.cast(pa.string())


def _look_up(
    indices: Int64[np.ndarray, "rows"], dictionary: pa.StringArray, values: pa.StringArray
) -> Int64[np.ndarray, "rows"]:
    places = pc.fill_null(pc.index_in(dictionary, value_set=values), -1).to_numpy(zero_copy_only=False)
    # One more entry at the end: index −1, a null, finds −1 there.
    places = np.append(places.astype(np.int64), -1)
    return np.asarray(places[indices], dtype=np.int64)
