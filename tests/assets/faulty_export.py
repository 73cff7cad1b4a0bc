"""An export with every fault at once: other spellings, rows of strangers, machines, forgers. None of it is true."""

from __future__ import annotations

import copy
import datetime
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

Row = dict[str, Any]
EVENTS = "ingestion_unified_schema_incremental"
ACCOUNTS = "ingestion_unified_attributes_schema_incremental"
CLICKS = "treatment_interaction"
FITMENT = "vehicle_product_fitment_data"
NO_BREAK_SPACE = "\u00a0"
# Each fault is planted so many times.
TIMES = 5
LONG_AGO, IN_THE_WINDOW, TO_COME = (
    datetime.datetime(year, month, 20, 10, tzinfo=datetime.UTC)
    for year, month in ((1970, 1), (2026, 1), (2031, 1))
)
NOBODY = ["None", "n/a", "@", "test@test", "a@x.com, b@y.com", " NULL ", "-", "ann@localhost"]
FORGED_IMAGE = "https://a-forgery.example.org/a.jpg"


def read(source: Path, table: str) -> tuple[list[Row], pa.Schema]:
    found = pq.read_table(source / f"{table}.parquet")
    return found.to_pylist(), found.schema


def write(source: Path, table: str, rows: list[Row], schema: pa.Schema) -> None:
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), source / f"{table}.parquet")


def plant(source: Path) -> dict[str, Counter[str]]:
    """Plant them in the source tables of a folder; returns rows added by table and the reason to drop them for."""
    scanned = scanned_users(source)
    return {
        EVENTS: plant_in_events(source, scanned),
        ACCOUNTS: plant_in_accounts(source),
        CLICKS: plant_in_clicks(source, scanned),
        FITMENT: plant_in_fitment(source),
        "import_items": plant_in_items(source),
        "import_items_tags": plant_in_tags(source),
        "import_orders": plant_in_orders(source),
    }


def spelled(sku: str | None, number: int) -> str | None:
    """A part number as spreadsheets and people write it."""
    if sku is None or not sku.strip():
        return sku
    if sku.strip().isdigit():
        return f"{sku.strip()}.0"
    return f"{NO_BREAK_SPACE}{sku.lower()}\t" if number % 3 == 0 else sku


def event(user: str | None, name: str, at: datetime.datetime | None, **properties: str) -> Row:
    return {
        "user_id": user,
        "event_name": name,
        "client_event_timestamp": at,
        "event_properties": [
            {"property_name": key, "string_value": text} for key, text in properties.items()
        ],
    }


def plant_in_events(source: Path, scanned: list[str]) -> Counter[str]:
    rows, schema = read(source, EVENTS)
    accounts, _ = read(source, ACCOUNTS)
    known = {row["user_id"] for row in accounts}
    views = [
        row
        for row in rows
        if row["event_name"].strip().lower() == "viewed product" and row["event_properties"]
    ]
    strangers = [row for row in views if row["user_id"] not in known and row["client_event_timestamp"]]
    added = [*forged(source, strangers), *repeated(strangers)]
    sku = next(item["string_value"] for item in added[0]["event_properties"])
    times = Counter(map(str, rows))
    for number, row in enumerate(rows):
        # Rows that say the same stay the same: their number is counted.
        if number % 2 and times[str(row)] == 1:
            respell(row, number)
    for number in range(TIMES):
        visitor = strangers[number]["user_id"]
        added += [
            event(visitor, "Viewed Product", None, ProductId=sku),
            event(visitor, "Viewed Product", LONG_AGO, ProductId=sku),
            event(visitor, "Viewed Product", TO_COME, ProductId=sku),
            event(visitor, "Wished For Product", IN_THE_WINDOW, ProductId=sku),
            event(visitor, "Viewed Product", IN_THE_WINDOW, Sku=f"{sku}{number}"),
            event(visitor, "Viewed Product", IN_THE_WINDOW, ProductId=f"NOWHERE-{number}"),
            event(visitor, "Viewed Product", IN_THE_WINDOW, ProductId=NO_BREAK_SPACE, Price=str(number)),
            event(f" {NO_BREAK_SPACE}", "Viewed Product", IN_THE_WINDOW, ProductId=sku, Price=str(number)),
        ]
    machines = [
        event(user, "Viewed Product", IN_THE_WINDOW + datetime.timedelta(seconds=4), ProdId=sku)
        for user in scanned
    ]
    write(source, EVENTS, rows + added + machines, schema)
    reasons = {
        "no timestamp",
        "before the window",
        "after the window",
        "event of another type that names a part",
        "no property of a known name",
        "product unknown",
        "no SKU",
        "no user_id",
    }
    return Counter(dict.fromkeys(reasons, TIMES) | {"machine view": len(machines)})


