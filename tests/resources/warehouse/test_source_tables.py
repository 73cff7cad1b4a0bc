"""Source tables: refused before any work, with one line that says what is wrong."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import (
    SOURCE_TABLES,
    SourceTableError,
    TableDescription,
    type_name,
    validate_source_tables,
)

PROPERTY = pa.struct(
    [
        ("property_name", pa.string()),
        ("string_value", pa.string()),
        ("long_value", pa.int64()),
        ("double_value", pa.float64()),
    ]
)
TIMESTAMP = pa.timestamp("us", "UTC")
SCHEMAS = {
    "ingestion_unified_attributes_schema_incremental": pa.schema(
        [
            ("user_id", pa.string()),
            ("user_properties", pa.list_(PROPERTY)),
            ("update_timestamp", TIMESTAMP),
            ("auxia_insertion_timestamp", TIMESTAMP),
        ]
    ),
    "ingestion_unified_schema_incremental": pa.schema(
        [
            ("user_id", pa.string()),
            ("event_name", pa.string()),
            ("client_event_timestamp", TIMESTAMP),
            ("event_properties", pa.list_(PROPERTY)),
        ]
    ),
    "treatment_interaction": pa.schema(
        [
            ("user_id", pa.string()),
            ("treatment_id", pa.int64()),
            ("treatment_tracking_id", pa.string()),
            ("interaction_type", pa.string()),
            ("interaction_timestamp_micros", TIMESTAMP),
        ]
    ),
    "vehicle_product_fitment_data": pa.schema(
        [
            ("v1_year", pa.string()),
            ("v1_make", pa.string()),
            ("v1_model", pa.string()),
            ("products", pa.list_(pa.struct([("product_number", pa.string())]))),
        ]
    ),
    "import_items": pa.schema([(name, pa.string()) for name in ("PartNumber", "PartType", "Price", "Tags")]),
    "import_items_tags": pa.schema([(name, pa.string()) for name in ("PartNumber", "Tags")]),
    "import_orders": pa.schema([(name, pa.string()) for name in ("ITEM", "SHIP_TO_EMAIL", "ORDER_DATE")]),
}


class Sources:
    """Seven sound source files to spoil."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for table, schema in SCHEMAS.items():
            self.write(table, schema)

    def path(self, table: str) -> Path:
        return self.folder / f"{table}.parquet"

    def write(self, table: str, schema: pa.Schema, rows: int = 1, path: Path | None = None) -> None:
        columns = [pa.nulls(rows, field.type) for field in schema]
        pq.write_table(pa.table(columns, schema=schema), path or self.path(table))

    def retype(self, table: str, column: str, kind: pa.DataType) -> None:
        schema = SCHEMAS[table]
        self.write(table, schema.set(schema.get_field_index(column), pa.field(column, kind)))

    def validate(self) -> dict[str, TableDescription]:
        return validate_source_tables(
            DuckDBWarehouse(
                sources={table: self.path(table) for table in SCHEMAS},
                assets={},
                database=self.folder / "warehouse.duckdb",
                temporary_directory=self.folder / "tmp",
            )
        )

    def problem(self) -> str:
        with pytest.raises(SourceTableError) as error:
            self.validate()
        assert "\n" not in str(error.value)
        return str(error.value)


@pytest.fixture
def sources(tmp_path: Path) -> Sources:
    return Sources(tmp_path)


def test_sound_tables_are_described(sources: Sources) -> None:
    descriptions = sources.validate()
    assert list(descriptions) == list(SOURCE_TABLES)
    orders = descriptions["import_orders"]
    assert (orders.rows, orders.location) == (1, str(sources.path("import_orders")))
    assert orders.columns == SOURCE_TABLES["import_orders"].columns
    assert orders.last_modified.tzinfo is not None


def test_missing_table(sources: Sources) -> None:
    sources.path("import_items").unlink()
    path = sources.path("import_items")
    assert sources.problem() == f"import_items: the table is missing; expected {path}"


def test_folder_without_parts(sources: Sources) -> None:
    path = sources.path("import_items")
    path.unlink()
    path.mkdir()
    (path / "_SUCCESS").touch()
    (path / "_temporary").mkdir()
    sources.write("import_items", SCHEMAS["import_items"], path=path / "_temporary" / "part.parquet")
    assert sources.problem() == f"import_items: the table is missing; {path} holds no .parquet file"


def test_missing_column(sources: Sources) -> None:
    sources.write("import_items", SCHEMAS["import_items"].remove(2))
    assert sources.problem() == (
        "import_items: column Price is missing; expected STRING, found columns PartNumber, PartType, Tags"
    )


