"""What users did after their first exposure, on tables that were filled by hand, with answers worked out by hand.

The experiment starts on Monday, 2026-01-05, and is read as of 2026-02-01: clicks count for 7 days, orders for 14.
"""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sql.shop import Shop

from holley_assets.experiment.outcomes import OUTCOMES_SCHEMA
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA

UPSTREAM = ["user_accounts", "machine_bursts", "interaction_events", "order_lines", "parts"]
PARAMETERS = {
    "experiment": "spring",
    "experiment_start": datetime.date(2026, 1, 5),
    "click_days": 7,
    "order_days": 14,
    "order_value_quantile": 1.0,
}


class Experiment:
    """A shop, and the log of whom it showed parts."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.exposures: list[dict[str, Any]] = []
        shop.item("A", price="80")
        shop.item("B", price="500")
        shop.fits("1967", "FORD", "MUSTANG", "A", "B")

    def show(
        self,
        name: str,
        day: str,
        assigned: str = "graph",
        received: str | None = None,
        share: float = 0.5,
        hour: int = 6,
        experiment: str = "spring",
    ) -> None:
        """User ``name`` is shown the parts of an arm on a day."""
        date = datetime.date.fromisoformat(day)
        received = received or assigned
        self.exposures.append(
            {
                "experiment": experiment,
                "exposure_day": date,
                "email_lower": f"{name}@x.com",
                "assigned_arm": assigned,
                "received_arm": received,
                "share": share,
                "system": {"graph": "gnn", "sql": "sql"}[received],
                "model_version": {"graph": "m", "sql": "sql"}[received],
                "published_at": datetime.datetime.combine(date, datetime.time(hour), tzinfo=datetime.UTC),
            }
        )

    def order(self, name: str, at: str, sku: str = "A", price: float | None = None) -> None:
        """An order of one part as the web shop reports it."""
        values: dict[str, Any] = {"Items_0.ProductId": sku}
        self.shop.event(name, "Placed Order", at, **values, **({"Items_0.ItemPrice": price} if price else {}))

    def outcomes(self, **parameters: object) -> dict[str, dict[str, Any]]:
        """The outcomes, by the user's name."""
        self.shop.run_tables(UPSTREAM, **{k: v for k, v in parameters.items() if k == "consent_property"})
        log = self.folder / "exposures.parquet"
        pq.write_table(pa.Table.from_pylist(self.exposures, schema=EXPOSURES_SCHEMA), log)
        path = self.folder / "outcomes.parquet"
        values = {**self.shop.parameters, **PARAMETERS, **parameters}
        self.shop.warehouse_with({"shown_exposures": log}).query_to_parquet(
            "experiment_outcomes", values, path
        )
        table = pq.read_table(path)
        assert table.column_names == OUTCOMES_SCHEMA.names
        assert table.schema.types == OUTCOMES_SCHEMA.types
        return {row["email_lower"].partition("@")[0]: row for row in table.to_pylist()}


@pytest.fixture
def experiment(shop: Shop, tmp_path: Path) -> Experiment:
    return Experiment(shop, tmp_path)


def test_one_row_a_user_of_the_first_exposure(experiment: Experiment) -> None:
    experiment.show("a", "2026-01-05", "graph")
    experiment.show("a", "2026-01-06", "graph", "sql")
    experiment.show("b", "2026-01-13", "graph", "sql")
    experiment.show("c", "2026-02-01", "sql")
    # Another experiment, before the start, and after the day of the reading.
    experiment.show("d", "2026-01-05", experiment="summer")
    experiment.show("d", "2026-01-04")
    experiment.show("d", "2026-02-02")
    found = experiment.outcomes()
    assert set(found) == {"a", "b", "c"}
    assert found["a"] == {
        "email_lower": "a@x.com",
        "assigned_arm": "graph",
        "received_arm": "graph",
        "first_exposure": datetime.date(2026, 1, 5),
        "period": 0,
        "share": 0.5,
        "tier": "cold",
        "week": 0,
        "moved": False,
        "click_window_over": True,
        "order_window_over": True,
        **dict.fromkeys(("clicks", "machine_clicks", "orders", "clicks_before", "orders_before"), 0),
        **dict.fromkeys(("order_value", "order_value_uncapped", "order_value_before"), 0.0),
        "unsubscribed": None,
        "exposures": 2,
        "received_as_assigned": True,
        "person": "a@x.com",
        "model_version": "m",
        "system": "gnn",
    }
    assert [found["b"][name] for name in ("week", "received_arm", "received_as_assigned", "system")] == [
        1,
        "sql",
        False,
        "sql",
    ]
    assert [found["c"][name] for name in ("week", "click_window_over", "exposures")] == [3, False, 1]


