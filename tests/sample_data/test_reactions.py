"""What users do with mails, by the chances that they were given; and the chances by the truth of a sample."""

from __future__ import annotations

import datetime
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sample_data.world import AS_OF, INTENT_START

from holley_assets.sample_data import generate_sample, oracle_scores, oracle_user_scores
from holley_assets.sample_data.oracle import true_chances
from holley_assets.sample_data.parameters import microseconds
from holley_assets.sample_data.people import numbered
from holley_assets.sample_data.reactions import Habits, Mails, react

DAY = datetime.date(2026, 3, 1)
HOUR = 3_600_000_000
SKUS = ("A", "B", "C")
QUIET = Habits(opening=1.0, opened_by_program=0.0, other_links=0.0, ordering=0.0, scanned=0.0)


def mails(count: int, chance: Any, interest: Any = 1.0, users: int | None = None) -> Mails:
    """Mails of two parts, B and C, to a user each unless there are fewer users."""
    user = np.arange(count) % (users or count)
    return Mails(
        user_id=numbered("u", user, 6),
        email=pc.binary_join_element_wise(numbered("user", user, 6), "x.com", "@"),
        time=np.full(count, microseconds(DAY) + 22 * HOUR),
        part=np.tile([1, 2], (count, 1)),
        chance=np.broadcast_to(np.asarray(chance, float), (count, 2)),
        interest=np.broadcast_to(np.asarray(interest, float), count),
        skus=pa.array(SKUS),
        prices=np.array([10.0, 20.5, 30.0]),
    )


def reacted(sent: Mails, habits: Habits, seed: int = 0) -> dict[str, pa.Table]:
    return react(sent, habits, np.random.default_rng(seed))


def clicks(found: dict[str, pa.Table], kind: str = "CLICKED") -> int:
    rows = found["treatment_interaction"]
    return int(pc.sum(pc.equal(rows["interaction_type"], kind), min_count=0).as_py())


def near(found: int, share: float, count: int) -> bool:
    """Within four standard deviations of the binomial distribution."""
    return abs(found - share * count) <= 4.0 * math.sqrt(count * share * (1.0 - share))


def test_a_wanted_part_is_clicked_looked_at_and_ordered() -> None:
    found = reacted(mails(3, [0.0, 1.0]), Habits(1.0, 0.0, 0.0, 1.0, 0.0))
    rows = found["treatment_interaction"].to_pylist()
    assert [(row["user_id"], row["interaction_type"]) for row in rows] == [
        (f"u00000{number}", kind) for kind in ("VIEWED", "CLICKED") for number in range(3)
    ]
    assert len({row["treatment_tracking_id"] for row in rows}) == 3
    events = found["ingestion_unified_schema_incremental"].to_pylist()
    assert [event["event_name"] for event in events] == ["Viewed Product"] * 3 + ["Placed Order"] * 3
    none = {"string_value": None, "long_value": None, "double_value": None}
    for event, names in (
        (events[0], ("ProductId", "Price")),
        (events[3], ("Items_0.ProductId", "Items_0.ItemPrice")),
    ):
        assert event["user_id"] == "u000000"
        assert event["event_properties"] == [
            none | {"property_name": names[0], "string_value": "C"},
            none | {"property_name": names[1], "double_value": 30.0},
        ]
    clicked, viewed, ordered = (
        rows[3]["interaction_timestamp_micros"],
        *(event["client_event_timestamp"] for event in (events[0], events[3])),
    )
    assert rows[0]["interaction_timestamp_micros"] < clicked < viewed < ordered
    assert found["import_orders"].to_pylist()[0] == {
        "ITEM": "C",
        "SHIP_TO_EMAIL": "user000000@x.com",
        "ORDER_DATE": f"{ordered:%A, %B %d, %Y}",
    }


def test_what_nobody_wants_is_not_clicked_and_a_mail_that_is_not_opened_neither() -> None:
    for sent, habits in (
        (mails(50, [0.0, 0.0]), QUIET),
        (mails(50, [0.5, 0.5]), Habits(0.0, 0.0, 1.0, 1.0, 0.0)),
        (mails(50, [0.5, 0.5], interest=0.0), QUIET),
        (mails(0, [0.0, 0.0]), Habits()),
    ):
        found = reacted(sent, habits)
        assert clicks(found) == 0
        assert found["import_orders"].num_rows == found["ingestion_unified_schema_incremental"].num_rows == 0


