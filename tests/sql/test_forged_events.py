"""What anybody's browser may send: prices and images that many visitors confirm, and names in any spelling."""

from __future__ import annotations

import pytest
from sql.shop import Row, Shop


def image(name: int | str) -> str:
    return f"https://x.com/{name}.jpg"


@pytest.fixture
def priced(shop: Shop) -> Shop:
    """Five carburetors at 100 each, and part A without a price."""
    for number in range(5):
        shop.item(f"P{number}")
    shop.item("A", price=None)
    return shop


def part(shop: Shop, sku: str = "A", **parameters: object) -> Row:
    return next(row for row in shop.run("parts", **parameters) if row["sku"] == sku)


def test_price_is_the_median_over_visitors_of_what_each_saw_last(priced: Shop) -> None:
    for visitor, at, price in (
        ("v1", "2025-12-01", 700),
        ("v1", "2025-12-02", 80),
        ("v2", "2025-12-01", 90),
        ("v3", "2025-12-01", 300),
    ):
        priced.view(visitor, at, "A", price=price)
    assert part(priced)["price"] == 90
    priced.view("v4", "2025-12-01", "A", price=110)
    assert part(priced)["price"] == 100


def test_one_forger_moves_no_price_and_no_image(priced: Shop) -> None:
    for visitor in ("v1", "v2", "v3"):
        priced.view(visitor, "2025-12-20", "A", price=90, image=image("right"))
    honest = part(priced)
    for second in range(50):
        priced.view("forger", f"2025-12-30T00:00:{second:02}", "A", price=999_999, image=image("forged"))
    assert part(priced) == honest
    assert (honest["price"], honest["image"]) == (90, image("right"))


@pytest.mark.parametrize(("price", "expected"), [(9.99, None), (10, 10), (1000, 1000), (1000.01, None)])
def test_price_is_plausible_within_ten_times_the_median_of_its_type(
    priced: Shop, price: float, expected: int | None
) -> None:
    priced.item("dear", "Engine", "5000")
    priced.view("v1", "2025-12-20", "A", price=price, image=image(1))
    found = part(priced)
    assert found["price"] == expected
    reason = "price missing" if expected is None else ("price below minimum" if price < 50 else None)
    assert found["ineligible_reason"] == reason


def test_type_with_few_listed_prices_is_judged_by_the_catalogue(priced: Shop) -> None:
    for number in range(4):
        priced.item(f"E{number}", "Engine", "5000")
    priced.item("E", "Engine", None)
    priced.view("v1", "2025-12-20", "E", price=5000)
    # Median of five parts at 100 and four at 5,000.
    assert part(priced, "E")["price"] is None
    priced.item("E4", "Engine", "5000")
    assert part(priced, "E")["price"] == 5000


def test_listed_price_is_believed_whatever_events_say(priced: Shop) -> None:
    priced.view("v1", "2025-12-20", "P0", price=55)
    assert part(priced, "P0")["price"] == 100


def test_image_is_the_one_that_most_visitors_saw_and_of_equals_the_newest(priced: Shop) -> None:
    priced.view("v1", "2025-12-20T10:00", "A", image=image("two"))
    priced.view("v2", "2025-12-20T10:00", "A", image=image("two"))
    for second in range(3):
        priced.view("v3", f"2025-12-21T10:00:0{second}", "A", image=image("one"))
    assert part(priced)["image"] == image("two")
    priced.view("v4", "2025-12-20T09:00", "A", image=image("one"))
    assert part(priced)["image"] == image("one")


@pytest.mark.parametrize(("day", "expected"), [("2025-12-02", "new"), ("2025-12-03", "old")])
def test_images_of_the_newest_thirty_days_of_the_view_are_asked(
    priced: Shop, day: str, expected: str
) -> None:
    """The view ends on 2026-01-02: its newest 30 days begin on 2025-12-03."""
    for visitor in ("v1", "v2"):
        priced.view(visitor, day, "A", image=image("old"))
    priced.view("v3", "2025-12-20", "A", image=image("new"))
    assert part(priced)["image"] == image(expected)
    assert part(priced, image_days=32)["image"] == image("old")


def test_both_views_ask_their_own_newest_days(priced: Shop) -> None:
    for visitor in ("v1", "v2"):
        priced.view(visitor, "2025-12-20", "A", image=image("old"))
    priced.view("v3", "2026-01-20", "A", image=image("new"))
    found = part(priced)
    assert (found["image"], found["serving_image"]) == (image("old"), image("new"))


def test_part_that_nobody_saw_lately_keeps_the_image_of_its_own_newest_days(priced: Shop) -> None:
    for visitor in ("v1", "v2"):
        priced.view(visitor, "2025-10-01", "A", image=image("old"))
    priced.view("v3", "2025-11-01", "A", image=image("new"))
    assert part(priced)["image"] == image("new")


