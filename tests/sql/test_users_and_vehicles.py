"""user_nodes, vehicle_nodes, owns_edges: one user an e-mail, one vehicle a user."""

from __future__ import annotations

from sql.shop import Shop


def test_accounts_of_one_email_are_one_user_with_its_latest_vehicle(shop: Shop) -> None:
    shop.account("u1", "2025-05-01", email="a@x.com", v1_year="1967", v1_make="FORD", v1_model="MUSTANG")
    shop.account("u2", "2025-06-01", email=" A@X.com", v1_year=1969, v1_make="chevrolet", v1_model="Camaro")
    shop.account("u3", "2025-07-01", email="a@x.com", v1_year="NONE", v1_make="FORD", v1_model="F-150")
    shop.account("u4", "2025-08-01", email="a@x.com")
    shop.fits("1999", "CHEVROLET", "Camaro", "A")
    assert shop.run("user_nodes") == [
        {
            "email_lower": "a@x.com",
            "year": 1969,
            "make": "CHEVROLET",
            "model": "CAMARO",
            "engagement_tier": "cold",
            "serving_engagement_tier": "cold",
        }
    ]
    assert shop.dropped("user_nodes") == {}


def test_vehicle_of_two_times_is_never_mixed(shop: Shop) -> None:
    shop.account("u1", "2025-05-01", email="a@x.com", v1_year="1967", v1_make="FORD", v1_model="MUSTANG")
    shop.account("u1", "2025-06-01", v1_year="2018", v1_make="RAM", v1_model="1500")
    shop.fits("2018", "RAM", "1500", "A")
    (row,) = shop.run("user_nodes")
    assert (row["year"], row["make"], row["model"]) == (2018, "RAM", "1500")


def test_equally_late_vehicles_are_told_apart_by_user_id(shop: Shop) -> None:
    shop.account("u1", email="a@x.com", v1_year="1967", v1_make="FORD", v1_model="MUSTANG")
    shop.account("u2", email="a@x.com", v1_year="2018", v1_make="RAM", v1_model="1500")
    shop.fits("2018", "RAM", "1500", "A")
    assert shop.run("user_nodes")[0]["make"] == "RAM"


def test_users_without_usable_vehicle_are_counted_once_by_reason(shop: Shop) -> None:
    shop.driver("u1")
    shop.driver("u2", year="NONE")
    shop.account("u3", "2025-07-01", email="c@x.com", v1_year="NONE", v1_make="FORD", v1_model="F-150")
    shop.account("u4", "2025-08-01", email="c@x.com", v1_year="1967", v1_model="F-150")
    shop.account("u5", email="d@x.com")
    assert [row["email_lower"] for row in shop.run("user_nodes")] == ["u1@x.com"]
    assert shop.dropped("user_nodes") == {"make missing": 1, "no vehicle": 1, "year unusable": 1}


TIERS = [
    ([], "cold", "cold"),
    ([("view", "2025-08-31T23:59:59")], "cold", "cold"),
    ([("view", "2025-09-01")], "warm", "warm"),
    ([("view", "2026-01-01T23:59:59")], "warm", "warm"),
    ([("view", "2026-01-02")], "cold", "warm"),
    ([("cart", "2025-10-01")], "hot", "hot"),
    ([("order", "2025-10-01"), ("view", "2025-10-02")], "hot", "hot"),
    ([("view", "2025-10-01"), ("cart", "2026-01-02")], "warm", "hot"),
    ([("order", "2026-02-01")], "cold", "cold"),
]


def test_engagement_tier_of_each_view(shop: Shop) -> None:
    for number, (events, _, _) in enumerate(TIERS):
        shop.driver(f"u{number}")
        shop.account(f"v{number}", email=f"u{number}@x.com")
        shop.view(f"u{number}", "2025-08-01", "A")
        for kind, at in events:
            getattr(shop, kind)(f"v{number}", at, "A")
    tiers = [(row["engagement_tier"], row["serving_engagement_tier"]) for row in shop.run("user_nodes")]
    assert list(zip([events for events, *_ in TIERS], tiers, strict=True)) == [
        (events, (training, serving)) for events, training, serving in TIERS
    ]