@pytest.mark.parametrize(
    ("day", "click_over", "order_over"),
    [
        ("2026-01-18", True, True),
        ("2026-01-19", True, False),
        ("2026-01-25", True, False),
        ("2026-01-26", False, False),
    ],
)
def test_a_window_is_over_once_all_of_its_days_are(
    experiment: Experiment, day: str, click_over: bool, order_over: bool
) -> None:
    """Data go up to 2026-01-31: the last day of a window of 14 that began on the 18th."""
    experiment.show("a", day)
    row = experiment.outcomes()["a"]
    assert (row["click_window_over"], row["order_window_over"]) == (click_over, order_over)


def test_clicks_count_from_the_first_exposure_for_seven_days(experiment: Experiment) -> None:
    shop = experiment.shop
    shop.driver("a")
    shop.account("a2", email="A@x.com ")
    experiment.show("a", "2026-01-10")
    experiment.show("a", "2026-01-20")
    for number, at in enumerate(
        [
            "2026-01-02T23:59:59",  # eight days before
            "2026-01-03T00:00",  # seven days before: the first that counts as before
            "2026-01-09T23:59:59.999999",
            "2026-01-10T00:00",  # the day itself
            "2026-01-16T23:59:59.999999",  # the seventh day
            "2026-01-17T00:00",  # the eighth, and after the second exposure nothing begins anew
            "2026-01-21T10:00",
        ]
    ):
        shop.click("a", at, f"t{number}")
    # The same click under the other account, and twice; an open; a click of somebody else.
    shop.click("a2", "2026-01-10T00:00", "t3")
    shop.click("a", "2026-01-10T00:00", "t3")
    shop.click("a", "2026-01-11T00:00", "t9", kind="VIEWED")
    shop.click("nobody", "2026-01-11T00:00", "t9")
    row = experiment.outcomes()["a"]
    assert (row["clicks"], row["clicks_before"], row["machine_clicks"]) == (2, 2, 0)
    # Another account of the address clicks too.
    shop.click("a2", "2026-01-12T00:00", "t10")
    assert experiment.outcomes()["a"]["clicks"] == 3
    assert experiment.outcomes(click_days=8)["a"]["clicks"] == 4


def test_clicks_up_to_the_day_of_the_reading_however_they_are_written(experiment: Experiment) -> None:
    shop = experiment.shop
    shop.driver("a")
    shop.driver("b")
    experiment.show("a", "2026-01-28")
    experiment.show("b", "2026-01-10")
    shop.click(" a ", "2026-01-31T23:59:59.999999", "t1", kind=" clicked ")
    shop.click("a", "2026-02-01T00:00", "t2")
    # The first moment of the days that the source tables are read from.
    shop.click("b", "2026-01-03T00:00", "t3")
    shop.click("b", "2026-01-02T23:59:59.999999", "t4")
    found = experiment.outcomes(click_days=9)
    assert (found["a"]["clicks"], found["b"]["clicks_before"]) == (1, 2)
    found = experiment.outcomes(click_days=9, intent_start=datetime.date(2026, 1, 3))
    assert (found["a"]["clicks"], found["b"]["clicks_before"]) == (1, 1)


def test_a_machine_that_clicks_on_the_day_of_the_exposure_is_counted(experiment: Experiment) -> None:
    experiment.shop.driver("a")
    experiment.show("a", "2026-01-10")
    for second in (0, 4, 10):
        experiment.shop.click("a", f"2026-01-10T00:00:{second:02}", f"t{second}")
    row = experiment.outcomes()["a"]
    assert (row["clicks"], row["machine_clicks"], row["clicks_before"]) == (0, 3, 0)


def test_clicks_of_machines_are_counted_apart(experiment: Experiment) -> None:
    experiment.shop.driver("a")
    experiment.show("a", "2026-01-10")
    for second in (0, 4, 10):
        experiment.shop.click("a", f"2026-01-11T10:00:{second:02}", f"t{second}")
        experiment.shop.click("a", f"2026-01-05T10:00:{second:02}", f"u{second}")
    experiment.shop.click("a", "2026-01-11T10:00:21", "person")
    row = experiment.outcomes()["a"]
    assert (row["clicks"], row["machine_clicks"], row["clicks_before"]) == (1, 3, 0)


