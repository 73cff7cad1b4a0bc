"""Similar parts by answers that were worked out by hand."""

from __future__ import annotations

import datetime
import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from holley_assets.ranking import similar_parts
from holley_assets.ranking.similar_parts import (
    SCHEMA,
    eligible_parts,
    find_similar_parts,
    nearest_targets,
    pair_vectors,
)

MOMENT = datetime.datetime(2026, 2, 1, tzinfo=datetime.UTC)
Fits = Sequence[tuple[str, int, str]]


def catalogue(**types: str | None) -> pa.Table:
    """One eligible variant of each part."""
    return pa.table(
        {
            "sku": list(types),
            "base_sku": list(types),
            "part_type": pa.array(types.values(), pa.string()),
            "serving_orders": [0] * len(types),
            "serving_ineligible_reason": pa.nulls(len(types), pa.string()),
        }
    )


def fitment(*fits: tuple[str, int, str], hidden: Fits = ()) -> pa.Table:
    """Part, year and model, of a Ford unless a make stands before it; no variant of what is hidden may be shown."""
    rows = [*fits, *hidden]
    cars = [model.split() for *_, model in rows]
    return pa.table(
        {
            "year": [year for _, year, _ in rows],
            "make": [car[0] if car[1:] else "FORD" for car in cars],
            "model": [car[-1] for car in cars],
            "base_sku": [part for part, *_ in rows],
            "serving_sku": pa.array([part for part, *_ in fits] + [None] * len(hidden), pa.string()),
        }
    )


def ordered(*pairs: tuple[str, str, int, float]) -> pa.Table:
    first, other, buyers, weight = zip(*pairs, strict=True) if pairs else ((), (), (), ())
    return pa.table(
        {
            "base_sku": pa.array(first, pa.string()),
            "other_base_sku": pa.array(other, pa.string()),
            "serving_buyers": pa.array(buyers, pa.int64()),
            "serving_weight": pa.array(weight, pa.float64()),
        }
    )


def find(
    parts: pa.Table,
    fits: pa.Table,
    pairs: pa.Table | None = None,
    vectors: dict[str, tuple[float, float]] | None = None,
    maximum: int = 20,
) -> pa.Table:
    vectors = vectors if vectors is not None else dict.fromkeys(parts["base_sku"].to_pylist(), (1.0, 0.0))
    return find_similar_parts(
        np.array(list(vectors.values()), np.float32).reshape(-1, 2),
        pa.array(vectors, pa.string()),
        ordered() if pairs is None else pairs,
        fitment=fits,
        parts=parts,
        maximum=maximum,
        pair_dimensions=16,
        generated_at=MOMENT,
        model_version="m1",
    )


def ln(share: float) -> float:
    return round(math.log(share), 6)


def rows(table: pa.Table) -> list[tuple[object, ...]]:
    return [
        (row["base_sku"], row["relation"], row["rank"], row["other_base_sku"], round(row["score"], 6))
        for row in table.to_pylist()
    ]


def test_an_alternative_has_the_type_shares_a_car_and_is_near() -> None:
    """D is of another type, E fits another car, F fits the car in no variant that may be shown."""
    parts = catalogue(
        A="Carburetor", B="Carburetor", C="Carburetor", D="Intake", E="Carburetor", F="Carburetor"
    )
    fits = fitment(
        *((part, 1967, "GT") for part in "ABCD"),
        ("A", 1968, "GT"),
        ("C", 1968, "GT"),
        ("C", 1969, "GT"),
        ("E", 1968, "FALCON"),
        ("F", 1968, "FALCON"),
        hidden=[("F", 1967, "GT")],
    )
    vectors = {"C": (0.6, 0.8), "B": (0.8, 0.6), "A": (1.0, 0.0), "D": (1.0, 0.0), "E": (1.0, 0.0)}
    table = find(parts, fits, vectors=vectors)
    assert rows(table) == [
        ("A", "alternative", 1, "B", 0.8),
        ("A", "alternative", 2, "C", 0.6),
        ("B", "alternative", 1, "C", 0.96),
        ("B", "alternative", 2, "A", 0.8),
        ("C", "alternative", 1, "B", 0.96),
        ("C", "alternative", 2, "A", 0.6),
    ]
    shared = {(row["base_sku"], row["other_base_sku"]): row["evidence"] for row in table.to_pylist()}
    assert shared["A", "B"] == {"buyers": 0, "shared_vehicles": 1}
    assert shared["A", "C"] == shared["C", "A"] == {"buyers": 0, "shared_vehicles": 2}


