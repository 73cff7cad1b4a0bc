"""Parquet between assets: three kinds of values, whole files, no identifying column in metadata."""

from __future__ import annotations

import datetime
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from holley_assets.core.materialized import Materialized
from holley_assets.core.time_windows import TimeWindows
from holley_assets.resources.io_manager import ParquetIOManager, read_parquet, write_parquet
from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.table_metadata import table_schema

TABLE = pa.table({"email_lower": ["a@x.com", "b@x.com"], "make": ["FORD", "FORD"], "year": [1969, 1970]})


@pytest.fixture
def data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    return tmp_path


def materialize(value: object) -> dg.ExecuteInProcessResult:
    @dg.asset
    def cars() -> Materialized:
        return dg.MaterializeResult(value=value)

    manager = ParquetIOManager(settings=SettingsResource())
    return dg.materialize([cars], resources={"io_manager": manager}, raise_on_error=False)


def stream() -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(TABLE.schema, iter(TABLE.to_batches(max_chunksize=1)))


@pytest.mark.parametrize("kind", ["table", "stream", "path"])
def test_every_kind_of_value_becomes_the_same_table(data_dir: Path, kind: str) -> None:
    staged = data_dir / "elsewhere.parquet"
    pq.write_table(TABLE, staged)
    value = {"table": TABLE, "stream": stream(), "path": staged}[kind]

    assert materialize(value).success
    loaded = read_parquet(data_dir / "assets" / "cars.parquet")
    assert loaded.to_pylist() == TABLE.to_pylist()
    assert [path.name for path in (data_dir / "assets").iterdir()] == ["cars.parquet"]
    assert staged.exists() == (kind != "path"), "a written file is moved, not copied"


def test_columns_of_few_values_are_loaded_as_dictionaries(data_dir: Path) -> None:
    materialize(TABLE)
    schema = read_parquet(data_dir / "assets" / "cars.parquet").schema
    assert pa.types.is_dictionary(schema.field("make").type)
    assert schema.field("email_lower").type == pa.string()


def test_a_column_of_few_values_can_be_grouped_by_across_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "cars.parquet"
    cars = pa.table({"make": ["FORD", "FORD", "DODGE", "FORD"]})
    pq.write_table(cars, path, row_group_size=1)
    counts = read_parquet(path).group_by("make").aggregate([([], "count_all")])
    assert sorted(counts.to_pylist(), key=str) == sorted(
        [{"make": "FORD", "count_all": 3}, {"make": "DODGE", "count_all": 1}], key=str
    )


def test_metadata_describes_the_file_and_identifies_nobody(data_dir: Path) -> None:
    result = materialize(TABLE)
    metadata = result.asset_materializations_for_node("cars")[0].metadata
    assert metadata["dagster/row_count"].value == 2
    assert len(str(metadata["sha256"].value)) == 64
    assert "a@x.com" not in repr(metadata)
    assert "FORD" in repr(metadata["preview"])


@pytest.mark.parametrize(("source", "invented"), [("sample", True), ("bigquery", False)])
def test_every_table_says_of_which_day_and_source_it_is(data_dir: Path, source: str, invented: bool) -> None:
    """By the windows that lie beside it; without them nothing is claimed."""
    assert "as_of" not in materialize(TABLE).asset_materializations_for_node("cars")[0].metadata
    as_of, cutoff, start = datetime.date(2026, 2, 1), datetime.date(2026, 1, 2), datetime.date(2025, 8, 5)
    windows = TimeWindows(as_of, cutoff, start, source=source, source_location="somewhere")

    @dg.asset
    def time_windows() -> Materialized:
        return dg.MaterializeResult(value=windows.to_table(), metadata={"as_of": "2026-02-01"})

    manager = ParquetIOManager(settings=SettingsResource())
    made = dg.materialize([time_windows], resources={"io_manager": manager})
    own = made.asset_materializations_for_node("time_windows")[0].metadata
    beside = materialize(TABLE).asset_materializations_for_node("cars")[0].metadata
    for metadata in (own, beside):
        assert metadata["as_of"].value == "2026-02-01" and metadata["source"].value == source
        assert ("generated_sample" in metadata) == invented
    # What was made in which windows is told by their file.
    assert beside["time_windows_sha256"].value == own["sha256"].value
    assert "time_windows_sha256" not in own


def test_downstream_receives_the_table_and_may_ask_for_columns(data_dir: Path) -> None:
    received: list[pa.Table] = []

    @dg.asset
    def cars() -> Materialized:
        return dg.MaterializeResult(value=TABLE)

    @dg.asset(ins={"cars": dg.AssetIn(metadata={"columns": ["year"]})})
    def years(cars: pa.Table) -> Materialized:
        received.append(cars)
        return dg.MaterializeResult(value=cars)

    manager = ParquetIOManager(settings=SettingsResource())
    assert dg.materialize([cars, years], resources={"io_manager": manager}).success
    assert received[0].to_pydict() == {"year": [1969, 1970]}


def test_a_stream_that_breaks_leaves_the_previous_file(data_dir: Path) -> None:
    materialize(TABLE)
    before = (data_dir / "assets" / "cars.parquet").read_bytes()

    def broken() -> object:
        yield TABLE.to_batches()[0]
        raise OSError("disk full")

    result = materialize(pa.RecordBatchReader.from_batches(TABLE.schema, broken()))
    assert not result.success
    assert (data_dir / "assets" / "cars.parquet").read_bytes() == before
    assert [path.name for path in (data_dir / "assets").iterdir()] == ["cars.parquet"]


def test_other_values_are_refused_by_type(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="not list"):
        write_parquet([1, 2], tmp_path / "x.parquet")


@pytest.mark.parametrize(
    ("kind", "shown"),
    [
        (pa.list_(pa.struct({"epoch": pa.int64(), "seconds": pa.float64()})), "list of records"),
        (pa.list_(pa.float32(), 64), "64 float"),
        (pa.large_list(pa.string()), "list of string"),
        (pa.dictionary(pa.int32(), pa.string()), "string"),
        (pa.timestamp("us", "UTC"), "timestamp, UTC"),
        (pa.timestamp("us"), "timestamp"),
        (pa.date32(), "date"),
        (pa.int16(), "int16"),
    ],
)
def test_a_column_s_type_fits_into_a_cell(kind: pa.DataType, shown: str) -> None:
    (column,) = table_schema(pa.schema({"history": kind}), "trained_checkpoint").columns
    assert column.type == shown