@pytest.mark.parametrize(
    ("table", "column", "kind", "message"),
    [
        ("import_items", "Price", pa.float64(), "column Price is FLOAT64; expected STRING"),
        (
            "treatment_interaction",
            "interaction_timestamp_micros",
            pa.int64(),
            "column interaction_timestamp_micros is INT64; expected TIMESTAMP",
        ),
        (
            "treatment_interaction",
            "treatment_id",
            pa.string(),
            "column treatment_id is STRING; expected INT64",
        ),
        (
            "vehicle_product_fitment_data",
            "v1_year",
            pa.float64(),
            "column v1_year is FLOAT64; expected STRING or INT64",
        ),
        (
            "vehicle_product_fitment_data",
            "products",
            pa.list_(pa.string()),
            "column products is ARRAY<STRING>; expected ARRAY<STRUCT<product_number STRING>>",
        ),
        (
            "vehicle_product_fitment_data",
            "products",
            pa.string(),
            "column products is STRING; expected ARRAY<STRUCT<product_number STRING>>",
        ),
        (
            "ingestion_unified_schema_incremental",
            "event_properties",
            pa.list_(pa.struct([("property_name", pa.string()), ("string_value", pa.string())])),
            "column event_properties is ARRAY<STRUCT<property_name STRING, string_value STRING>>; "
            "expected ARRAY<STRUCT<property_name STRING, string_value STRING, "
            "long_value INT64, double_value FLOAT64>>",
        ),
    ],
)
def test_wrong_type(sources: Sources, table: str, column: str, kind: pa.DataType, message: str) -> None:
    sources.retype(table, column, kind)
    assert sources.problem() == f"{table}: {message}"


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("treatment_interaction", "treatment_id", pa.int32()),
        ("treatment_interaction", "user_id", pa.large_string()),
        ("treatment_interaction", "user_id", pa.dictionary(pa.int32(), pa.string())),
        ("treatment_interaction", "user_id", pa.null()),
        ("treatment_interaction", "interaction_timestamp_micros", pa.timestamp("ns")),
        ("treatment_interaction", "interaction_timestamp_micros", pa.timestamp("ms", "America/Chicago")),
        ("vehicle_product_fitment_data", "v1_year", pa.int64()),
        ("vehicle_product_fitment_data", "v1_year", pa.int16()),
        (
            "ingestion_unified_schema_incremental",
            "event_properties",
            pa.large_list(
                pa.struct(
                    [
                        ("Double_Value", pa.float32()),
                        ("string_value", pa.large_string()),
                        ("long_value", pa.null()),
                        ("property_name", pa.string()),
                        ("float_value", pa.float64()),
                    ]
                )
            ),
        ),
    ],
)
def test_other_ways_to_store_the_same_type_are_read(
    sources: Sources, table: str, column: str, kind: pa.DataType
) -> None:
    sources.retype(table, column, kind)
    descriptions = sources.validate()
    assert descriptions[table].rows == 1


def test_column_names_have_no_case(sources: Sources) -> None:
    schema = SCHEMAS["import_items"]
    sources.write("import_items", pa.schema([(field.name.upper(), field.type) for field in schema]))
    assert sources.validate()["import_items"].rows == 1


def test_unreadable_file(sources: Sources) -> None:
    sources.path("import_items").write_bytes(b"not a Parquet file at all")
    assert "import_items.parquet cannot be read as Parquet" in sources.problem()


@pytest.mark.parametrize("table", SCHEMAS)
def test_empty_table(sources: Sources, table: str) -> None:
    sources.write(table, SCHEMAS[table], rows=0)
    if SOURCE_TABLES[table].may_be_empty:
        assert sources.validate()[table].rows == 0
    else:
        path = sources.path(table)
        assert sources.problem() == f"{table}: the table is empty ({path}); expected at least one row"


def test_all_problems_are_told_at_once(sources: Sources) -> None:
    sources.path("import_items").unlink()
    sources.retype("import_orders", "ITEM", pa.int64())
    sources.write("vehicle_product_fitment_data", SCHEMAS["vehicle_product_fitment_data"], rows=0)
    tables = [problem.split(":")[0] for problem in sources.problem().split("; ") if ":" in problem]
    assert tables == ["vehicle_product_fitment_data", "import_items", "import_orders"]


def parts(sources: Sources, table: str) -> list[Path]:
    path = sources.path(table)
    path.unlink()
    (path / "day=1").mkdir(parents=True)
    return [path / "a.parquet", path / "day=1" / "b.parquet"]


def test_part_files_are_one_table(sources: Sources) -> None:
    for part in parts(sources, "import_items"):
        sources.write("import_items", SCHEMAS["import_items"], rows=2, path=part)
    assert sources.validate()["import_items"].rows == 4


def test_part_that_differs_is_named(sources: Sources) -> None:
    first, second = parts(sources, "import_items")
    sources.write("import_items", SCHEMAS["import_items"], path=first)
    sources.write("import_items", SCHEMAS["import_items"].remove(2), path=second)
    assert sources.problem() == (
        "import_items: column Price is missing; expected STRING, found columns PartNumber, PartType, Tags "
        "(in part b.parquet)"
    )


def test_type_names_are_bigquerys() -> None:
    table = SOURCE_TABLES["vehicle_product_fitment_data"]
    assert [type_name(kind) for kind in table.columns.values()] == [
        "STRING or INT64",
        "STRING",
        "STRING",
        "ARRAY<STRUCT<product_number STRING>>",
    ]