def test_orders_and_their_value(experiment: Experiment) -> None:
    shop = experiment.shop
    for name in ("a", "b"):
        shop.driver(name)
        experiment.show(name, "2026-01-10")
    experiment.order("a", "2025-12-26T23:59:59", "B", 999.0)  # fifteen days before
    experiment.order("a", "2025-12-27", "B", 450.0)
    experiment.order("a", "2026-01-09T23:59:59", "A", 60.0)
    experiment.order("a", "2026-01-10T00:00", "A", 100.0)
    experiment.order("a", "2026-01-23T23:59:59", "B", 400.0)
    experiment.order("a", "2026-01-24", "A", 999.0)
    # One purchase: two events, one of them without a price, and the order history.
    shop.event("a", "Ordered Product", "2026-01-10T00:01", ProductId="A")
    shop.imported_order("a@x.com", "2026-01-10", "A")
    # The order history alone: the catalogue's price.
    shop.imported_order(" B@x.com", "2026-01-11", "B")
    shop.imported_order("b@x.com", "2026-01-12", "unlisted")
    found = experiment.outcomes()
    a, b = found["a"], found["b"]
    assert (a["orders"], a["order_value"], a["order_value_uncapped"]) == (2, 500.0, 500.0)
    assert (a["orders_before"], a["order_value_before"]) == (2, 510.0)
    assert (b["orders"], b["order_value"], b["orders_before"], b["order_value_before"]) == (2, 500.0, 0, 0.0)
    assert experiment.outcomes(order_days=15)["a"]["order_value"] == 1499.0


def test_an_order_has_its_own_price_of_its_own_day(experiment: Experiment) -> None:
    shop = experiment.shop
    shop.driver("a")
    experiment.show("a", "2026-01-10")
    # Two parts on one day, and the same part on another; the dearer of two reports; a view is no report.
    experiment.order("a", "2026-01-11T08:00", "A", 70.0)
    experiment.order("a", "2026-01-11T08:01", "A", 60.0)
    shop.view("a", "2026-01-11T07:00", "A", price=999.0)
    experiment.order("a", "2026-01-11T09:00", "B", 450.0)
    experiment.order("a", "2026-01-12T09:00", "A", 80.0)
    row = experiment.outcomes()["a"]
    assert (row["orders"], row["order_value"]) == (3, 70.0 + 450.0 + 80.0)


def test_an_order_without_a_price_has_the_part_s_as_of_the_day_of_the_reading(experiment: Experiment) -> None:
    shop = experiment.shop
    shop.driver("a")
    shop.item("N", price=None)
    experiment.show("a", "2026-01-10")
    # Nobody told the price of the part before the test window began.
    shop.view("a", "2026-01-09", "N", price=120.0)
    shop.imported_order("a@x.com", "2026-01-11", "N")
    assert experiment.outcomes()["a"]["order_value"] == 120.0


@pytest.mark.parametrize(
    ("quantile", "capped"),
    [
        (1.0, [100, 200, 300, 4000]),
        (0.76, [100, 200, 300, 4000]),
        (0.75, [100, 200, 300, 300]),
        (0.25, [100] * 4),
    ],
)
def test_a_value_is_capped_at_a_quantile_of_the_buyers(
    experiment: Experiment, quantile: float, capped: list[int]
) -> None:
    values = [100.0, 200.0, 300.0, 4000.0]
    for number, value in enumerate(values):
        experiment.shop.driver(f"u{number}")
        experiment.show(f"u{number}", "2026-01-10", ["graph", "sql"][number % 2])
        experiment.order(f"u{number}", "2026-01-11", "A", value)
    for number in range(4, 9):
        experiment.show(f"u{number}", "2026-01-10")
    # An order that nobody knows the price of makes no buyer of whom the quantile could be.
    experiment.shop.driver("u4")
    experiment.shop.imported_order("u4@x.com", "2026-01-11", "unlisted")
    found = experiment.outcomes(order_value_quantile=quantile)
    assert [found[f"u{number}"]["order_value"] for number in range(9)] == [*capped, 0, 0, 0, 0, 0]
    assert [found[f"u{number}"]["order_value_uncapped"] for number in range(4)] == values


def test_a_late_order_counts_at_the_next_reading_and_a_corrected_one_once(experiment: Experiment) -> None:
    experiment.shop.driver("a")
    experiment.show("a", "2026-01-10")
    experiment.order("a", "2026-01-11", "A", 100.0)
    first = experiment.outcomes()
    assert experiment.outcomes() == first
    events = experiment.shop.rows["ingestion_unified_schema_incremental"]
    events.append(dict(events[0]))
    assert experiment.outcomes() == first, "the same event, sent twice"
    experiment.shop.imported_order("a@x.com", "2026-01-20", "B")
    later = experiment.outcomes()["a"]
    assert (later["orders"], later["order_value"]) == (2, 600.0)
    experiment.shop.rows["import_orders"].clear()
    assert experiment.outcomes() == first, "an order that was taken back at its source is gone"