def respell(row: Row, number: int) -> None:
    """The same event with property names and part numbers in other spellings."""
    row["event_name"] = f"{NO_BREAK_SPACE}{row['event_name'].upper()}\t"
    for item in row["event_properties"] or []:
        name = item["property_name"]
        if name.lower() == "productid":
            name = "ProdId"
        elif number % 4 == 1:
            name = name.replace("Items_", "Items.")
        elif name.startswith("Items_"):
            name = name.replace(".", "_")
        if "prod" in name.lower() or name.lower().startswith("skus"):
            item["string_value"] = spelled(item["string_value"], number)
            if item["long_value"] is not None:
                item["double_value"], item["long_value"] = float(item["long_value"]), None
        item["property_name"] = f" {name.upper()}{NO_BREAK_SPACE}"


def forged(source: Path, strangers: list[Row]) -> list[Row]:
    """Other prices and pictures in the name of visitors who saw a part that has a price and that many others saw."""
    items, _ = read(source, "import_items")
    priced = {str(row["PartNumber"]).strip().upper() for row in items if row["Price"]}
    saw: dict[str, list[Row]] = defaultdict(list)
    for row in strangers:
        said = {
            item["property_name"].strip().lower(): item["string_value"] for item in row["event_properties"]
        }
        part = (said.get("productid") or "").strip().upper()
        if part in priced and said.get("imageurl"):
            saw[part].append(row)
    chosen = sorted(saw, key=lambda part: -len({row["user_id"] for row in saw[part]}))[:TIMES]
    found = []
    for part in chosen:
        row = copy.deepcopy(saw[part][-1])
        row["event_properties"] = [
            {"property_name": "ProductId", "string_value": part},
            {"property_name": "Price", "string_value": "999999"},
            {"property_name": "ImageURL", "string_value": FORGED_IMAGE},
        ]
        found.append(row)
    return found


def repeated(strangers: list[Row]) -> list[Row]:
    """One visitor looks at one part a few hundred times on the day of its visit."""
    first = strangers[0]
    day = first["client_event_timestamp"].replace(hour=12, minute=0, second=0, microsecond=0)
    return [
        first | {"client_event_timestamp": day + datetime.timedelta(milliseconds=number)}
        for number in range(300)
    ]


def scanned_users(source: Path) -> list[str]:
    """Accounts whose e-mails a machine opens: the first that have an id."""
    accounts, _ = read(source, ACCOUNTS)
    return sorted({row["user_id"] for row in accounts if row["user_id"]})[:40]


def plant_in_clicks(source: Path, users: list[str]) -> Counter[str]:
    rows, schema = read(source, CLICKS)

    def click(user: str, at: datetime.datetime | None, kind: str, tracking_id: str) -> Row:
        return {
            "user_id": user,
            "treatment_id": 1,
            "treatment_tracking_id": tracking_id,
            "interaction_type": kind,
            "interaction_timestamp_micros": at,
        }

    bursts = [
        click(user, IN_THE_WINDOW + datetime.timedelta(seconds=second), "clicked ", f"scan-{number}-{second}")
        for number, user in enumerate(users)
        for second in range(4)
    ]
    wrong = [
        click(users[number], at, kind, f"wrong-{number}-{kind}-{at}")
        for number in range(TIMES)
        for at, kind in (
            (None, "CLICKED"),
            (LONG_AGO, "CLICKED"),
            (TO_COME, "CLICKED"),
            (IN_THE_WINDOW, "HOVERED"),
        )
    ]
    write(source, CLICKS, rows + bursts + wrong, schema)
    reasons = {"no timestamp", "before the window", "after the window", "interaction of unknown type"}
    return Counter(dict.fromkeys(reasons, TIMES) | {"machine click": len(bursts)})