def test_vehicles_of_users_and_of_parts(shop: Shop) -> None:
    for year in ("1967", "1968"):
        shop.driver(f"u{year}", year=year)
        shop.fits(year, "FORD", "MUSTANG", "A", "8202B", "8202R")
    shop.driver("u3", make="RAM", model="1500")
    shop.fits("1967", "FORD", "F-150", "A")
    assert shop.run("vehicle_nodes") == [
        {"make": "FORD", "model": "F-150", "user_count": 0, "product_count": 1},
        {"make": "FORD", "model": "MUSTANG", "user_count": 2, "product_count": 2},
        {"make": "UNKNOWN", "model": "UNKNOWN", "user_count": 1, "product_count": 0},
    ]


def test_each_user_owns_its_vehicle(shop: Shop) -> None:
    shop.driver("u1")
    shop.account("u2", email="u2@x.com")
    shop.fits("1967", "FORD", "MUSTANG", "A")
    assert shop.run("owns_edges") == [
        {"email_lower": "u1@x.com", "make": "FORD", "model": "MUSTANG", "weight": 1.0}
    ]


def test_a_vehicle_that_no_part_fits_is_unknown(shop: Shop) -> None:
    """What a customer types may be anything; names of makes and models come from the fitment data alone."""
    shop.driver("u1")
    shop.driver("u2", make="FORD", model="my old truck")
    shop.driver("u3", make="Ann Smith", model="MUSTANG")
    shop.driver("u4", make="FORD", model="ann@example.com")
    shop.driver("u5", make="RAM", model="MUSTANG")
    shop.fits("1999", "FORD", "MUSTANG", "A")
    shop.fits("1999", "RAM", "1500", "A")
    assert [(row["make"], row["model"]) for row in shop.run("user_nodes")] == [
        ("FORD", "MUSTANG"),
        ("FORD", "UNKNOWN"),
        ("UNKNOWN", "UNKNOWN"),
        ("RAM", "UNKNOWN"),
    ]
    assert shop.dropped("user_nodes") == {"model missing": 1}
    assert [(row["make"], row["model"], row["user_count"]) for row in shop.run("vehicle_nodes")] == [
        ("FORD", "MUSTANG", 1),
        ("FORD", "UNKNOWN", 1),
        ("RAM", "1500", 0),
        ("RAM", "UNKNOWN", 1),
        ("UNKNOWN", "UNKNOWN", 1),
    ]


ADDRESSES = ["ann@example.com", "Kit by ANN+x@mail.example.co", "ann%40example.com", "<ö@müller.рф>"]
NAMES = ["C@MARO", "@", "F@150.5", "a@b", "a @ example.com", "@example", "HOLLEY@", "50%40"]


def test_an_address_is_no_name_of_anything(shop: Shop) -> None:
    for address in ADDRESSES:
        shop.fits("1967", address, "MUSTANG", "A")
        shop.fits("1967", "FORD", address, "A")
        shop.fits("1967", "FORD", "MUSTANG", address)
        shop.item(address)
        shop.view("u1", "2025-10-01", "A", image=f"https://images.example/{address}.jpg")
    shop.item("A", part_type=ADDRESSES[1])
    assert shop.run("fitment") == []
    assert shop.dropped("fitment") == {
        "make missing": len(ADDRESSES),
        "model missing": len(ADDRESSES),
        "no part number": len(ADDRESSES),
    }
    (part,) = shop.run("parts")
    assert (part["sku"], part["part_type"], part["image"]) == ("A", None, None)
    assert shop.dropped("parts") == {"no part number": len(ADDRESSES)}


def test_an_at_sign_alone_is_no_address(shop: Shop) -> None:
    for name in NAMES:
        shop.fits("1967", name, name, name)
        shop.item(name, part_type=name)
    assert {row["make"] for row in shop.run("vehicle_nodes")} == {name.upper() for name in NAMES}
    assert {(row["sku"], row["part_type"].upper()) for row in shop.run("parts")} == {
        (name.upper(), name.upper()) for name in NAMES
    }