def test_what_goes_with_a_part_is_directed() -> None:
    """Planted: 5 buyers ordered the gasket set after the carburetor, 4 the pump after it, 1 the carburetor later.

    With more dimensions than parts a score is the logarithm of the pair's share, such as 3.5 of 5.5.
    """
    parts = catalogue(CARB="Carburetor", SET="Gasket Set", PUMP="Fuel Pump")
    fits = fitment(("CARB", 1967, "GT"), ("SET", 1967, "GT"), ("PUMP", 1967, "GT"))
    pairs = ordered(
        ("CARB", "PUMP", 4, 2.0), ("CARB", "SET", 5, 3.5), ("PUMP", "CARB", 1, 0.25), ("PUMP", "SET", 3, 1.5)
    )
    table = find(parts, fits, pairs)
    assert rows(table) == [
        ("CARB", "goes_with", 1, "SET", ln(3.5 / 5.5)),
        ("CARB", "goes_with", 2, "PUMP", ln(2.0 / 5.5)),
        ("PUMP", "goes_with", 1, "SET", ln(1.5 / 1.75)),
        ("PUMP", "goes_with", 2, "CARB", ln(0.25 / 1.75)),
    ]
    assert [row["evidence"]["buyers"] for row in table.to_pylist()] == [5, 4, 3, 1]


def test_a_pair_needs_a_shared_car_and_two_parts_that_may_be_shown() -> None:
    parts = catalogue(A="Carburetor", B="Intake", C="Pump")
    fits = fitment(("A", 1967, "GT"), ("A", 1967, "FALCON"), ("B", 1968, "GT"), ("C", 1967, "FALCON"))
    pairs = ordered(("A", "B", 9, 9.0), ("A", "C", 2, 1.0), ("A", "GONE", 9, 9.0), ("GONE", "A", 9, 9.0))
    table = find(parts, fits, pairs)
    # What may not be shown is learned from all the same: C is as likely as chance has it among all four parts.
    assert rows(table) == [("A", "goes_with", 1, "C", ln(1.0 / (1.0 + 3 * 9.0**0.75)))]
    assert table["evidence"].to_pylist() == [{"buyers": 2, "shared_vehicles": 1}]


def test_an_alternative_tells_how_many_bought_it_after_the_part() -> None:
    parts = catalogue(A="Carburetor", B="Carburetor")
    table = find(parts, fitment(("A", 1967, "GT"), ("B", 1967, "GT")), ordered(("B", "A", 3, 1.0)))
    assert [(row["base_sku"], row["relation"], row["evidence"]["buyers"]) for row in table.to_pylist()] == [
        ("A", "alternative", 0),
        ("B", "alternative", 3),
        ("B", "goes_with", 3),
    ]


def test_the_best_are_kept_and_ties_go_by_part_number() -> None:
    parts = catalogue(**dict.fromkeys("EDCBA", "Carburetor"))
    fits = fitment(*((part, 1967, "GT") for part in "ABCDE"))
    pairs = ordered(*(("A", part, 2, 1.0) for part in "EDCB"))
    found = rows(find(parts, fits, pairs, maximum=2))
    assert [row for row in found if row[0] == "A"] == [
        ("A", "alternative", 1, "B", 1.0),
        ("A", "alternative", 2, "C", 1.0),
        ("A", "goes_with", 1, "B", ln(0.25)),
        ("A", "goes_with", 2, "C", ln(0.25)),
    ]
    assert len(found) == 12


@pytest.mark.parametrize("part_type", [None, "UNKNOWN", "unknown"])
def test_parts_of_no_known_type_are_no_alternatives(part_type: str | None) -> None:
    parts = catalogue(A=part_type, B=part_type, C="Carburetor", D="Carburetor")
    found = find(parts, fitment(*((part, 1967, "GT") for part in "ABCD")))
    assert found["base_sku"].to_pylist() == ["C", "D"]


def test_a_part_without_a_vector_is_no_alternative() -> None:
    parts = catalogue(A="Carburetor", B="Carburetor")
    assert not find(parts, fitment(("A", 1967, "GT"), ("B", 1967, "GT")), vectors={"A": (1.0, 0.0)}).num_rows


def test_the_type_is_that_of_the_variant_that_sells_best_of_those_that_may_be_shown() -> None:
    parts = pa.table(
        {
            "sku": ["1R", "1B", "1", "1G", "2", "3"],
            "base_sku": ["1", "1", "1", "1", "2", "3"],
            "part_type": ["Intake", "Pump", "Carburetor", "Pump", "Intake", "Pump"],
            "serving_orders": [5, 9, 5, 4, 0, 7],
            "serving_ineligible_reason": [None, "refurbished", None, None, None, "no image"],
        }
    )
    base_skus, types = eligible_parts(parts)
    # 1 and 1R sell alike, and 1 comes first in the alphabet.
    assert base_skus.to_pylist() == ["1", "2"]
    assert types[0] != types[1]
    parts = parts.set_column(3, "serving_orders", pa.array([6, 9, 5, 4, 0, 7]))
    assert len(set(eligible_parts(parts)[1])) == 1


