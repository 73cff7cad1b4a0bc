"""The ranker agrees, exactly, with a slow and obvious one on random small worlds."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holley_assets.ranking import (
    Candidates,
    EmbeddingScorer,
    PairScorer,
    RankingOptions,
    Scorer,
    build_candidates,
    rank_users,
)

VIEW_END = datetime.date(2026, 2, 1)
# Byte order differs from the order of numbers and of dictionaries.
BASE_SKUS = ["10-1", "9-1", "9-10", "A", "AB", "B-2", "Z", "a", "É", "Ω1", "C1", "C2", "C3", "C4"]
VARIANTS = ["", "G"]
VEHICLES = [
    (year, make, model) for year in (1967, 2018) for make in ("BUICK", "FORD") for model in ("GT", "X")
]
UNKNOWN_VEHICLES = [(1999, "FORD", "GT"), (1967, "TESLA", "GT"), (1967, "FORD", "T"), (None, None, None)]


@dataclass(frozen=True)
class TableScorer:
    """Scores from a dictionary, as a peer in a benchmark would bring them."""

    scores: dict[tuple[int, str], float]
    name: str = "table"
    profiles: Any = "given"

    def bind(self, candidates: Candidates) -> Any:
        products = np.array(candidates.product_ids.take(pa.array(candidates.pair_product)).to_pylist())

        def score(profiles: np.ndarray, pairs: slice) -> np.ndarray:
            return np.array(
                [
                    [self.scores[profile, product] for product in products[pairs]]
                    for profile in profiles.tolist()
                ]
            )

        return score


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    skus = [base + suffix for base in BASE_SKUS for suffix in VARIANTS]
    fits = draw(
        st.lists(st.tuples(st.sampled_from(VEHICLES), st.sampled_from(BASE_SKUS)), unique=True, max_size=50)
    )
    variant = st.sampled_from([None, *VARIANTS])
    users = draw(st.integers(0, 7))
    profile_scores = draw(
        st.lists(
            st.lists(
                st.sampled_from([-0.5, 0.0, 0.25, 1.0]), min_size=len(BASE_SKUS), max_size=len(BASE_SKUS)
            ),
            min_size=3,
            max_size=3,
        )
    )
    return {
        "fitment": [
            {
                "year": vehicle[0],
                "make": vehicle[1],
                "model": vehicle[2],
                "base_sku": base,
                **{
                    column: None if suffix is None else base + suffix
                    for column, suffix in (("sku", draw(variant)), ("serving_sku", draw(variant)))
                },
            }
            for vehicle, base in fits
        ],
        "part_type": dict(
            zip(
                skus,
                draw(
                    st.lists(st.sampled_from([None, "HOOD", "WHEEL"]), min_size=len(skus), max_size=len(skus))
                ),
                strict=True,
            )
        ),
        "users": [
            {
                "email_lower": f"{'zyxwvut'[user]}@example.com",
                "vehicle": draw(st.sampled_from(VEHICLES[:3] * 3 + VEHICLES + UNKNOWN_VEHICLES)),
                "profile": draw(st.integers(0, 2)),
            }
            for user in range(users)
        ],
        "purchases": draw(
            st.lists(
                st.tuples(
                    st.sampled_from(
                        [*(f"{letter}@example.com" for letter in "zyxwvut"), "stranger@example.com"]
                    ),
                    st.sampled_from([*BASE_SKUS, "NEVER-SEEN"]),
                    st.integers(-1, 4).map(lambda days: VIEW_END - datetime.timedelta(days=days)),
                ),
                max_size=30,
            )
        ),
        "scores": {
            (profile, base): score
            for profile, row in enumerate(profile_scores)
            for base, score in zip(BASE_SKUS, row, strict=True)
        },
        "view": draw(st.sampled_from(["training", "serving"])),
        "apply_rules": draw(st.booleans()),
        "options": RankingOptions(
            depth=draw(st.integers(1, 6)),
            maximum_per_part_type=draw(st.integers(1, 3)),
            purchase_exclusion_days=draw(st.integers(1, 3)),
        ),
    }


def reference(world: dict[str, Any]) -> list[dict[str, Any]]:
    """The rules as the contract states them, user by user and part by part."""
    options, variant_column = world["options"], "sku" if world["view"] == "training" else "serving_sku"
    rows = []
    for user in sorted(world["users"], key=lambda user: user["email_lower"]):
        ordered = {
            base
            for email, base, day in world["purchases"]
            if email == user["email_lower"]
            and VIEW_END - datetime.timedelta(days=options.purchase_exclusion_days) <= day < VIEW_END
        }
        parts = []
        for fit in world["fitment"]:
            if (fit["year"], fit["make"], fit["model"]) != user["vehicle"]:
                continue
            if world["apply_rules"] and (fit[variant_column] is None or fit["base_sku"] in ordered):
                continue
            parts.append((-world["scores"][user["profile"], fit["base_sku"]], fit["base_sku"].encode(), fit))
        shown_of_type: dict[str | None, int] = {}
        rank = 0
        for negative_score, _, fit in sorted(parts, key=lambda part: part[:2]):
            if world["apply_rules"]:
                part_type = world["part_type"][fit[variant_column]]
                if shown_of_type.get(part_type, 0) == options.maximum_per_part_type:
                    continue
                shown_of_type[part_type] = shown_of_type.get(part_type, 0) + 1
            rank += 1
            rows.append(
                {
                    "email_lower": user["email_lower"],
                    "system": "test",
                    "rank": rank,
                    "base_sku": fit["base_sku"],
                    "sku": fit[variant_column],
                    "score": -negative_score,
                }
            )
            if rank == options.depth:
                break
    return rows


def candidates_of(world: dict[str, Any], order: np.ndarray | None = None) -> Candidates:
    strings = pa.string()
    columns = {"year": pa.int64(), "make": strings, "model": strings, "base_sku": strings, "sku": strings}
    schema = pa.schema([*columns.items(), ("serving_sku", strings)])
    fitment = pa.Table.from_pylist(world["fitment"], schema=schema)
    if order is not None:
        fitment = fitment.take(pa.array(np.argsort(order[: fitment.num_rows])))
    parts = pa.table(
        {
            "sku": list(world["part_type"]),
            "part_type": pa.array(list(world["part_type"].values()), strings).dictionary_encode(),
        }
    )
    return build_candidates(fitment, parts, view=world["view"], apply_rules=world["apply_rules"])


def rank(
    world: dict[str, Any],
    scorer: Scorer,
    *,
    order: np.ndarray | None = None,
    own_profiles: bool = False,
    **arguments: Any,
) -> pa.Table:
    users = pa.table(
        {
            "email_lower": pa.array([user["email_lower"] for user in world["users"]], pa.string()),
            **{
                name: pa.array([user["vehicle"][place] for user in world["users"]], kind)
                for place, (name, kind) in enumerate(
                    [("year", pa.int64()), ("make", pa.string()), ("model", pa.string())]
                )
            },
            "profile": pa.array(
                [place if own_profiles else user["profile"] for place, user in enumerate(world["users"])],
                pa.int32(),
            ),
        }
    )
    emails, base_skus, days = zip(*world["purchases"], strict=True) if world["purchases"] else ((), (), ())
    purchases = pa.table(
        {
            "email_lower": pa.array(emails, pa.string()),
            "base_sku": pa.array(base_skus, pa.string()),
            "order_date": pa.array(days, pa.date32()),
        }
    )
    if order is not None:
        users = users.take(pa.array(np.argsort(order[: users.num_rows])))
        purchases = purchases.take(pa.array(np.argsort(order[: purchases.num_rows])))
    return rank_users(
        users,
        candidates_of(world, order),
        scorer,
        purchases=purchases,
        view_end=VIEW_END,
        options=world["options"],
        **arguments,
    ).to_table("test")


@settings(max_examples=400)
@given(worlds())
def test_agrees_with_the_reference(world: dict[str, Any]) -> None:
    assert rank(world, TableScorer(world["scores"])).to_pylist() == reference(world)


@settings(max_examples=75)
@given(worlds())
def test_embeddings_agree_with_the_reference(world: dict[str, Any]) -> None:
    """Indicator vectors of parts, times a profile's row of scores: the dot products are the scores."""
    users = np.array(
        [[world["scores"][profile, base] for base in BASE_SKUS] for profile in range(3)], np.float32
    )
    scorer = EmbeddingScorer(users, np.eye(len(BASE_SKUS), dtype=np.float32), BASE_SKUS)
    assert rank(world, scorer).to_pylist() == reference(world)


