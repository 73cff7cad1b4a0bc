"""Normal forms one value at a time: at, below and above each limit."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import pytest

from holley_assets.resources.warehouse.duckdb.transpile import to_duckdb
from holley_assets.resources.warehouse.sql_files import (
    Query,
    QueryError,
    make_alias_function,
    shared_functions,
)

AS_OF = datetime.date(2026, 2, 1)
# Evaluates an expression over parameters of any type.
ValueOf = Callable[..., Any]


@pytest.fixture(scope="module")
def value_of() -> ValueOf:
    """Value of an expression that calls functions of sql/functions."""
    connection = duckdb.connect()
    for function in to_duckdb(Query("all", tuple(shared_functions().values()), "SELECT 1")).functions:
        connection.execute(function)

    def evaluate(expression: str, **parameters: Any) -> Any:
        translated = to_duckdb(Query("one", (), f"SELECT {expression}"))
        for function in translated.functions:
            connection.execute(function.replace("CREATE TEMPORARY", "CREATE OR REPLACE TEMPORARY"))
        ((value,),) = connection.execute(translated.select, parameters).fetchall()
        return value

    return evaluate


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" A.B+c@X-y.co.uk ", "a.b+c@x-y.co.uk"),
        ("none.smith@x.com", "none.smith@x.com"),
        ("na@x.com", "na@x.com"),
        ("test@x.com", "test@x.com"),
        ("a@test.com", "a@test.com"),
        ("none", None),
        ("n/a", None),
        ("@", None),
        ("a@", None),
        ("@x.com", None),
        ("a@x", None),
        ("test@test", None),
        ("a@.com", None),
        ("a@x..com", None),
        ("a@x.com.", None),
        ("a@@x.com", None),
        ("a@x.com,b@x.com", None),
        ("a@x.com; b@x.com", None),
        ("a@x.com b@x.com", None),
        ("a b@x.com", None),
        ("a\u00a0b@x.com", None),
        ("<a@x.com>", None),
        ("None@x.com", None),
        ("no-email@x.com", None),
        ("noreply@x.com", None),
        ("a@none.com", None),
        ("test@test.com", None),
        ("NA@na.com", None),
        ("", None),
        (None, None),
    ],
)
def test_valid_addresses(value_of: ValueOf, value: str | None, expected: str | None) -> None:
    assert value_of("normal_email(@value)", value=value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("8202.0", "8202"),
        (" 8202.00 ", "8202"),
        ("8202.", "8202."),
        ("8202.5", "8202.5"),
        ("8202.05", "8202.05"),
        ("A8202.0", "A8202.0"),
        ("0-8202.0", "0-8202.0"),
        ("a\u00a0", "A"),
        (" ", None),
    ],
)
def test_numbers_from_a_spreadsheet(value_of: ValueOf, value: str, expected: str | None) -> None:
    assert value_of("normal_sku(@value)", value=value) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("8202B.0", "8202B.0"), ("8202r", "8202"), ("8202.0", "8202")]
)
def test_base_of_a_normal_sku(value_of: ValueOf, value: str, expected: str) -> None:
    assert value_of("base_sku(@value)", value=value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("CHEVY", "CHEVROLET"),
        ("VW", "VOLKSWAGEN"),
        ("V.W", "VOLKSWAGEN"),
        ("MERCEDES BENZ", "MERCEDES-BENZ"),
        ("MERCEDES-BENZ", "MERCEDES-BENZ"),
        ("MERCEDES", "MERCEDES-BENZ"),
        ("LAND-ROVER", "LAND ROVER"),
        ("CHEVYS", "CHEVYS"),
        ("FORD", "FORD"),
        (None, None),
    ],
)
def test_one_name_a_make(value_of: ValueOf, value: str | None, expected: str | None) -> None:
    assert value_of("make_of(@value)", value=value) == expected


@pytest.mark.parametrize(
    ("line", "wrong"),
    [
        ("CHEVY,FORD,x", "CHEVY"),
        ("chev,CHEVROLET,x", "chev"),
        ("A'B,FORD,x", "A'B"),
        ("ABC,,x", "ABC"),
        ("ABC", "ABC"),
    ],
)
def test_alias_that_is_not_usable_is_named_with_its_line(tmp_path: Path, line: str, wrong: str) -> None:
    path = tmp_path / "make_aliases.csv"
    path.write_text(f"alias,make,source\nCHEVY,CHEVROLET,x\n{line}\n")
    with pytest.raises(QueryError, match="line 3: .*" + wrong):
        make_alias_function(path)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1967", [1967]),
        ("1967.0", [1967]),
        ("1967.", [1967]),
        (" 1967-1969 ", [1967, 1968, 1969]),
        ("1967 – 69", [1967, 1968, 1969]),
        ("67-69", [1967, 1968, 1969]),
        ("99-00", [1999, 2000]),
        ("2025+", [2025, 2026, 2027]),
        ("25 +", [2025, 2026, 2027]),
        ("1898-1901", [1900, 1901]),
        ("2026-2029", [2026, 2027]),
        ("1900", [1900]),
        ("2027", [2027]),
        ("1969-1967", []),
        ("1899", []),
        ("2028", []),
        ("67", None),
        ("1967-196", None),
        ("3067-3069", None),
        ("1967-", None),
        ("-1969", None),
        ("1967-1968-1969", None),
        ("", None),
        (None, None),
    ],
)
def test_years_of_the_fitment_data(value_of: ValueOf, value: str | None, expected: list[int] | None) -> None:
    assert value_of("vehicle_years(@value, DATE '2026-02-15')", value=value) == expected


@pytest.mark.parametrize(("value", "expected"), [("a", True), (" ", False), ("", False), (None, False)])
def test_a_field_that_somebody_filled_in(value_of: ValueOf, value: str | None, expected: bool) -> None:
    assert value_of("is_filled(@value)", value=value) == expected


@pytest.mark.parametrize(
    ("year", "expected"),
    [(1967, 1967), (67, 1967), (27, 2027), (28, 1928), (0, 2000), (99, 1999), (100, 100)],
)
def test_century_of_two_digits(value_of: ValueOf, year: int, expected: int) -> None:
    assert value_of("full_year(@year, 2027)", year=year) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("https://cdn.x.com/a.jpg?w=1&h=2#z", "https://cdn.x.com/a.jpg?w=1&h=2#z"),
        ("HTTP://X.com:8080/a.jpg", "https://X.com:8080/a.jpg"),
        (" //x.com/a%20b.jpg ", "https://x.com/a%20b.jpg"),
        ("https://x.com", "https://x.com"),
        ("https://x.com/a b.jpg", None),
        ("https://x.com/a\u00a0b.jpg", None),
        ("https://x.com/é.jpg", None),
        *((f"https://x.com/a{sign}b.jpg", None) for sign in "\"'`<>()[]{}\\^|"),
        ("https://user:word@x.com/a.jpg", None),
        ("https://user@x.com/a.jpg", None),
        ("https://x/a.jpg", None),
        ("https://localhost/a.jpg", None),
        ("https://a.localhost/a.jpg", None),
        ("https://printer.local/a.jpg", None),
        ("https://printer.LAN:80/a.jpg", None),
        ("https://locals.com/a.local", "https://locals.com/a.local"),
        ("https://127.0.0.1/a.jpg", None),
        ("https://[::1]/a.jpg", None),
        ("https:///a.jpg", None),
        ("https://.com/a.jpg", None),
        ("https://x..com/a.jpg", None),
        ("javascript://x.com/a", None),
        ("x.com/a.jpg", None),
        ("/a.jpg", None),
        ("data:image/png;base64,AA", None),
        ("https://x.com/a@y.com.jpg", None),
        ("https://x.com/a%40y.com.jpg", None),
        ("https://x.com/8202@2x.jpg", "https://x.com/8202@2x.jpg"),
        ("//x.com/8202@1.5X.PNG?w=1", "https://x.com/8202@1.5X.PNG?w=1"),
        ("https://x.com/a@2x.jpg?b@3x.webp", "https://x.com/a@2x.jpg?b@3x.webp"),
        ("https://x.com/a@2x.com.jpg", None),
        ("https://x.com/a@2y.jpg", None),
        ("https://x.com/a@y.com@2x.jpg", None),
        ("https://x.com/pkg@1.2.3/a.png", "https://x.com/pkg@1.2.3/a.png"),
        ("https://x.com/?u=a@y.com/a.png", None),
    ],
)
def test_images_are_clean_addresses(value_of: ValueOf, value: str, expected: str | None) -> None:
    assert value_of("https_image(@value)", value=value) == expected


def test_host_of_an_image(value_of: ValueOf) -> None:
    assert value_of("image_host('https://Img.X.com:80/a')") == "img.x.com"


@pytest.mark.parametrize(
    ("price", "usual", "expected"),
    [
        (10, 100, 10),
        (9.99, 100, None),
        (1000, 100, 1000),
        (1000.01, 100, None),
        (5, None, 5),
        (None, 100, None),
    ],
)
def test_plausible_prices(
    value_of: ValueOf, price: float | None, usual: int | None, expected: int | None
) -> None:
    expression = "plausible_price(CAST(@price AS FLOAT64), CAST(@usual AS FLOAT64), 10.0)"
    assert value_of(expression, price=price, usual=usual) == expected