def test_parts_are_clicked_as_often_as_they_are_wanted() -> None:
    count = 40_000
    found = reacted(mails(count, [0.3, 0.1], interest=0.5), Habits(0.8, 0.0, 0.25, 0.2, 0.0))
    opened = 0.4
    assert near(clicks(found, "VIEWED"), opened, count)
    assert near(clicks(found), opened * (0.4 + 0.6 * 0.25), count)
    properties = pc.list_flatten(found["ingestion_unified_schema_incremental"]["event_properties"])
    names, texts = (pc.struct_field(properties, name) for name in ("property_name", "string_value"))
    for sku, chance in (("B", 0.3), ("C", 0.1)):
        of_part = pc.equal(texts, sku)
        viewed = pc.sum(pc.and_(of_part, pc.equal(names, "ProductId"))).as_py()
        ordered = pc.sum(pc.and_(of_part, pc.equal(names, "Items_0.ProductId"))).as_py()
        assert near(viewed, opened * chance, count)
        assert near(ordered, opened * chance * 0.2, count)
        assert pc.sum(pc.equal(found["import_orders"]["ITEM"], sku)).as_py() == ordered


def test_programs_open_mails_and_follow_every_link_of_some_users() -> None:
    count, users = 20_000, 5_000
    found = reacted(mails(count, [0.5, 0.5], users=users), Habits(0.0, 0.4, 0.0, 0.0, 0.1))
    rows = found["treatment_interaction"]
    assert near(clicks(found, "VIEWED"), 0.4, count)
    machine = rows.filter(pc.equal(rows["interaction_type"], "CLICKED"))
    # All four mails of a user are scanned, or none, with four clicks each.
    assert set(pc.value_counts(machine["user_id"]).field("counts").to_pylist()) == {16}
    assert near(machine.num_rows // 16, 0.1, users)
    arrival = microseconds(DAY) + 22 * HOUR
    after = pc.cast(machine["interaction_timestamp_micros"], pa.int64()).to_numpy() - arrival
    assert set(after.tolist()) == {2_000_000, 3_000_000, 5_000_000, 8_000_000}


def test_equal_seeds_give_equal_rows() -> None:
    first, second, third = (reacted(mails(500, [0.3, 0.2]), Habits(), seed) for seed in (1, 1, 2))
    assert first == second and first != third


@pytest.mark.parametrize("chance", [[-0.1, 0.5], [0.6, 0.5]])
def test_chances_that_are_none_are_refused(chance: list[float]) -> None:
    with pytest.raises(ValueError, match="must be 0 or more and sum to 1 at most"):
        reacted(mails(2, chance), Habits())


def test_rows_have_the_columns_of_the_source_tables(sample: Path) -> None:
    for name, table in reacted(mails(20, [0.5, 0.5]), Habits()).items():
        schema = pq.read_schema(sample / f"{name}.parquet")
        assert table.cast(schema).num_rows == table.num_rows
        assert table.schema.names == schema.names


def test_the_chance_of_a_part_is_that_of_the_car_or_of_the_user_where_the_user_is_known(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "sample"
    generate_sample(folder, users=4_000, kind="taste", seed=3, as_of=AS_OF, intent_start=INTENT_START)
    car, other = (
        oracle_scores(folder).slice(0, 1).to_pylist()[0],
        oracle_user_scores(folder).slice(0, 1).to_pylist()[0],
    )
    by_car = {
        tuple(row[name] for name in ("year", "make", "model", "base_sku")): row["score"]
        for row in oracle_scores(folder).to_pylist()
    }
    place = ("year", "make", "model")
    rows = [
        # Nobody knows this user: the car decides, whatever the user is called.
        {"email_lower": "somebody@x.com", **{name: car[name] for name in (*place, "base_sku")}},
        # A part that the car cannot have, and a car that is none.
        {"email_lower": "somebody@x.com", **{name: car[name] for name in place}, "base_sku": "none"},
        {
            "email_lower": "somebody@x.com",
            "year": 1,
            **{name: car[name] for name in ("make", "model", "base_sku")},
        },
        # A user with a history: what the user met counts, and the car does not.
        {
            "email_lower": other["email_lower"],
            **{name: car[name] for name in place},
            "base_sku": other["base_sku"],
        },
        {"email_lower": other["email_lower"], **{name: car[name] for name in place}, "base_sku": "none"},
    ]
    found = true_chances(folder, pa.Table.from_pylist(rows))
    expected = by_car[tuple(car[name] for name in (*place, "base_sku"))]
    assert found.tolist() == pytest.approx([math.exp(expected), 0.0, 0.0, math.exp(other["score"]), 0.0])
