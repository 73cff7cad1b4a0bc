"""Exposure as the real sends tell it, on tables that were filled by hand, with answers worked out by hand."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_emulator import BigQueryEmulator

from holley_assets.resources.warehouse.bigquery.warehouse import BigQueryWarehouse
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.exposures import EXPOSURES_SCHEMA
from holley_assets.resources.warehouse.interface import QueryResult, WarehouseError
from holley_assets.settings import BigQuerySettings

PARAMETERS = {
    "experiment": "spring",
    "experiment_start": datetime.date(2026, 1, 5),
    "experiment_end": datetime.date(2026, 1, 20),
    "as_of": datetime.date(2026, 2, 1),
}


def published(name: str, day: str, arm: str = "graph", experiment: str = "spring") -> dict[str, Any]:
    """A user whom a delivery published."""
    date = datetime.date.fromisoformat(day)
    return {
        "experiment": experiment,
        "exposure_day": date,
        "email_lower": f"{name}@x.com",
        "assigned_arm": arm,
        "received_arm": "sql",
        "share": 0.5,
        "system": "gnn",
        "model_version": f"m {day}",
        "published_at": datetime.datetime.combine(date, datetime.time(6), tzinfo=datetime.UTC),
    }


def shown(
    folder: Path, log: list[dict[str, Any]], sends: pa.Table, **parameters: object
) -> tuple[list[dict[str, Any]], QueryResult]:
    """Rows of ``shown_exposures`` by day, and what was dropped."""
    paths = {name: folder / f"{name}.parquet" for name in ("experiment_exposures", "experiment_sends")}
    pq.write_table(pa.Table.from_pylist(log, schema=EXPOSURES_SCHEMA), paths["experiment_exposures"])
    pq.write_table(sends, paths["experiment_sends"])
    warehouse = DuckDBWarehouse(
        sources={},
        assets=paths,
        database=folder / "warehouse.duckdb",
        temporary_directory=folder / "tmp",
        columns={"experiment_sends": {"email": "To", "sent_at": "When"}},
    )
    result = warehouse.query_to_parquet("shown_exposures", PARAMETERS | parameters, folder / "shown.parquet")
    return pq.read_table(result.path).to_pylist(), result


def mails(*sends: tuple[str | None, str | None], kind: pa.DataType | None = None) -> pa.Table:
    """A table of sends whose columns have names of their own."""
    times = pa.array([at for _, at in sends], pa.string())
    return pa.table(
        {
            "campaign": ["c"] * len(sends),
            "To": pa.array([address for address, _ in sends], pa.string()),
            "When": times.cast(kind or pa.timestamp("us", "UTC")),
        }
    )


def test_a_send_shows_what_the_newest_delivery_until_its_day_had_published(tmp_path: Path) -> None:
    log = [
        published("a", "2026-01-05", "sql"),
        published("a", "2026-01-08"),
        published("b", "2026-01-05"),
        published("never", "2026-01-05"),
    ]
    rows, result = shown(
        tmp_path,
        log,
        mails(
            (" A@x.com", "2026-01-05T23:59:59.999999Z"),
            ("a@x.com", "2026-01-07T00:00:00Z"),
            ("a@x.com", "2026-01-08T00:00:00Z"),
            ("b@x.com", "2026-01-07T12:00:00Z"),
        ),
    )
    assert [(row["email_lower"], str(row["exposure_day"]), row["assigned_arm"]) for row in rows] == [
        ("a@x.com", "2026-01-05", "sql"),
        ("a@x.com", "2026-01-07", "sql"),
        ("a@x.com", "2026-01-08", "graph"),
        ("b@x.com", "2026-01-07", "graph"),
    ]
    assert result.dropped == {}
    assert rows[1] == {
        **published("a", "2026-01-05", "sql"),
        "exposure_day": datetime.date(2026, 1, 7),
    }


def test_what_shows_nothing_of_the_experiment_is_counted(tmp_path: Path) -> None:
    log = [
        published("a", "2026-01-05"),
        published("b", "2026-01-05"),
        published("b", "2026-01-06"),
        published("c", "2026-01-05", experiment="summer"),
    ]
    rows, result = shown(
        tmp_path,
        log,
        mails(
            ("a@x.com", "2026-01-05T10:00:00Z"),
            ("a@x.com", "2026-01-05T18:00:00Z"),
            # The delivery of the 6th left the user out.
            ("a@x.com", "2026-01-06T10:00:00Z"),
            ("a@x.com", "2026-01-06T11:00:00Z"),
            ("c@x.com", "2026-01-06T10:00:00Z"),
            ("none", "2026-01-06T10:00:00Z"),
            (None, "2026-01-06T10:00:00Z"),
            ("b@x.com", None),
        ),
    )
    assert [(row["email_lower"], str(row["exposure_day"])) for row in rows] == [("a@x.com", "2026-01-05")]
    assert result.dropped == {
        "duplicate row": 1,
        "not in the delivery": 3,
        "e-mail invalid": 2,
        "no time": 1,
    }


@pytest.mark.parametrize(
    ("day", "as_of", "counts"),
    [
        ("2026-01-04", "2026-02-01", False),
        ("2026-01-05", "2026-02-01", True),
        ("2026-01-20", "2026-02-01", True),
        ("2026-01-21", "2026-02-01", False),
        ("2026-01-12", "2026-01-12", True),
        ("2026-01-13", "2026-01-12", False),
    ],
)
def test_sends_count_from_the_start_to_the_planned_end(
    tmp_path: Path, day: str, as_of: str, counts: bool
) -> None:
    log = [published("a", "2026-01-04"), published("a", "2026-01-05")]
    rows, result = shown(
        tmp_path, log, mails(("a@x.com", f"{day}T12:00:00Z")), as_of=datetime.date.fromisoformat(as_of)
    )
    assert len(rows) == counts and result.dropped == {}


@pytest.mark.parametrize(
    ("delivered", "sent"),
    [
        (published("a", "2026-01-04"), "2026-01-06"),
        (published("a", "2026-01-06", experiment="summer"), "2026-01-06"),
        (published("a", "2026-01-07"), "2026-01-06"),
    ],
)
def test_a_delivery_before_the_start_of_another_experiment_or_after_the_mail_shows_nothing(
    tmp_path: Path, delivered: dict[str, Any], sent: str
) -> None:
    rows, result = shown(tmp_path, [delivered], mails(("a@x.com", f"{sent}T12:00:00Z")))
    assert rows == [] and result.dropped == {"not in the delivery": 1}


def test_what_is_delivered_and_sent_on_the_day_of_the_reading_counts(tmp_path: Path) -> None:
    log = [published("a", "2026-01-05", "sql"), published("a", "2026-01-12")]
    rows, _ = shown(
        tmp_path, log, mails(("a@x.com", "2026-01-12T12:00:00Z")), as_of=datetime.date(2026, 1, 12)
    )
    assert [row["assigned_arm"] for row in rows] == ["graph"]


@pytest.mark.parametrize("kind", [pa.date32(), pa.timestamp("us"), pa.string()])
def test_a_day_a_time_without_a_zone_and_a_text_are_utc(tmp_path: Path, kind: pa.DataType) -> None:
    text = "2026-01-06" if kind == pa.date32() else "2026-01-06 23:30:00"
    rows, _ = shown(tmp_path, [published("a", "2026-01-05")], mails(("a@x.com", text), kind=kind))
    assert [str(row["exposure_day"]) for row in rows] == ["2026-01-06"]


def test_a_text_that_is_no_time_is_dropped(tmp_path: Path) -> None:
    rows, result = shown(
        tmp_path, [published("a", "2026-01-05")], mails(("a@x.com", "soon"), kind=pa.string())
    )
    assert rows == [] and result.dropped == {"no time": 1}


def test_bigquery_gives_the_same_rows_and_names_a_column_that_is_missing(
    bigquery_emulator: BigQueryEmulator, tmp_path: Path
) -> None:
    log = [published("a", "2026-01-05", "sql"), published("b", "2026-01-05"), published("b", "2026-01-09")]
    sends = mails(
        (" A@x.com", "2026-01-05T23:59:59.999999Z"),
        ("b@x.com", "2026-01-08T00:00:00Z"),
        ("b@x.com", "2026-01-08T01:00:00Z"),
        ("a@x.com", "2026-01-09T00:00:00Z"),
        ("b@x.com", None),
    )
    rows, local = shown(tmp_path, log, sends)
    for dataset, name in (("sends_log", "experiment_exposures"), ("sends_mail", "experiment_sends")):
        bigquery_emulator.load_parquet(dataset, name, tmp_path / f"{name}.parquet")
    with bigquery_emulator.client() as client:
        client.create_dataset("sends_work", exists_ok=True)

        def opened(time_column: str) -> BigQueryWarehouse:
            return BigQueryWarehouse(
                client,
                None,
                BigQuerySettings(project=bigquery_emulator.project, working_dataset="sends_work"),
                temporary_directory=tmp_path / "tmp",
                stand_ins={"experiment_sends": "sends_mail.experiment_sends"},
                columns={"experiment_sends": {"email": "To", "sent_at": time_column}},
            ).with_output({"experiment_exposures": ("sends_log", "experiment_exposures")})

        result = opened("When").query_to_parquet("shown_exposures", PARAMETERS, tmp_path / "cloud.parquet")
        found = pq.read_table(result.path).to_pylist()
        assert found == rows and result.dropped == local.dropped
        assert result.dropped == {"duplicate row": 1, "not in the delivery": 1, "no time": 1}
        with pytest.raises(WarehouseError, match="Whenever") as raised:
            opened("Whenever").query_to_parquet("shown_exposures", PARAMETERS, tmp_path / "none.parquet")
    assert "\n" not in str(raised.value)