def test_without_anything_the_table_is_empty_and_has_its_columns() -> None:
    parts = catalogue(A="Carburetor")
    empty = fitment().slice(0, 0).cast(fitment(("A", 1967, "GT")).schema)
    for table in (find(parts, empty), find(parts.slice(0, 0), empty, vectors={})):
        assert table.schema == SCHEMA and table.num_rows == 0
    full = find(catalogue(A="C", B="C"), fitment(("A", 1967, "GT"), ("B", 1967, "GT")))
    assert full.schema == SCHEMA
    assert set(full["generated_at"].to_pylist()) == {MOMENT} and set(full["model_version"].to_pylist()) == {
        "m1"
    }


@pytest.mark.parametrize("block", [7, 1 << 18])
def test_every_pair_agrees_with_a_slow_count(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many pairs are multiplied at a time."""
    monkeypatch.setattr(similar_parts, "_BLOCK", block)
    random = np.random.default_rng(0)
    names = [f"P{number:02}" for number in range(30)]
    types = {name: ["Carburetor", "Intake", "UNKNOWN"][random.integers(3)] for name in names}
    every_car = [
        (year, f"{make} {model}")
        for year in (1967, 1968)
        for make in ("FORD", "GMC")
        for model in ("GT", "T")
    ]
    cars = {
        name: {every_car[car] for car in random.integers(0, len(every_car), random.integers(0, 4))}
        for name in names
    }
    # Of other finishes of one part too, and of a part that may not be shown.
    bought = {(names[i], names[j]): int(random.integers(1, 9)) for i, j in random.integers(0, 30, (90, 2))}
    bought |= {(name, other): 9 for name in names[:5] for other in (name, "GONE")}
    assert any(cars[name] for name in names[:5])
    vectors = random.standard_normal((30, 2))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fits = fitment(*((name, *car) for name in names for car in sorted(cars[name])))
    table = find(
        catalogue(**types),
        fits,
        ordered(*((*pair, buyers, float(buyers)) for pair, buyers in bought.items())),
        vectors=dict(zip(names, map(tuple, vectors), strict=True)),
        maximum=30,
    )
    of_bought = table.filter(pc.equal(table["relation"], "goes_with")).to_pylist()
    evidence = {(row["base_sku"], row["other_base_sku"]): row["evidence"] for row in of_bought}
    assert len(evidence) == len(of_bought) > 10
    assert evidence == {
        (one, other): {"buyers": buyers, "shared_vehicles": len(cars[one] & cars[other])}
        for (one, other), buyers in bought.items()
        if one != other != "GONE" and cars[one] & cars[other]
    }
    table = table.filter(pc.equal(table["relation"], "alternative"))
    expected = {
        (one, other): (len(cars[one] & cars[other]), vectors[i] @ vectors[j])
        for i, one in enumerate(names)
        for j, other in enumerate(names)
        if one != other and types[one] == types[other] != "UNKNOWN" and cars[one] & cars[other]
    }
    found = {(row["base_sku"], row["other_base_sku"]): row for row in table.to_pylist()}
    assert set(found) == set(expected) and len(found) == table.num_rows > 20
    for pair, (shared, cosine) in expected.items():
        assert found[pair]["evidence"] == {"buyers": bought.get(pair, 0), "shared_vehicles": shared}
        assert found[pair]["score"] == pytest.approx(cosine, abs=1e-6)


def test_vectors_of_pairs_give_the_scores_of_what_goes_with_a_part() -> None:
    """Both later parts are half of all: A is followed by C in 3 of 4 cases, and by D as often as by chance."""
    pairs = ordered(("A", "C", 3, 3.0), ("A", "D", 1, 1.0), ("B", "C", 1, 1.0), ("B", "D", 3, 3.0))
    vectors = pair_vectors(pairs, 16)
    assert vectors["base_sku"].to_pylist() == ["A", "B", "C", "D"]
    assert [vector is not None for vector in vectors["source"].to_pylist()] == [True, True, False, False]
    assert [vector is not None for vector in vectors["target"].to_pylist()] == [False, False, True, True]
    found = nearest_targets(vectors, "A", 5).to_pydict()
    assert found["base_sku"] == ["C", "D"]
    # With as many digits as the table has, so that the two agree.
    assert found["score"] == [round(math.log(share), 9) for share in (0.75, 0.5)]
    assert nearest_targets(vectors, "A", 1)["base_sku"].to_pylist() == ["C"]
    for without in ("C", "UNKNOWN"):
        assert nearest_targets(vectors, without, 5).num_rows == 0


def test_a_search_by_vectors_leaves_the_part_itself_out_and_ties_go_by_name() -> None:
    """A follows itself in other finishes; B and C follow it alike."""
    vectors = pair_vectors(ordered(("A", "C", 1, 2.0), ("A", "B", 1, 2.0), ("C", "A", 1, 9.0)), 16)
    assert nearest_targets(vectors, "A", 5)["base_sku"].to_pylist() == ["B", "C"]


def test_without_pairs_there_are_no_vectors() -> None:
    vectors = pair_vectors(ordered(), 16)
    assert vectors.num_rows == 0
    assert nearest_targets(vectors, "A", 5).num_rows == 0
