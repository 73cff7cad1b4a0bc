"""Codes, distinct numbers and hashes of strings, at their limits."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking.encoding import codes_in, distinct, hash_strings, integers


def test_a_string_hashes_alike_alone_and_among_others() -> None:
    texts = ["a", "ab", "ba", "", None]
    together = hash_strings(pa.array(texts))
    assert len(set(together.tolist())) == 4 and together[3] == together[4]
    assert [hash_strings(pa.array([text], pa.string()))[0] for text in texts] == together.tolist()
    assert hash_strings(pa.array(texts).slice(1, 2)).tolist() == together[1:3].tolist()
    assert len(hash_strings(pa.array([], pa.string()))) == 0


@pytest.mark.parametrize("limit", [5, 96, 97, 10**6])
def test_distinct_keys_by_flags_and_by_sorting(limit: int) -> None:
    assert distinct(np.array([4, 0, 4]), limit).tolist() == [0, 4]


def test_what_is_missing_has_no_code() -> None:
    assert codes_in(pa.array(["b", None, "x", "a"]), pa.array(["a", "b"])).tolist() == [1, -1, -1, 0]
    assert integers(pa.array([3, None], pa.int32()), -7).tolist() == [3, -7]
