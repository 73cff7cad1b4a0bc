"""One function reads a column of the catalogue, the fitment data and the orders, in assets and checks alike."""

from __future__ import annotations

from collections import defaultdict

import sqlglot
from sqlglot import exp

from holley_assets.resources.warehouse.source_tables import DATA_COMPANY, SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import query_names, read_query, shared_functions

COLUMNS = {
    column.lower()
    for table in SOURCE_TABLES.values()
    if table.dataset == DATA_COMPANY
    for column in (*table.columns, "product_number")
} - {"products"}
# A base SKU is read from a SKU by the same function.
FAMILIES = {"base_sku": "normal_sku"}
# It asks whether there is a value, and reads none.
PRESENCE = "is_filled"


def readers() -> dict[str, dict[str, set[str]]]:
    """Column → the shared function that reads it, or how else it is read → the queries that do so."""
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    functions = shared_functions()
    for name in query_names():
        tree = sqlglot.parse_one(read_query(name).select, read="bigquery")
        for select in tree.find_all(exp.Select):
            source = select.args["from_"].this if select.args.get("from_") else None
            if not isinstance(source, exp.Table) or source.name not in SOURCE_TABLES:
                continue
            own = (
                column for column in select.find_all(exp.Column) if column.find_ancestor(exp.Select) is select
            )
            for column in own:
                if column.name.lower() in COLUMNS:
                    call = column.find_ancestor(exp.Anonymous)
                    if call is not None and call.name == PRESENCE:
                        continue
                    if call is not None and call.name in functions:
                        reader = call.name
                    else:
                        assert column.parent is not None, f"{name}: {column.sql()} stands alone"
                        reader = column.parent.sql()
                    found[column.name.lower()][FAMILIES.get(reader, reader)].add(name)
    return found


def test_assets_and_checks_read_a_column_with_one_function() -> None:
    found = readers()
    assert found.keys() == COLUMNS
    for column, by in found.items():
        (reader,) = by
        assert reader in shared_functions(), f"{column} is read by {reader} in {by[reader]}"
    checks = {name for by in found.values() for names in by.values() for name in names} & {
        "every_price_reaches_the_minimum",
        "no_refurbished_part",
        "every_part_fits_the_vehicle",
    }
    assert len(checks) == 3, "the checks are among the readers"