def test_periods_are_days_in_a_row_of_one_share(experiment: Experiment) -> None:
    for name, day, share in (
        ("a", "2026-01-05", 0.1),
        ("b", "2026-01-07", 0.1),
        ("c", "2026-01-08", 0.25),
        ("d", "2026-01-09", 0.25),
        ("e", "2026-01-10", 0.1),
    ):
        experiment.show(name, day, share=share)
    # A second delivery of the 8th with another share; who was in the first one alone belongs to the day too.
    experiment.show("f", "2026-01-08", share=0.2, hour=4)
    found = experiment.outcomes()
    assert {name: (row["period"], row["share"]) for name, row in found.items()} == {
        "a": (0, 0.1),
        "b": (0, 0.1),
        "c": (1, 0.25),
        "d": (1, 0.25),
        "e": (2, 0.1),
        "f": (1, 0.25),
    }


def test_the_share_of_a_day_is_that_of_its_last_delivery_though_an_earlier_one_had_it_too(
    experiment: Experiment,
) -> None:
    for name, share, hour in (("a", 0.1, 4), ("b", 0.25, 5), ("c", 0.1, 6)):
        experiment.show(name, "2026-01-05", share=share, hour=hour)
    assert {row["share"] for row in experiment.outcomes().values()} == {0.1}


def test_a_user_of_two_arms_has_moved_and_stays_in_the_first(experiment: Experiment) -> None:
    experiment.show("a", "2026-01-06", "graph")
    experiment.show("a", "2026-01-05", "sql")
    experiment.show("b", "2026-01-05", "graph")
    experiment.show("b", "2026-01-06", "graph", "sql")
    found = experiment.outcomes()
    assert (found["a"]["assigned_arm"], found["a"]["moved"]) == ("sql", True)
    assert (found["b"]["assigned_arm"], found["b"]["moved"]) == ("graph", False)


def test_the_tier_is_that_before_the_first_exposure(experiment: Experiment) -> None:
    shop = experiment.shop
    for name in ("a", "b", "c", "d"):
        shop.driver(name)
        experiment.show(name, "2026-01-10")
    shop.view("a", "2026-01-09", "A")
    shop.cart("b", "2026-01-09", "A")
    shop.view("b", "2026-01-08", "A")
    # What comes after it may be the experiment's own doing.
    shop.cart("c", "2026-01-10", "A")
    shop.view("a", "2026-01-10", "A")
    shop.cart("a", "2026-01-11", "A")
    found = experiment.outcomes()
    assert {name: row["tier"] for name, row in found.items()} == {
        "a": "warm",
        "b": "hot",
        "c": "cold",
        "d": "cold",
    }


def test_who_refuses_e_mail_has_unsubscribed_where_a_property_tells(experiment: Experiment) -> None:
    experiment.shop.driver("a")
    experiment.shop.account("a2", email="a@x.com", consent="no")
    experiment.shop.driver("b")
    for name in ("a", "b", "gone"):
        experiment.show(name, "2026-01-10")
    found = experiment.outcomes(consent_property="consent")
    assert {name: row["unsubscribed"] for name, row in found.items()} == {
        "a": True,
        "b": False,
        "gone": False,
    }
    for unset in ("", " "):
        found = experiment.outcomes(consent_property=unset)
        assert {row["unsubscribed"] for row in found.values()} == {None}


def test_addresses_of_one_person_are_told(experiment: Experiment) -> None:
    for address in ("ada", "ada+parts", "a.da", "+x"):
        experiment.show(address, "2026-01-10")
    for name, domain in (("a.d.a", "gmail.com"), ("ada+x", "googlemail.com"), ("a.da", "gmail.org")):
        experiment.show("z", "2026-01-10")
        experiment.exposures[-1]["email_lower"] = f"{name}@{domain}"
    experiment.outcomes()
    persons = {
        row["email_lower"]: row["person"]
        for row in pq.read_table(experiment.folder / "outcomes.parquet").to_pylist()
    }
    assert persons == {
        "ada@x.com": "ada@x.com",
        "ada+parts@x.com": "ada@x.com",
        "a.da@x.com": "a.da@x.com",
        "+x@x.com": "+x@x.com",
        "a.d.a@gmail.com": "ada@gmail.com",
        "ada+x@googlemail.com": "ada@gmail.com",
        "a.da@gmail.org": "a.da@gmail.org",
    }


def test_without_exposures_there_is_no_row(experiment: Experiment) -> None:
    assert experiment.outcomes() == {}
