"""The folder of a sample: its tables' types, that it repeats, and that it appears whole or not at all."""

from __future__ import annotations

import datetime
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.sample_data import generate, generate_sample, oracle_scores, oracle_user_scores
from holley_assets.sample_data.parameters import SampleParameters

STRING, INTEGER, FLOAT = pa.string(), pa.int64(), pa.float64()
TIMESTAMP = pa.timestamp("us", tz="UTC")
PROPERTIES = pa.list_(
    pa.field(
        "element",
        pa.struct(
            [
                ("property_name", STRING),
                ("string_value", STRING),
                ("long_value", INTEGER),
                ("double_value", FLOAT),
            ]
        ),
    )
)
PRODUCTS = pa.list_(pa.field("element", pa.struct([("product_number", STRING)])))
SCHEMAS = {
    "ingestion_unified_attributes_schema_incremental": {
        "user_id": STRING,
        "user_properties": PROPERTIES,
        "update_timestamp": TIMESTAMP,
        "auxia_insertion_timestamp": TIMESTAMP,
    },
    "ingestion_unified_schema_incremental": {
        "user_id": STRING,
        "event_name": STRING,
        "client_event_timestamp": TIMESTAMP,
        "event_properties": PROPERTIES,
    },
    "treatment_interaction": {
        "user_id": STRING,
        "treatment_id": INTEGER,
        "treatment_tracking_id": STRING,
        "interaction_type": STRING,
        "interaction_timestamp_micros": TIMESTAMP,
    },
    "vehicle_product_fitment_data": {
        "v1_year": STRING,
        "v1_make": STRING,
        "v1_model": STRING,
        "products": PRODUCTS,
    },
    "import_items": {"PartNumber": STRING, "PartType": STRING, "Price": STRING, "Tags": STRING},
    "import_items_tags": {"PartNumber": STRING, "Tags": STRING},
    "import_orders": {"ITEM": STRING, "SHIP_TO_EMAIL": STRING, "ORDER_DATE": STRING},
}
AS_OF, INTENT_START = datetime.date(2026, 1, 15), datetime.date(2025, 9, 1)
SMALL: dict[str, Any] = {
    "users": 300,
    "kind": "segment",
    "seed": 1,
    "as_of": AS_OF,
    "intent_start": INTENT_START,
}


def digests(folder: Path) -> dict[str, str]:
    """A hash of each file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("table", SCHEMAS)
def test_columns_have_the_contracts_types(sample: Path, table: str) -> None:
    schema = pq.read_schema(sample / f"{table}.parquet")
    assert {field.name: field.type for field in schema} == SCHEMAS[table]


def test_the_folder_holds_the_seven_tables_the_truth_and_a_manifest(sample: Path) -> None:
    assert {path.name for path in sample.iterdir()} == {f"{table}.parquet" for table in SCHEMAS} | {
        "oracle",
        "sample.json",
    }
    assert oracle_scores(sample).column_names == ["year", "make", "model", "base_sku", "score"]
    assert oracle_user_scores(sample).column_names == ["email_lower", "base_sku", "score"]
    assert oracle_scores(sample).schema.field("year").type == pa.int64()
    assert oracle_scores(sample).schema.field("score").type == pa.float64()


def test_equal_parameters_give_equal_bytes_and_another_seed_gives_others(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        generate_sample(tmp_path / name, **{**SMALL, "seed": seed})
    one, two, three = (digests(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert all(one[file] != three[file] for file in one)


def test_an_existing_sample_is_reused_and_another_one_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "sample"
    first = generate_sample(folder, **SMALL)
    changed = (folder / "import_items.parquet").stat().st_mtime_ns
    again = generate_sample(folder, **SMALL)
    assert not first.reused
    assert again.reused
    assert again.rows == first.rows
    assert (folder / "import_items.parquet").stat().st_mtime_ns == changed
    other = generate_sample(folder, **{**SMALL, "kind": "null"})
    assert not other.reused
    assert generate_sample(folder, **{**SMALL, "kind": "null"}).reused
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_a_sample_that_lost_a_table_is_made_again(tmp_path: Path) -> None:
    generate_sample(tmp_path / "sample", **SMALL)
    before = digests(tmp_path / "sample")
    (tmp_path / "sample" / "import_orders.parquet").unlink()
    assert not generate_sample(tmp_path / "sample", **SMALL).reused
    assert digests(tmp_path / "sample") == before


def test_a_folder_that_is_no_sample_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(FileExistsError, match="holds no sample data"):
        generate_sample(tmp_path, **SMALL)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_failure_leaves_the_old_sample_and_no_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "sample"
    generate_sample(folder, **SMALL)
    before = digests(folder)

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(generate, "build_purchases", fail)
    with pytest.raises(OSError, match="no space left"):
        generate_sample(folder, **{**SMALL, "seed": 9})
    assert digests(folder) == before
    assert [path.name for path in tmp_path.iterdir()] == ["sample"]


def test_the_rows_of_the_summary_are_those_of_the_files(tmp_path: Path) -> None:
    summary = generate_sample(tmp_path / "sample", **SMALL)
    assert summary.rows == {
        table: pq.read_metadata(tmp_path / "sample" / f"{table}.parquet").num_rows for table in SCHEMAS
    }


@pytest.mark.parametrize(
    ("as_of", "test_days"),
    [
        (datetime.date(2025, 9, 2), 30),
        (datetime.date(2025, 9, 11), 30),
        (datetime.date(2025, 10, 2), 30),
        (datetime.date(2026, 12, 1), 7),
    ],
)
def test_short_and_long_windows(tmp_path: Path, as_of: datetime.date, test_days: int) -> None:
    generate_sample(tmp_path / "sample", **{**SMALL, "as_of": as_of}, test_days=test_days)
    clicks = pq.read_table(tmp_path / "sample" / "treatment_interaction.parquet")
    clicked = clicks.filter([kind.as_py().lower() == "clicked" for kind in clicks["interaction_type"]])
    days = [time.date() for time in clicked["interaction_timestamp_micros"].to_pylist()]
    assert days
    assert max(INTENT_START, as_of - datetime.timedelta(days=test_days)) <= min(days) <= max(days) < as_of


def test_sizes_follow_the_users() -> None:
    sizes: dict[int, tuple[int, int]] = {}
    for users in (40_000, 475_000):
        parameters = SampleParameters.resolve(
            **{**SMALL, "users": users}, products=None, models=None, test_days=30
        )
        sizes[users] = (parameters.products, parameters.models)
    assert sizes[475_000] == (25_000, 2_000)
    assert list(sizes[40_000]) == pytest.approx([4_000, 300], rel=0.01)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"users": 10}, "users=10 is not allowed; allowed: 100 or more"),
        ({"kind": "cold"}, "kind='cold' is not allowed; allowed: segment, taste, real_cars or null"),
        ({"traffic": 0.0}, "traffic=0.0 is not allowed; allowed: above 0 and up to 10"),
        ({"traffic": float("nan")}, "traffic=nan is not allowed; allowed: above 0 and up to 10"),
        ({"return_share": 1.5}, "return_share=1.5 is not allowed; allowed: from 0 to 1"),
        ({"products": 3}, "products=3 is not allowed; allowed: 40 or more"),
        ({"as_of": INTENT_START}, "as_of=2025-09-01 is not allowed; allowed: a day after"),
    ],
)
def test_parameters_that_cannot_be_used(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        generate_sample(tmp_path / "sample", **{**SMALL, **change})
    assert not (tmp_path / "sample").exists()
