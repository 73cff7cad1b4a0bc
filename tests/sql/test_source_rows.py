"""What becomes of each row of the seven source tables, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sql.shop import Shop

from holley_assets.checks.source_row_checks import check_source_rows, outcomes
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES

ATTRIBUTES = "ingestion_unified_attributes_schema_incremental"
EVENTS = "ingestion_unified_schema_incremental"
TREATMENTS = "treatment_interaction"
FITMENT = "vehicle_product_fitment_data"
ITEMS, TAGS, ORDERS = "import_items", "import_items_tags", "import_orders"
LATE, EARLY = "2026-02-01", "2025-08-31T23:59:59.999999"
FIRST, LAST = "2025-09-01", "2026-01-31T23:59:59.999999"


def counted(shop: Shop, table: str, **parameters: object) -> dict[str, int]:
    """Outcomes of the rows of ``table``, which must add up."""
    shop.run("source_rows", **parameters)
    rows = pq.read_table(shop.results["source_rows"].path)
    (result,) = check_source_rows(rows, 0.0)
    assert result.passed, result.description
    found = {name: count for name, count in outcomes(rows)[table].items() if count}
    assert found.pop("in", 0) == len(shop.rows[table]) == sum(found.values())
    return found


@pytest.fixture
def stocked(shop: Shop) -> Shop:
    """A shop with a driver, and parts 8202 and A that fit the car."""
    shop.driver("u1")
    shop.item("8202B")
    shop.fits("1967", "FORD", "MUSTANG", "8202B", "A")
    return shop


def test_attributes(shop: Shop) -> None:
    shop.account("u1", "2025-01-01", email="u1@x.com", v1_year="1966")
    shop.account("u1", "2025-02-01", v1_year="1967")
    shop.account("u1", "2025-01-15", v1_year="1965", v1_make=" ")
    # The e-mail of the first row is still the latest; this one says less than it.
    shop.account("u1", "2024-12-31", email="old@x.com")
    shop.account("u1", None, email="older@x.com")
    for _ in range(3):
        shop.attributes("u2\u00a0", {"EMAIL ": "u2@x.com"}, "2025-01-01")
    shop.account("u3", email="n/a", v1_year="1967")
    shop.account("u4", v1_year="1967")
    shop.account("u5", colour="red")
    shop.attributes("u5", {}, "2025-01-01")
    shop.attributes("u6", {"": "no"}, "2025-01-01")
    shop.account("u7", email=" ")
    shop.account(" ", email="nobody@x.com")
    shop.account(None, LATE, email="nobody@x.com")
    shop.account("u8", LATE, email="u8@x.com")
    shop.account("u8", "2026-01-31T23:59:59.999999", email="u8@x.com")
    assert counted(shop, ATTRIBUTES) == {
        "kept": 4,
        "later values replace it": 3,
        "duplicate row": 2,
        "e-mail invalid": 1,
        "no e-mail": 1,
        "no property of a known name": 3,
        "no value": 1,
        "no user_id": 2,
        "after the window": 1,
    }
    assert counted(shop, ATTRIBUTES, consent_property="Colour")["no property of a known name"] == 2


def test_values_that_tie_are_both_the_latest(shop: Shop) -> None:
    shop.account("u1", email="u1@x.com")
    shop.account("u1", email="u1@x.com", v1_year="1967")
    shop.account("u1", email="z@x.com")
    assert counted(shop, ATTRIBUTES) == {"kept": 2, "later values replace it": 1}


def test_events_of_other_times_and_types(stocked: Shop) -> None:
    for at in (EARLY, "1970-01-01", FIRST, LAST, LATE, "2099-01-01", None):
        stocked.view("u1", at, "A")
    stocked.event("u1", "Session Start", FIRST, page="home")
    stocked.event("u1", "Session Start", FIRST)
    stocked.event("u1", None, FIRST, page="home")
    for names in ({"PRODUCTID": "A"}, {"Items.0.ProdId": "A"}, {"SKUs_0": "A"}):
        stocked.event(None, "Wishlist Update", FIRST, **names)
    # An event of another type that is outside of the window is outside of it, and no more.
    stocked.event("u1", "Wishlist Update", EARLY, ProductId="A")
    assert counted(stocked, EVENTS) == {
        "before the window": 3,
        "after the window": 2,
        "no timestamp": 1,
        "event of another type": 3,
        "event of another type that names a part": 3,
        "kept": 2,
    }


def test_events_whose_parts_cannot_be_used(stocked: Shop) -> None:
    stocked.view("u1", FIRST, "A")
    stocked.view("u1", FIRST, "A")
    stocked.view("u1", FIRST, "A")
    stocked.view("\t", FIRST, "A")
    stocked.event("u1", "Viewed Product", FIRST)
    stocked.event("u1", "Viewed Product", FIRST, Price=5, ImageURL="//x.com/a.jpg")
    stocked.event("u1", "Viewed Product", FIRST, **{"Items_0.ProductId": "A"})
    stocked.event("u1", "Placed Order", FIRST, ProductId="A")
    stocked.event("u1", "Viewed Product", FIRST, ProductId=" ")
    stocked.event("u1", "Viewed Product", FIRST, ProductId="ann@example.com")
    stocked.view("u1", FIRST, "nobody knows it")
    stocked.view("u1", FIRST, "nobody knows it")
    # The graph knows parts, not colours; one part of several is enough.
    stocked.view("v", FIRST, "8202r\u3000")
    stocked.cart("u1", FIRST, "nobody knows it", " ", "A")
    stocked.event("u1", "Consumer Website Order", FIRST, SKUs_0="nobody knows it", SKUs_1=8202)
    stocked.event("u1", "Cart Update", FIRST, **{"Items_7_ProdId": 8202.0})
    assert counted(stocked, EVENTS) == {
        "kept": 5,
        "duplicate row": 2,
        "no user_id": 1,
        "no property of a known name": 4,
        "no SKU": 2,
        "product unknown": 2,
    }


def test_what_a_machine_views_and_clicks(stocked: Shop) -> None:
    stocked.account("u2", email="u1@x.com")
    for second in range(3):
        stocked.click("u1", f"2026-01-20T10:00:0{second}", tracking_id=f"t{second}")
    # Before the burst, from its first click to ten seconds after its last, and past it. A link opens no cart.
    for time in ("09:59:59.999999", "10:00:00", "10:00:01", "10:00:12", "10:00:12.000001"):
        stocked.view("u2", f"2026-01-20T{time}", "A")
    stocked.cart("u1", "2026-01-20T10:00:02", "A")
    assert counted(stocked, EVENTS) == {"machine view": 3, "kept": 3}
    assert counted(stocked, TREATMENTS) == {"machine click": 3}


def test_clicks(stocked: Shop) -> None:
    stocked.account("u2", email="u1@x.com")
    stocked.account("walker", email="walker@x.com")
    for at in (EARLY, "1970-01-01", "2025-09-01", "2026-01-01T23:59", "2026-01-02", LATE, None):
        stocked.click("u1", at)
    stocked.click("u1", EARLY, kind="OPENED")
    stocked.click("u1", "2026-01-10", kind=" viewed\u00a0")
    stocked.click("u1", "2026-01-10", kind="OPENED")
    stocked.rows[TREATMENTS].append({**stocked.rows[TREATMENTS][-1], "interaction_type": None})
    stocked.click(" ", "2026-01-10")
    stocked.click("stranger", "2026-01-10")
    stocked.click("walker", "2026-01-10")
    # The first part after the click: unknown, new, and met before; the click comes twice, from both accounts.
    for day, sku in ((11, "nobody knows it"), (12, "A"), (13, "A")):
        stocked.view("u2", f"2026-01-{day}T10:30", sku)
        stocked.click("u1", f"2026-01-{day}T10:00", tracking_id=f"t{day}")
        stocked.click("u2", f"2026-01-{day}T10:00", tracking_id=f"t{day}")
    stocked.view("u1", "2026-01-14T10:30:00.000001", "8202")
    stocked.click("u1", "2026-01-14T10:00")
    found = counted(stocked, TREATMENTS)
    assert found == {
        "before the window": 3,
        "before the test window": 2,
        "after the window": 1,
        "no timestamp": 1,
        "opened, not clicked": 1,
        "interaction of unknown type": 2,
        "no user_id": 1,
        "user unknown or without vehicle": 2,
        # That of the 2nd and that of the 14th, whose view comes a microsecond too late.
        "no product view within the window": 2,
        "product unknown": 2,
        "another click of the user on the part": 2,
        "kept": 1,
        "duplicate row": 1,
    }
    assert len(stocked.run("test_clicks")) == found["kept"]


def test_fitment_rows(shop: Shop) -> None:
    shop.fits(" 1967", "ford", "MUSTANG", "A", " ", None)
    shop.fits("1967.0", "FORD ", "Mustang", "A", " ", None)
    shop.fits("1967", "FORD", "MUSTANG", "B9")
    shop.fits("67-69", "FORD", "MUSTANG", "A", " ", None)
    for year in ("NONE", None, "1899", "2028", "19 67"):
        shop.fits(year, "FORD", "MUSTANG", "A")
    shop.fits("1967", "None", None, "A")
    shop.fits("1967", "FORD", " ", "A")
    shop.fits("1967", "FORD", "MUSTANG")
    shop.fits("1967", "FORD", "MUSTANG", None, "ann@example.com")
    shop.rows[FITMENT].append({"v1_year": "1967", "v1_make": "FORD", "v1_model": "MUSTANG", "products": None})
    assert counted(shop, FITMENT) == {
        "kept": 3,
        "duplicate row": 1,
        "year unusable": 5,
        "make missing": 1,
        "model missing": 1,
        "no part number": 3,
    }


def test_items_and_their_tags(shop: Shop) -> None:
    shop.item(" a")
    shop.item("A", price="$100.00")
    shop.item("A", price="101")
    shop.item("8202.0", part_type=None, price=None)
    for number in (None, " ", "ann@example.com"):
        shop.item(number)
        shop.item_tags(number, "Refurbished")
    assert counted(shop, ITEMS) == {"fits no vehicle": 3, "duplicate row": 1, "no part number": 3}
    # A part fits in whichever colour.
    shop.fits("1967", "FORD", "MUSTANG", "8202B")
    for _ in range(2):
        shop.item("8202R")
    assert counted(shop, ITEMS) == {
        "kept": 2,
        "fits no vehicle": 2,
        "duplicate row": 2,
        "no part number": 3,
    }
    shop.item_tags("A", "new")
    shop.item_tags("nobody knows it", "new")
    shop.rows[TAGS].append({"PartNumber": "A", "Tags": None})
    shop.item_tags("nobody knows it", "Refurb")
    shop.item_tags("A", "x,REFURB")
    shop.item_tags("a ", "refurbished")
    assert counted(shop, TAGS) == {
        "no part number": 3,
        "not tagged refurbished": 3,
        "product unknown": 1,
        "kept": 1,
        "duplicate row": 1,
    }


def test_order_lines(stocked: Shop) -> None:
    for date in ("2001-01-01", "2026-01-31", "2026-02-01", "2025-02-30", "NONE", None):
        stocked.imported_order("a@x.com", date, "A")
    stocked.imported_order("A@x.com ", "2026-01-31", " a")
    for sku in (None, " ", "ann@example.com", "nobody knows it", "nobody knows it", "8202P"):
        stocked.imported_order("a@x.com", "2026-01-30", sku)
    for email in (None, " ", "none@none.com", "a@x.com, b@x.com"):
        stocked.imported_order(email, "2026-01-30", "A")
    # What is wrong first counts, once.
    stocked.imported_order(None, "NONE", None)
    stocked.imported_order("n/a", "2026-01-30", "nobody knows it")
    assert counted(stocked, ORDERS) == {
        "kept": 3,
        "duplicate row": 1,
        "after the window": 1,
        "order date unparsable": 4,
        "no SKU": 3,
        "product unknown": 2,
        "no e-mail": 2,
        "e-mail invalid": 3,
    }


def test_without_a_row_nothing_is_counted(shop: Shop) -> None:
    rows = shop.run("source_rows")
    assert [(row["source_table"], row["outcome"], row["source_rows"]) for row in rows] == [
        (table, "in", 0) for table in sorted(SOURCE_TABLES)
    ]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """A shop with one row of each kind that is kept."""
    shop = Shop(tmp_path_factory.mktemp("whole"))
    shop.driver("u1")
    shop.item("8202B")
    shop.fits("1967", "FORD", "MUSTANG", "8202B")
    shop.view("u1", FIRST, "8202")
    shop.imported_order("u1@x.com", FIRST, "8202")
    shop.item_tags("8202B", "Refurb")
    shop.run("source_rows")
    return shop


@pytest.mark.parametrize(
    ("asset", "table", "column", "value"),
    [
        ("user_accounts", ATTRIBUTES, "user_id", "another"),
        ("interaction_events", EVENTS, "user_id", "another"),
        ("interaction_events", EVENTS, "interaction", "cart"),
        ("fitment", FITMENT, "model", "another"),
        # The base SKU is known still.
        ("parts", ITEMS, "sku", "8202R"),
        ("parts", TAGS, "refurbished", False),
        ("order_lines", ORDERS, "sku", "8202R"),
        ("order_lines", ORDERS, "source", "events"),
    ],
)
def test_a_row_that_is_lost_on_the_way_is_found(
    tmp_path: Path, whole: Shop, asset: str, table: str, column: str, value: object
) -> None:
    """The table that the row belongs in has something else, as after a join that is wrong."""
    made = pq.read_table(whole.folder / "assets" / f"{asset}.parquet")
    place = made.column_names.index(column)
    pq.write_table(
        made.set_column(place, column, pa.array([value] * made.num_rows)), tmp_path / "lossy.parquet"
    )
    warehouse = whole.warehouse_with({asset: tmp_path / "lossy.parquet"})
    warehouse.query_to_parquet("source_rows", whole.parameters, tmp_path / "source_rows.parquet")
    rows = pq.read_table(tmp_path / "source_rows.parquet")
    assert outcomes(rows)[table] == {"in": 1, "kept": 0, f"missing in {asset}": 1}
    (result,) = check_source_rows(rows, 0.001)
    assert not result.passed
    assert f"{table}: 1 rows in, 0 kept and 0 dropped, a difference of 1" in str(result.description)
