"""The seven source tables: their columns, and the validation that runs before any work.

A column type is plain data in BigQuery's words: ``"STRING"``, ``["STRING"]`` for an array, a mapping for a
struct, a tuple where either of several types will do.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeAlias

ColumnType: TypeAlias = "str | list[ColumnType] | dict[str, ColumnType] | tuple[ColumnType, ...]"

COMPANY = "company"
DATA_COMPANY = "data_company"

# What a column of nothing but nulls is stored as; it fits every type.
NULL = "NULL"

_PROPERTIES: ColumnType = [
    {"property_name": "STRING", "string_value": "STRING", "long_value": "INT64", "double_value": "FLOAT64"}
]


@dataclass(frozen=True)
class SourceTable:
    """One table that others write and this project reads."""

    name: str
    dataset: str
    """``company`` or ``data_company``, as in the placeholders of ``sql/``."""
    description: str
    columns: Mapping[str, ColumnType]
    may_be_empty: bool = False
    """Without interactions the job still delivers; without users, parts or fitment it has nothing to say."""


_TABLES = (
    SourceTable(
        "ingestion_unified_attributes_schema_incremental",
        COMPANY,
        "What is known of a user: many rows a user, the latest value of each property wins.",
        {
            "user_id": "STRING",
            "user_properties": _PROPERTIES,
            "update_timestamp": "TIMESTAMP",
            "auxia_insertion_timestamp": "TIMESTAMP",
        },
    ),
    SourceTable(
        "ingestion_unified_schema_incremental",
        COMPANY,
        "Events on the web shop: product views, cart updates, orders.",
        {
            "user_id": "STRING",
            "event_name": "STRING",
            "client_event_timestamp": "TIMESTAMP",
            "event_properties": _PROPERTIES,
        },
        may_be_empty=True,
    ),
    SourceTable(
        "treatment_interaction",
        COMPANY,
        "E-mails opened and clicked. It names no product.",
        {
            "user_id": "STRING",
            "treatment_id": "INT64",
            "treatment_tracking_id": "STRING",
            "interaction_type": "STRING",
            "interaction_timestamp_micros": "TIMESTAMP",
        },
        may_be_empty=True,
    ),
    SourceTable(
        "vehicle_product_fitment_data",
        DATA_COMPANY,
        "Which parts fit which year, make and model. Older exports hold the year as a number.",
        {
            "v1_year": ("STRING", "INT64"),
            "v1_make": "STRING",
            "v1_model": "STRING",
            "products": [{"product_number": "STRING"}],
        },
    ),
    SourceTable(
        "import_items",
        DATA_COMPANY,
        "The catalogue: type, price and tags of each part.",
        {"PartNumber": "STRING", "PartType": "STRING", "Price": "STRING", "Tags": "STRING"},
    ),
    SourceTable(
        "import_items_tags",
        DATA_COMPANY,
        "More tags of parts.",
        {"PartNumber": "STRING", "Tags": "STRING"},
        may_be_empty=True,
    ),
    SourceTable(
        "import_orders",
        DATA_COMPANY,
        "Order lines from the order system, of any age. They overlap the events.",
        {"ITEM": "STRING", "SHIP_TO_EMAIL": "STRING", "ORDER_DATE": "STRING"},
        may_be_empty=True,
    ),
)
SOURCE_TABLES: dict[str, SourceTable] = {table.name: table for table in _TABLES}


class SourceTableError(ValueError):
    """A source table is not what it should be. The message is one line a person can act on."""


class MissingSourceTableError(SourceTableError):
    """There is no such table, and the warehouse itself says so."""


@dataclass(frozen=True)
class TableDescription:
    """What a warehouse says of a table without reading it."""

    location: str
    columns: Mapping[str, ColumnType]
    rows: int
    last_modified: datetime.datetime


class DescribesSources(Protocol):
    """A warehouse, as far as validation needs one."""

    def describe_source(self, table: str) -> TableDescription:
        """Describe a source table; raises SourceTableError where it is missing or unreadable."""


def type_name(column_type: ColumnType) -> str:
    """``column_type`` as BigQuery writes it."""
    if isinstance(column_type, tuple):
        return " or ".join(map(type_name, column_type))
    if isinstance(column_type, list):
        return f"ARRAY<{type_name(column_type[0])}>"
    if isinstance(column_type, dict):
        return f"STRUCT<{', '.join(f'{name} {type_name(field)}' for name, field in column_type.items())}>"
    return column_type


def find_column(columns: Mapping[str, ColumnType], name: str) -> str | None:
    """Name of column ``name`` as the table spells it: column names have no case in BigQuery."""
    return next((column for column in columns if column.lower() == name.lower()), None)


def type_fits(found: ColumnType, expected: ColumnType) -> bool:
    """Whether values of type ``found`` can be read as ``expected``; a struct may have more fields."""
    if found == NULL:
        return True
    if isinstance(expected, tuple):
        return any(type_fits(found, alternative) for alternative in expected)
    if isinstance(expected, list):
        return isinstance(found, list) and type_fits(found[0], expected[0])
    if isinstance(expected, dict):
        if not isinstance(found, dict):
            return False
        fields = {name: find_column(found, name) for name in expected}
        return all(
            field is not None and type_fits(found[field], expected[name]) for name, field in fields.items()
        )
    return found == expected


def column_problems(table: SourceTable, columns: Mapping[str, ColumnType]) -> list[str]:
    """What is wrong with ``columns`` as the columns of ``table``, a sentence a column."""
    problems = []
    for name, expected in table.columns.items():
        column = find_column(columns, name)
        if column is None:
            problems.append(
                f"{table.name}: column {name} is missing; expected {type_name(expected)}, "
                f"found columns {', '.join(columns)}"
            )
        elif not type_fits(columns[column], expected):
            problems.append(
                f"{table.name}: column {name} is {type_name(columns[column])}; expected {type_name(expected)}"
            )
    return problems


def validate_source_tables(
    warehouse: DescribesSources, tables: Iterable[SourceTable] = _TABLES
) -> dict[str, TableDescription]:
    """Describe every source table and make sure that the queries can read it.

    Returns:
        the description of each table by its name.

    Raises:
        SourceTableError: one line that names each wrong table and column, what was found, what is expected.
    """
    descriptions: dict[str, TableDescription] = {}
    problems: list[str] = []
    for table in tables:
        try:
            description = warehouse.describe_source(table.name)
        except SourceTableError as error:
            problems.append(str(error))
            continue
        descriptions[table.name] = description
        problems.extend(column_problems(table, description.columns))
        if description.rows == 0 and not table.may_be_empty:
            problems.append(
                f"{table.name}: the table is empty ({description.location}); expected at least one row"
            )
    if problems:
        raise SourceTableError("; ".join(problems))
    return descriptions
