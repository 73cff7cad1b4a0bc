"""ordered_pairs: which part is ordered with or after which."""

import math

import pytest
from sql.shop import Row, Shop


@pytest.fixture
def catalogue(shop: Shop) -> Shop:
    for sku in ("CARB", "INTAKE", "PUMP", "8202B"):
        shop.item(sku)
    return shop


def pairs(shop: Shop, **parameters: object) -> dict[tuple[str, str], Row]:
    return {(row["base_sku"], row["other_base_sku"]): row for row in shop.run("ordered_pairs", **parameters)}


def weight(*days: int) -> object:
    return pytest.approx(sum(math.exp(-day / 30) for day in days), abs=1e-11)


def test_what_is_ordered_later_goes_with_what_was_ordered_before_and_not_the_other_way(
    catalogue: Shop,
) -> None:
    """As of 2026-02-01, cutoff 2026-01-02."""
    for user in ("a", "b"):
        catalogue.order(user, "2025-12-01", "CARB")
        catalogue.order(user, "2025-12-11", "INTAKE")
    found = pairs(catalogue)
    assert set(found) == {("CARB", "INTAKE")}
    row = found["CARB", "INTAKE"]
    assert (row["buyers"], row["serving_buyers"]) == (2, 2)
    assert row["weight"] == weight(22, 22) and row["serving_weight"] == weight(52, 52)


def test_parts_of_one_day_go_with_one_another(catalogue: Shop) -> None:
    catalogue.order("a", "2025-12-01", "CARB", "8202B")
    catalogue.imported_order("b@x.com", "2025-08-01", "8202R")
    catalogue.imported_order("b@x.com", "2025-08-01", "CARB")
    found = pairs(catalogue)
    assert set(found) == {("CARB", "8202"), ("8202", "CARB")}
    assert found["CARB", "8202"]["weight"] == weight(32, 154)


@pytest.mark.parametrize(("window", "known"), [(9, False), (10, True), (11, True)])
def test_the_window_s_last_day_counts(catalogue: Shop, window: int, known: bool) -> None:
    for user in ("a", "b"):
        catalogue.order(user, "2025-12-01", "CARB")
        catalogue.order(user, "2025-12-11", "INTAKE")
    assert (("CARB", "INTAKE") in pairs(catalogue, pair_window_days=window)) == known


def test_a_buyer_counts_once_with_the_newest_day(catalogue: Shop) -> None:
    catalogue.order("a", "2025-11-01", "CARB")
    catalogue.order("a", "2025-11-02", "INTAKE")
    catalogue.order("a", "2025-11-22", "INTAKE")
    assert pairs(catalogue) == {}
    found = pairs(catalogue, pair_minimum_buyers=1)
    assert found["CARB", "INTAKE"]["buyers"] == 1
    assert found["CARB", "INTAKE"]["weight"] == weight(41)
    quick = pairs(catalogue, pair_minimum_buyers=1, pair_decay_days=10.0)
    assert quick["CARB", "INTAKE"]["weight"] == pytest.approx(math.exp(-4.1), abs=1e-11)


def test_what_was_ordered_at_the_cutoff_is_in_the_serving_columns_alone(catalogue: Shop) -> None:
    for user, day in (("a", "2025-12-31"), ("b", "2026-01-02")):
        catalogue.order(user, "2025-12-20", "CARB")
        catalogue.order(user, day, "PUMP")
    row = pairs(catalogue)["CARB", "PUMP"]
    assert (row["buyers"], row["weight"], row["serving_buyers"]) == (None, None, 2)
    alone = pairs(catalogue, pair_minimum_buyers=1)["CARB", "PUMP"]
    assert alone["buyers"] == 1 and alone["weight"] == weight(2)
    assert alone["serving_weight"] == weight(32, 30)


def test_an_old_pair_keeps_a_weight(catalogue: Shop) -> None:
    catalogue.imported_order("a@x.com", "2010-01-01", "CARB")
    catalogue.imported_order("a@x.com", "2010-01-01", "PUMP")
    row = pairs(catalogue, pair_minimum_buyers=1, pair_decay_days=1.0)["CARB", "PUMP"]
    assert row["weight"] == row["serving_weight"] == 1e-12