@settings(max_examples=75)
@given(worlds())
def test_pair_scores_agree_with_the_reference(world: dict[str, Any]) -> None:
    """The table knows no profiles: everybody ranks by the scores of profile 0."""
    world["users"] = [{**user, "profile": 0} for user in world["users"]]
    pairs = [
        {"make": make, "model": model, "base_sku": base, "score": world["scores"][0, base]}
        for make, model in sorted({vehicle[1:] for vehicle in VEHICLES})
        for base in reversed(BASE_SKUS)
    ]
    assert rank(world, PairScorer(pa.Table.from_pylist(pairs))).to_pylist() == reference(world)


@settings(max_examples=75)
@given(worlds(), st.sampled_from([1, 3, 20]), st.permutations(range(50)))
def test_blocks_and_input_order_change_nothing(
    world: dict[str, Any], block_scores: int, order: list[int]
) -> None:
    scorer = TableScorer(world["scores"])
    shuffled = rank(world, scorer, order=np.array(order), block_scores=block_scores)
    assert shuffled.equals(rank(world, scorer))


@settings(max_examples=75)
@given(worlds())
def test_collapsed_users_are_ranked_as_if_each_were_alone(world: dict[str, Any]) -> None:
    alone = {
        (place, base): world["scores"][user["profile"], base]
        for place, user in enumerate(world["users"])
        for base in BASE_SKUS
    }
    assert rank(world, TableScorer(alone), own_profiles=True).equals(
        rank(world, TableScorer(world["scores"]))
    )


