"""user_accounts: the latest value of each property, whatever column holds it."""

from __future__ import annotations

import datetime

from sql.shop import Row, Shop


def by_user(rows: list[Row]) -> dict[str, Row]:
    return {row["user_id"]: row for row in rows}


def test_latest_value_of_each_property_wins(shop: Shop) -> None:
    shop.account("u1", "2025-03-01", email="old@x.com", v1_year="1967", v1_make="FORD", v1_model="MUSTANG")
    shop.account("u1", "2025-05-01", email="New@X.com ")
    shop.account("u1", "2025-04-01", v1_make="CHEVROLET", v1_model="CAMARO")
    (row,) = shop.run("user_accounts")
    assert row["email_lower"] == "new@x.com"
    assert (row["year"], row["make"], row["model"]) == (1967, "CHEVROLET", "CAMARO")
    assert row["vehicle_updated_at"] == datetime.datetime(2025, 4, 1, tzinfo=datetime.UTC)
    assert shop.dropped("user_accounts") == {}


def test_insertion_time_and_then_the_value_break_ties(shop: Shop) -> None:
    shop.attributes("u1", {"email": "b@x.com"}, "2025-03-01", inserted="2025-03-02")
    shop.attributes("u1", {"email": "a@x.com"}, "2025-03-01", inserted="2025-03-03")
    shop.attributes("u2", {"email": "d@x.com"}, "2025-03-01")
    shop.attributes("u2", {"email": "c@x.com"}, "2025-03-01")
    rows = by_user(shop.run("user_accounts"))
    assert rows["u1"]["email_lower"] == "a@x.com"
    assert rows["u2"]["email_lower"] == "c@x.com"


def test_empty_value_does_not_hide_an_older_one(shop: Shop) -> None:
    shop.account("u1", "2025-03-01", email="a@x.com")
    shop.account("u1", "2025-04-01", email="  ")
    assert shop.run("user_accounts")[0]["email_lower"] == "a@x.com"


def test_property_names_have_no_case_and_user_ids_are_trimmed(shop: Shop) -> None:
    shop.attributes(" u1", {"EMAIL": "a@x.com", " V1_Year": "1967"}, "2025-03-01")
    shop.attributes("u1 ", {"V1_MAKE": " ford", "v1_model": "Mustang  "}, "2025-03-01")
    (row,) = shop.run("user_accounts")
    assert row["user_id"] == "u1"
    assert (row["year"], row["make"], row["model"]) == (1967, "FORD", "MUSTANG")


YEARS = [
    ("1967", 1967),
    (" 1967 ", 1967),
    (1967, 1967),
    (1967.0, 1967),
    ("1967.0", 1967),
    ("1900", 1900),
    (2027, 2027),
    ("1899", None),
    (2028, None),
    ("NONE", None),
    (1967.5, None),
    ("67", None),
    ("19670", None),
    ("0x7AF", None),
]


def test_year_is_an_integer_from_1900_to_next_year(shop: Shop) -> None:
    for number, (year, _) in enumerate(YEARS):
        shop.driver(f"u{number:02}", year=year)
    rows = shop.run("user_accounts")
    assert [(value, row["year"]) for (value, _), row in zip(YEARS, rows, strict=True)] == YEARS
    assert {(row["year"] is None, row["vehicle_problem"]) for row in rows} == {
        (False, None),
        (True, "year unusable"),
    }


def test_unusable_vehicle_is_null_as_a_whole_and_says_why(shop: Shop) -> None:
    shop.account("none", email="a@x.com")
    shop.account("year", email="b@x.com", v1_year="NONE", v1_make="FORD", v1_model="MUSTANG")
    shop.account("make", email="c@x.com", v1_year="1967", v1_make="None", v1_model="MUSTANG")
    shop.account("model", email="d@x.com", v1_year="1967", v1_make="FORD")
    rows = by_user(shop.run("user_accounts"))
    assert {user: row["vehicle_problem"] for user, row in rows.items()} == {
        "none": "no vehicle",
        "year": "year unusable",
        "make": "make missing",
        "model": "model missing",
    }
    assert {(row["year"], row["make"], row["model"]) for row in rows.values()} == {(None, None, None)}


def test_rows_without_user_and_users_without_email_are_counted(shop: Shop) -> None:
    for _ in range(3):
        shop.account(None, email="a@x.com")
    shop.account("  ", email="b@x.com")
    shop.account("u1", v1_year="1967")
    shop.account("u2", favourite_colour="red")
    shop.account("u3", email="c@x.com")
    assert [row["user_id"] for row in shop.run("user_accounts")] == ["u3"]
    assert shop.dropped("user_accounts") == {"no user_id": 4, "no e-mail": 2}


def test_what_is_told_at_or_after_as_of_is_not_known_yet(shop: Shop) -> None:
    shop.account("u1", "2026-01-31T23:59:59", email="old@x.com")
    shop.account("u1", "2026-02-01", email="new@x.com")
    shop.account("u2", "2026-02-01", email="later@x.com")
    shop.account("u3", None, email="undated@x.com")
    rows = shop.run("user_accounts")
    assert [row["email_lower"] for row in rows] == ["old@x.com", "undated@x.com"]


def test_names_of_properties_are_trimmed_of_any_white_space(shop: Shop) -> None:
    values = {
        "\u00a0email\t": "a@x.com",
        " V1_Year\u3000": "1967",
        "v1_make ": "FORD",
        "\tv1_model": "MUSTANG",
    }
    shop.attributes("u", values, "2025-08-01")
    (row,) = shop.run("user_accounts")
    assert (row["email_lower"], row["year"], row["make"], row["model"]) == (
        "a@x.com",
        1967,
        "FORD",
        "MUSTANG",
    )