def test_least_number_of_visitors_is_a_setting(priced: Shop) -> None:
    for visitor in ("v1", "v2"):
        priced.view(visitor, "2025-12-20", "A", price=90, image=image(1))
    assert part(priced, minimum_visitors=2)["ineligible_reason"] is None
    found = part(priced, minimum_visitors=3)
    assert (found["price"], found["image"], found["ineligible_reason"]) == (None, None, "price missing")


def test_accounts_of_one_address_are_one_visitor(priced: Shop) -> None:
    for user in ("v1", "v2", "v3"):
        priced.account(user, email="V@x.com")
        priced.view(user, "2025-12-20", "A", price=999, image=image("one"))
    for user in ("w1", "w2"):
        priced.view(user, "2025-12-19", "A", price=90, image=image("two"))
    found = part(priced)
    assert (found["price"], found["image"]) == (90, image("two"))


def test_hosts_of_images_may_be_listed(priced: Shop) -> None:
    priced.view("v1", "2025-12-20", "A", image="https://cdn.holley.com/a.jpg")
    for visitor in ("v2", "v3"):
        priced.view(visitor, "2025-12-20", "A", image="https://evilcdn.holley.com/b.jpg")
    assert part(priced)["image"] == "https://evilcdn.holley.com/b.jpg"
    assert part(priced, image_hosts="x.com cdn.holley.com")["image"] == "https://cdn.holley.com/a.jpg"
    assert part(priced, image_hosts="holley.com")["image"] is None


@pytest.mark.parametrize(
    ("event", "values"),
    [
        ("Viewed Product", {"ProdId": "A", "Price": 5, "ImageURL": "//x.com/1.jpg"}),
        ("VIEWED PRODUCT", {"PRODID": "A", "price": 5.0, "imageurl": "http://x.com/1.jpg"}),
        (
            "Cart Update",
            {"Items.3.ProductId": "A", "Items.3.ItemPrice": "5", "Items.3.ImageURL": "//x.com/1.jpg"},
        ),
        (
            "placed order",
            {"items_3_productid": "A", "ITEMS_3_ITEMPRICE": 5, "Items_3_ImageUrl": "//x.com/1.jpg"},
        ),
        (
            "Placed Order",
            {"Items_3.ProdId": "A", "Items_3.ItemPrice": 5, "Items_3.ImageURL": "//x.com/1.jpg"},
        ),
    ],
)
def test_spellings_of_properties(
    shop: Shop, event: str, values: dict[str, str | int] | dict[str, str | float] | dict[str, str]
) -> None:
    shop.event("v1", event, "2025-12-20", **values)
    (row,) = shop.run("interaction_events")
    assert (row["sku"], row["price"], row["image"]) == ("A", 5.0, image(1))


def test_items_of_one_event_keep_apart_in_every_spelling(shop: Shop) -> None:
    shop.event(
        "v1",
        "Cart Update",
        "2025-12-20",
        **{
            "Items.0.ProductId": "A",
            "Items.0.ItemPrice": 1,
            "Items_1_ProductId": "B",
            "Items_1_ItemPrice": 2,
        },
    )
    assert [(row["sku"], row["price"]) for row in shop.run("interaction_events")] == [("A", 1.0), ("B", 2.0)]


def test_range_of_years_means_each_of_them(shop: Shop) -> None:
    shop.item("A")
    for year, model in (
        ("1967-1969", "M1"),
        ("67-68", "M2"),
        ("2025+", "M3"),
        ("1969-1967", "M4"),
        ("67", "M5"),
    ):
        shop.fits(year, "CHEVY", model, "A")
    found = [(row["year"], row["make"], row["model"]) for row in shop.run("fitment")]
    assert sorted(found, key=lambda row: (row[2], row[0])) == [
        *((year, "CHEVROLET", "M1") for year in (1967, 1968, 1969)),
        *((year, "CHEVROLET", "M2") for year in (1967, 1968)),
        *((year, "CHEVROLET", "M3") for year in (2025, 2026, 2027)),
    ]
    assert shop.dropped("fitment") == {"year unusable": 2}


@pytest.mark.parametrize(
    ("answer", "refused"),
    [
        ("no", True),
        ("FALSE", True),
        (0, True),
        ("Unsubscribed", True),
        ("yes", False),
        (1, False),
        ("", False),
    ],
)
def test_who_says_no_to_mail_gets_no_row_where_the_setting_names_the_property(
    shop: Shop, answer: str | int, refused: bool
) -> None:
    shop.driver("u1")
    shop.attributes("u1b", {"email": "u1@x.com", "Email_Consent": answer}, "2025-08-02")
    shop.driver("u2")
    everybody = [row["email_lower"] for row in shop.run("user_nodes")]
    assert everybody == ["u1@x.com", "u2@x.com"]
    asked = shop.run("user_nodes", consent_property="email_consent")
    assert [row["email_lower"] for row in asked] == (["u2@x.com"] if refused else everybody)
    assert shop.dropped("user_nodes") == ({"no consent to e-mail": 1} if refused else {})