@pytest.mark.parametrize("seed", range(12))
def test_many_buyers_of_one_model_agree_with_the_reference(seed: int) -> None:
    """Small worlds rarely have several buyers in one block, some filled by a prefix and some not."""
    random = np.random.default_rng(seed)
    base_skus = [f"{number}-X" for number in range(60)]
    vehicles = [(year, "FORD", model) for year in (1967, 1968, 2018) for model in ("GT", "T")]
    fits = [(vehicle, base) for vehicle in vehicles for base in base_skus if random.random() < 0.7]
    emails = [f"{number:02}@example.com" for number in random.permutation(40)]
    bought = [(email, base) for email in emails for base in random.choice(base_skus, 12, replace=False)]
    world: dict[str, Any] = {
        "fitment": [
            {"year": year, "make": make, "model": model, "base_sku": base, "sku": base, "serving_sku": None}
            for (year, make, model), base in fits
        ],
        "part_type": {
            base: random.choice(["HOOD", "WHEEL", "SEAT"], p=[0.85, 0.1, 0.05]) for base in base_skus
        },
        "users": [
            {
                "email_lower": email,
                "vehicle": vehicles[random.integers(len(vehicles))],
                "profile": int(random.integers(3)),
            }
            for email in emails
        ],
        "purchases": [(email, base, VIEW_END - datetime.timedelta(days=1)) for email, base in bought],
        "scores": {(profile, base): random.integers(8) / 4 for profile in range(3) for base in base_skus},
        "view": "training",
        "apply_rules": True,
        "options": RankingOptions(depth=4, maximum_per_part_type=2, purchase_exclusion_days=365),
    }
    ranked = rank(world, TableScorer(world["scores"]))
    assert ranked.to_pylist() == reference(world)
    assert rank(world, TableScorer(world["scores"]), block_scores=150).equals(ranked)


@pytest.mark.parametrize("depth", [1, 4, 20])
def test_a_type_that_crowds_the_top_does_not_hide_the_rest(depth: int) -> None:
    """500 best parts share a type: any fixed prefix of the order would miss the other types."""
    base_skus = [f"P{number:04}" for number in range(520)]
    vehicle = {"year": 1967, "make": "FORD", "model": "GT"}
    world: dict[str, Any] = {
        "fitment": [{**vehicle, "base_sku": base, "sku": base, "serving_sku": None} for base in base_skus],
        "part_type": {
            base: "HOOD" if place < 500 else f"OTHER {place}" for place, base in enumerate(base_skus)
        },
        "users": [{"email_lower": "a@example.com", "vehicle": (1967, "FORD", "GT"), "profile": 0}],
        "purchases": [("a@example.com", "P0001", datetime.date(2026, 1, 1))],
        "scores": {(0, base): 1.0 - place / 1000 for place, base in enumerate(base_skus)},
        "view": "training",
        "apply_rules": True,
        "options": RankingOptions(depth=depth, maximum_per_part_type=2, purchase_exclusion_days=365),
    }
    ranked = rank(world, TableScorer(world["scores"]))
    assert ranked.to_pylist() == reference(world)
    assert ranked["base_sku"].to_pylist()[:3] == ["P0000", "P0002", "P0500"][:depth]
