"""The report's cars are what the rule says, what customers are sent, and what ``holley explain`` says of them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from small_run import FinishedRun

from holley_assets.console.explanation import explain
from holley_assets.console.run_files import RunFiles
from holley_assets.evaluation.car_traffic import class_visits
from holley_assets.evaluation.example_cars import GROUPS
from holley_assets.pipeline.example_cars import LoadedTables


@pytest.fixture
def files(weekly_run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    return RunFiles()


@pytest.fixture
def section(weekly_run: FinishedRun) -> dict[str, Any]:
    report = json.loads((weekly_run.data_dir / "latest_eval_report.json").read_text("utf-8"))
    content: dict[str, Any] = report["example_cars"]
    return content


def test_two_cars_of_each_group_and_none_twice(files: RunFiles, section: dict[str, Any]) -> None:
    cars = section["cars"]
    assert [one["group"] for one in cars] == [group for group in GROUPS for _ in range(2)]
    assert len({one["car"].partition(" ")[2] for one in cars}) == 6
    rows = class_visits(files.table("fitment"), files.table("visitor_demand")).to_pylist()
    visits = {f"{row['year']} {row['make']} {row['model']}": row["visits"] for row in rows}
    assert [one["visits"] for one in cars] == [visits[one["car"]] for one in cars]
    owned = {
        f"{row['year']} {row['make']} {row['model']}"
        for row in files.table("user_nodes", ["year", "make", "model"]).to_pylist()
    }
    assert cars[0]["visits"] == max(visits[name] for name in owned if name in visits)
    assert cars[0]["visits"] >= cars[1]["visits"] > cars[2]["visits"] > cars[4]["visits"]
    assert section["pictures"] is False


def test_each_car_is_what_explain_says_and_every_score_is_its_sum(
    files: RunFiles, section: dict[str, Any]
) -> None:
    for one in section["cars"]:
        found = explain(files, email=None, car=one["car"])
        assert [part["sku"] for part in one["graph"]] == [verdict.candidate.sku for verdict in found.shown]
        assert [part["sku"] for part in one["sql"]] == [verdict.candidate.sku for verdict in found.sql]
        assert [part["sql_score"] for part in one["sql"]] == [part.candidate.score for part in found.sql]
        for said, part in zip(one["graph"], found.parts, strict=True):
            assert said["terms"] == part.terms and said["score"] == part.verdict.candidate.score
        for part in one["graph"] + one["sql"]:
            assert sum(part["terms"].values()) == pytest.approx(part["score"], rel=1e-6)
            row = files.table("parts", only={"sku": part["sku"]}).to_pylist()[0]
            assert (part["price"], part["image"]) == (row["serving_price"], row["serving_image"])
        both = {part["sku"] for part in one["graph"]} & {part["sku"] for part in one["sql"]}
        assert one["difference"]["common"] == len(both)


def test_why_sql_shows_a_part_are_the_orders_of_its_tier(files: RunFiles, section: dict[str, Any]) -> None:
    words = {"segment": "owners of the make and model", "make": "owners of the make", "global": "everybody"}
    tiers = set()
    for one in section["cars"]:
        make = next(
            row
            for row in files.table("user_nodes", ["year", "make", "model"]).to_pylist()
            if f"{row['year']} {row['make']} {row['model']}" == one["car"]
        )
        only = {name: make[name] for name in ("make", "model")}
        for part in one["sql"]:
            (row,) = files.table("popularity", only={**only, "base_sku": part["base_sku"]}).to_pylist()
            tier = row["serving_tier"]
            column = {"segment": "serving_segment_orders", "make": "serving_make_orders"}.get(
                tier, "serving_orders"
            )
            assert part["sold"] == f"{row[column]:,} orders by {words[tier]}"
            tiers.add(tier)
    assert len(tiers) > 1


def test_the_part_found_through_another_car_would_not_be_shown_without_it(
    files: RunFiles, section: dict[str, Any]
) -> None:
    found = section["through_another_car"]
    explained = explain(files, email=None, car=found["car"], part=found["part"]["sku"])
    (part,) = explained.parts
    assert part.from_others == pytest.approx(found["added"], rel=1e-12) and found["added"] > 0
    assert part.verdict.slot is not None and part.verdict.rank == found["rank"] < found["rank_without"]
    assert found["from_cars"] and all(value > 0 for value in found["from_cars"].values())


def test_loaded_tables_filter_and_select() -> None:
    table = pa.table(
        {"make": pa.array(["A", "B", "A"]).dictionary_encode(), "year": [1, 1, 2], "n": [7, 8, 9]}
    )
    tables = LoadedTables({"cars": table})
    assert tables.table("cars", ["n"], only={"make": "A", "year": 2})["n"].to_pylist() == [9]
    assert tables.table("cars").equals(table)
    assert pc.sum(tables.table("cars", only={"make": "A"})["n"]).as_py() == 16