def plant_in_accounts(source: Path) -> Counter[str]:
    rows, schema = read(source, ACCOUNTS)
    for number, row in enumerate(rows):
        for item in row["user_properties"] or []:
            name = item["property_name"].strip().lower()
            text = item["string_value"]
            if name == "v1_make" and text and text.strip().upper() == "CHEVROLET" and number % 2:
                item["string_value"] = f"chevy{NO_BREAK_SPACE}"
            if name == "email" and text and number % 3 == 0:
                item["string_value"] = f"{NO_BREAK_SPACE}{text.upper()}\t"
    said = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    strangers = [
        {
            "user_id": f"nobody-{number}",
            "user_properties": [
                {"property_name": name, "string_value": text}
                for name, text in {
                    "email": email,
                    "v1_year": "1967",
                    "v1_make": "FORD",
                    "v1_model": "MUSTANG",
                }.items()
            ],
            "update_timestamp": said,
            "auxia_insertion_timestamp": said,
        }
        for number, email in enumerate(NOBODY)
    ]
    write(source, ACCOUNTS, rows + strangers, schema)
    return Counter({"e-mail invalid": len(strangers)})


def plant_in_fitment(source: Path) -> Counter[str]:
    rows, schema = read(source, FITMENT)
    years: dict[tuple[str, str], dict[int, set[str]]] = defaultdict(lambda: defaultdict(set))
    for row in rows:
        year, make, model = (
            str(row[name] or "").strip().upper() for name in ("v1_year", "v1_make", "v1_model")
        )
        if year.isdigit() and make and model:
            fitting = {item["product_number"] for item in row["products"] or [] if item["product_number"]}
            years[make, model][int(year)] |= fitting
    ranges: list[dict[str, Any]] = []
    for (make, model), of_year in years.items():
        for first in of_year:
            common = of_year[first] & of_year.get(first + 1, set())
            if common:
                text = f"{first}-{first + 1}" if first % 2 else f"{first % 100:02}-{(first + 1) % 100:02}"
                products = [{"product_number": sku} for sku in sorted(common)]
                ranges.append({"v1_year": text, "v1_make": make, "v1_model": model, "products": products})
    for number, row in enumerate(rows):
        if str(row["v1_make"]).strip().upper() == "CHEVROLET" and number % 2:
            row["v1_make"] = "Chev"
        row["products"] = [
            {"product_number": spelled(item["product_number"], number)} for item in row["products"] or []
        ]
    part = [{"product_number": ranges[0]["products"][0]["product_number"]}]
    wrong = [
        {"v1_year": year, "v1_make": make, "v1_model": model, "products": part}
        for number in range(TIMES)
        for year, make, model in (
            (f"NONE{number}", "FORD", "MUSTANG"),
            ("1967", NO_BREAK_SPACE, f"MUSTANG{number}"),
            ("1967", f"FORD{number}", " "),
        )
    ]
    write(source, FITMENT, rows + ranges + wrong, schema)
    return Counter({"year unusable": TIMES, "make missing": TIMES, "model missing": TIMES})


def plant_in_items(source: Path) -> Counter[str]:
    rows, schema = read(source, "import_items")
    for number, row in enumerate(rows):
        row["PartNumber"] = spelled(row["PartNumber"], number)
    wrong = [
        {"PartNumber": NO_BREAK_SPACE, "PartType": "Wheel", "Price": f"{number}"} for number in range(TIMES)
    ]
    write(source, "import_items", rows + wrong, schema)
    return Counter({"no part number": TIMES})


def plant_in_tags(source: Path) -> Counter[str]:
    rows, schema = read(source, "import_items_tags")
    wrong = [{"PartNumber": f"NOWHERE-{number}", "Tags": "Refurbished"} for number in range(TIMES)]
    write(source, "import_items_tags", rows + wrong, schema)
    return Counter({"product unknown": TIMES})


def plant_in_orders(source: Path) -> Counter[str]:
    rows, schema = read(source, "import_orders")
    for number, row in enumerate(rows):
        row["ITEM"] = spelled(row["ITEM"], number)
    part, buyer, day = rows[0]["ITEM"], "guest000101@example.com", "Saturday, March 08, 2025"
    wrong = [
        {"ITEM": item, "SHIP_TO_EMAIL": email, "ORDER_DATE": date}
        for number in range(TIMES)
        for item, email, date in (
            (part, buyer, f"on the {number}th"),
            (part, NOBODY[number], day),
            (f"NOWHERE-{number}", buyer, day),
            (f"{number * NO_BREAK_SPACE}", buyer, day),
        )
    ]
    write(source, "import_orders", rows + wrong, schema)
    return Counter(
        dict.fromkeys(("order date unparsable", "product unknown", "e-mail invalid", "no SKU"), TIMES)
    )
