from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.ranking import RankingError, build_candidates
from holley_assets.ranking.encoding import codes_in, distinct, encode, hash_strings

FITMENT = {
    "year": [2018, 1967, 1967, 1967],
    "make": ["FORD", "FORD", "FORD", "BUICK"],
    "model": ["GT", "GT", "GT", "GT"],
    "base_sku": ["B", "B", "A", "A"],
    "sku": ["B", None, "A", "A"],
    "serving_sku": ["B", "BG", "A", None],
}
PARTS = pa.table({"sku": ["A", "B", "BG"], "part_type": ["HOOD", None, "HOOD"]})


def build(view: Any = "training", *, apply_rules: bool = True, **columns: list[Any]) -> Any:
    return build_candidates(pa.table({**FITMENT, **columns}), PARTS, view=view, apply_rules=apply_rules)


def contents(candidates: Any) -> dict[tuple[str, str, int], list[tuple[str, str | None]]]:
    result = {}
    for vehicle, key in enumerate(candidates.vehicle_keys.tolist()):
        segment, year = divmod(key, 10_000)
        make, model = divmod(int(candidates.segment_keys[segment]), len(candidates.models))
        rows = np.arange(candidates.row_offsets[vehicle], candidates.row_offsets[vehicle + 1])
        result[candidates.makes[make].as_py(), candidates.models[model].as_py(), year] = list(
            zip(candidates.base_skus(rows).to_pylist(), candidates.variants(rows).to_pylist(), strict=True)
        )
    return result


def test_eligible_variants_of_each_view_by_vehicle() -> None:
    assert contents(build("training")) == {
        ("BUICK", "GT", 1967): [("A", "A")],
        ("FORD", "GT", 1967): [("A", "A")],
        ("FORD", "GT", 2018): [("B", "B")],
    }
    assert contents(build("serving")) == {
        ("BUICK", "GT", 1967): [],
        ("FORD", "GT", 1967): [("A", "A"), ("B", "BG")],
        ("FORD", "GT", 2018): [("B", "B")],
    }
    assert contents(build("serving", apply_rules=False))["BUICK", "GT", 1967] == [("A", None)]


def test_dictionary_encoded_and_chunked_columns_are_read_alike() -> None:
    plain = pa.table(FITMENT)
    encoded = pa.concat_tables([plain.slice(0, 1), plain.slice(1)])
    for place, field in enumerate(encoded.schema):
        if field.type == pa.string():
            encoded = encoded.set_column(place, field.name, encoded[field.name].dictionary_encode())
    expected = build_candidates(plain, PARTS, view="serving", apply_rules=True)
    assert contents(build_candidates(encoded, PARTS, view="serving", apply_rules=True)) == contents(expected)


def test_vehicles_are_found_by_year_make_and_model() -> None:
    candidates = build()
    found = candidates.find_vehicles(
        pa.array([1967, 2018, 2018, None, 1967, -1]),
        pa.array(["FORD", "FORD", "BUICK", "FORD", None, "FORD"]),
        pa.array(["GT", "GT", "GT", "GT", "GT", "GT"]),
    )
    assert found.tolist() == [1, 2, -1, -1, -1, -1]


@pytest.mark.parametrize(
    ("columns", "problem"),
    [
        ({"year": [1967, 1967, 1967, 1967]}, "1 rows repeat a year, make, model and base SKU, among them B"),
        ({"make": ["FORD", "FORD", None, "BUICK"]}, "year, make and model must not be null"),
        ({"year": [2018, 1967, None, 1967]}, "year, make and model must not be null"),
        ({"year": [2018, 1967, 19670, 1967]}, "years must have four digits"),
        ({"base_sku": ["B", "B", None, "A"]}, "base_sku must not be null"),
        ({"serving_sku": ["B", "X", "A", "Y"]}, "2 variants are not among the parts, such as X, Y"),
    ],
)
def test_a_broken_fitment_table_is_refused(columns: dict[str, list[Any]], problem: str) -> None:
    with pytest.raises(RankingError, match=problem):
        build("serving", apply_rules=True, **columns)


def test_no_fitment_at_all() -> None:
    empty = pa.table(FITMENT).slice(0, 0)
    candidates = build_candidates(empty, PARTS, view="training", apply_rules=True)
    assert candidates.find_vehicles(pa.array([1967]), pa.array(["FORD"]), pa.array(["GT"])).tolist() == [-1]


def test_codes_compare_like_the_bytes_of_the_strings() -> None:
    values = ["é", "Z", "a", None, "10", "9", "Ω", "a"]
    codes, distinct_values = encode(pa.array(values))
    assert distinct_values.to_pylist() == sorted({value for value in values if value}, key=str.encode)
    assert [distinct_values[code].as_py() if code >= 0 else None for code in codes.tolist()] == values


def test_unused_and_repeated_dictionary_entries_make_no_codes() -> None:
    column = pa.DictionaryArray.from_arrays(pa.array([2, 0, None]), pa.array(["b", "unused", "b"]))
    codes, values = encode(column)
    assert (codes.tolist(), values.to_pylist()) == ([0, 0, -1], ["b"])
    assert codes_in(column, pa.array(["a", "b"])).tolist() == [1, 1, -1]


def test_distinct_keys_by_flags_and_by_sorting() -> None:
    keys = np.array([5, 0, 5, 2])
    assert distinct(keys, 6).tolist() == distinct(keys, 10**12).tolist() == [0, 2, 5]


def test_hashes_depend_on_the_string_alone() -> None:
    values = ["", "a", "aa", "ab", "ba", "b", "é"]
    hashes = hash_strings(pa.array(values))
    assert len(set(hashes.tolist())) == len(values)
    assert hash_strings(pa.array(["x", *values]).slice(3, 2)).tolist() == hashes[2:4].tolist()
    assert hash_strings(pa.chunked_array([["b"], ["", None]])).tolist() == [hashes[5], hashes[0], hashes[0]]
    assert len(hash_strings(pa.array([], pa.string()))) == 0
    many = hash_strings(pa.array([str(number) for number in range(50_000)]))
    assert len(np.unique(many)) == 50_000
    # Each bit is set in half of the hashes: 50,000 draws keep within 1 % (4.5 standard deviations).
    bits = np.unpackbits(many.view(np.uint8)).reshape(-1, 64).mean(axis=0)
    assert np.abs(bits - 0.5).max() < 0.01
