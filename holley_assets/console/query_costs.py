"""What the queries cost in BigQuery, as a page: bytes by column and day, from sizes of tables and the settings' price.

python -m holley_assets.console.query_costs --measure DATA_DIR    # sizes of the tables of a finished run
python -m holley_assets.console.query_costs > holley_assets/deploy/COSTS.md
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime
import json
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow.parquet as pq

from holley_assets.checks.recommendation_checks import DELIVERED_PARTS, ENOUGH_USERS
from holley_assets.checks.staged_table import STAGED_FINGERPRINT
from holley_assets.core.time_windows import TimeWindows
from holley_assets.pipeline.options import query_parameters
from holley_assets.resources.warehouse.duckdb.files import part_files
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.scans import billed_bytes, find_scans, scanned_bytes
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import query_dependencies, query_names, read_query
from holley_assets.resources.warehouse.table_sizes import (
    DAY_COLUMNS,
    TableSize,
    day_number,
    measure_table,
)
from holley_assets.resources.warehouse_resource import ASSET_FOLDER, source_path
from holley_assets.settings import (
    BigQuerySettings,
    ScheduleSettings,
    Settings,
    load_section,
    load_settings,
)

SIZES_FILE = Path(__file__).parents[1] / "deploy" / "table_sizes.json"
JOBS = ("weekly_retrain", "daily_score")
_MIB, _GIB = 1 << 20, 1 << 30
_DAYS_A_MONTH = 365.25 / 12

INTRODUCTION = """\
# What the queries cost

BigQuery bills the bytes of the columns that a query reads, of the days that its conditions leave, at least 10 MiB for
each table. The figures are computed from the SQL files, from the sizes of the tables of one run and from
`HOLLEY_BIGQUERY_DOLLARS_PER_TIB`. Nothing here was asked of BigQuery: in production the page of each asset shows what
was billed (`bytes_billed`, `estimated_dollars`), and a dry run tells beforehand. A local run shows `bigquery_bytes` and
`bigquery_dollars` there, from the tables that it made.

This page is written by the two commands below, of which the first reads the `HOLLEY_DATA_DIR` of a finished run. A
change of a query needs the second, a new table the first too.

```bash
.venv/bin/python -m holley_assets.console.query_costs --measure data --source 'a sample of 20,000 users'
.venv/bin/python -m holley_assets.console.query_costs > holley_assets/deploy/COSTS.md
```
"""


@dataclasses.dataclass(frozen=True)
class MeasuredRun:
    """Tables of one run.

    Attributes:
        source: what the source tables were.
        days: values of ``as_of``, ``cutoff`` and ``intent_start``.
        sizes: of source tables and assets, by name; days are those at which a window begins.
    """

    source: str
    days: Mapping[str, datetime.date]
    sizes: Mapping[str, TableSize]


@dataclasses.dataclass(frozen=True)
class QueryCost:
    """One query.

    Attributes:
        scanned: bytes with source tables that are partitioned by day.
        unpartitioned: bytes without.
        billed: bytes, with what follows the query; sources are partitioned.
    """

    name: str
    tables: list[str]
    scanned: int
    unpartitioned: int
    billed: int


def measure_run(data_dir: Path, source: str | None, settings: Settings) -> MeasuredRun:
    """Sizes of what a finished run in ``data_dir`` read and made.

    Args:
        source: what the source tables are, for people; unset: the name of their folder.

    Raises:
        FileNotFoundError: no run has finished there.
    """
    assets = {path.stem: path for path in (data_dir / ASSET_FOLDER).glob("[!.]*.parquet")}
    windows = TimeWindows.from_table(pq.read_table(data_dir / ASSET_FOLDER / "time_windows.parquet"))
    sources = {table: source_path(Path(windows.source_location), table) for table in SOURCE_TABLES}
    days = {name: getattr(windows, name) for name in ("as_of", "cutoff", "intent_start")}
    named = {table for query in query_names() for table in query_dependencies(query)}
    with TemporaryDirectory() as folder:
        if DELIVERED_PARTS not in assets:
            # No file stays of what the checks read.
            made = Path(folder) / "delivered.parquet"
            warehouse = DuckDBWarehouse(
                sources=sources, assets=assets, database=Path(folder) / "d", temporary_directory=Path(folder)
            )
            assets[DELIVERED_PARTS] = warehouse.query_to_parquet(
                DELIVERED_PARTS, query_parameters(settings, windows), made
            ).path
        files = {**assets, **sources}
        wanted = sorted((named | set(query_names())) & files.keys())
        sizes = {table: measure_table(part_files(files[table]), table) for table in wanted}
    return MeasuredRun(
        source or Path(windows.source_location).name,
        days,
        {table: _by_window(size, days.values()) for table, size in sizes.items()},
    )


def _by_window(size: TableSize, days: Iterable[datetime.date]) -> TableSize:
    """The same where days between two windows count as the first of them: no query asks for less."""
    starts = sorted(map(day_number, days))
    counts: dict[int, int] = {}
    for day, rows in size.days.items():
        start = max((start for start in starts if start <= day), default=starts[0] - 1)
        counts[start] = counts.get(start, 0) + rows
    return dataclasses.replace(size, days=dict(sorted(counts.items())))


def write_sizes(run: MeasuredRun, path: Path) -> None:
    """Keep what was measured as JSON, a line a table."""
    lines = [
        f"    {json.dumps(table)}: {json.dumps(dataclasses.asdict(size))}"
        for table, size in run.sizes.items()
    ]
    days = json.dumps({name: day.isoformat() for name, day in run.days.items()})
    path.write_text(
        f'{{\n  "source": {json.dumps(run.source)},\n  "days": {days},\n  "sizes": {{\n'
        + ",\n".join(lines)
        + "\n  }\n}\n"
    )


def read_sizes(path: Path) -> MeasuredRun:
    """What :func:`write_sizes` kept."""
    kept: dict[str, Any] = json.loads(path.read_text())
    sizes = {
        table: TableSize(
            size["rows"], size["columns"], {int(day): rows for day, rows in size["days"].items()}
        )
        for table, size in kept["sizes"].items()
    }
    days = {name: datetime.date.fromisoformat(day) for name, day in kept["days"].items()}
    return MeasuredRun(kept["source"], days, sizes)


def query_cost(name: str, run: MeasuredRun) -> QueryCost | None:
    """What query ``name`` costs on the tables of ``run``; ``None`` where the size of one is not known."""
    query, tables = read_query(name), query_dependencies(name)
    if not set(tables) <= run.sizes.keys():
        return None
    scans = find_scans(query, {table: tuple(run.sizes[table].columns) for table in tables})
    scanned = scanned_bytes(scans, run.sizes, run.days)
    return QueryCost(
        name,
        tables,
        sum(scanned.values()),
        sum(scanned_bytes(scans, run.sizes, None).values()),
        billed_bytes(query, scanned, run.sizes.get(name, TableSize(0, {}))),
    )


def times_in_jobs() -> dict[str, dict[str, int]]:
    """How often a run of each job asks each query, by job and query."""
    from holley_assets.definitions import definitions

    times: dict[str, dict[str, int]] = {}
    for job in JOBS:
        layer = definitions.resolve_job_def(job).asset_layer
        assets = [key.path[-1] for key in layer.executable_asset_keys]
        checks = [key.name for key in layer.asset_graph.asset_check_keys]
        counts = {name: assets.count(name) + checks.count(name) for name in query_names()}
        # Each table that is staged is written down in long form once, and looked at when staged and when published.
        staged = checks.count(ENOUGH_USERS)
        times[job] = {**counts, DELIVERED_PARTS: staged, STAGED_FINGERPRINT: 2 * staged}
    return times


def page(
    run: MeasuredRun,
    times: Mapping[str, Mapping[str, int]],
    prices: BigQuerySettings,
    schedule: ScheduleSettings,
) -> str:
    """The whole page, as Markdown."""
    costs = [query_cost(name, run) for name in query_names()]
    known = [cost for cost in costs if cost is not None]
    unknown = sorted(set(query_names()) - {cost.name for cost in known})
    days = run.days
    parts = [
        INTRODUCTION,
        _wrapped(
            f"Measured: {run.source}, as of {days['as_of']}, events from {days['intent_start']}; "
            f"${prices.dollars_per_tib:g} a TiB."
        ),
        _jobs(known, times, prices, schedule),
        _queries(known, times, prices),
        _wrapped(
            "Not measured, since a run without an experiment and a table of the live pipeline does not ask them: "
            + ", ".join(f"`{name}`" for name in unknown)
        ),
        _sources(run),
    ]
    return "\n".join(parts)


def _jobs(
    costs: list[QueryCost],
    times: Mapping[str, Mapping[str, int]],
    prices: BigQuerySettings,
    schedule: ScheduleSettings,
) -> str:
    a_month = {"weekly_retrain": _DAYS_A_MONTH / 7, "daily_score": _DAYS_A_MONTH / schedule.score_every_days}
    rows, month = [], 0.0
    for job, counts in times.items():
        billed = sum(cost.billed * counts[cost.name] for cost in costs)
        month += prices.dollars(billed) * a_month[job]
        rows.append(
            f"| `{job}` | {billed / _GIB:,.2f} | {prices.dollars(billed):.4f} | {a_month[job]:.1f} | "
            f"{prices.dollars(billed) * a_month[job]:.2f} |"
        )
    return "\n".join(
        [
            "## Jobs\n",
            "| job | GiB billed a run | $ a run | runs a month | $ a month |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            f"| sum | | | | {month:.2f} |\n",
            _wrapped(
                f"The budget of a month is ${prices.month_budget_dollars:,.2f} "
                f"(`HOLLEY_BIGQUERY_MONTH_BUDGET_DOLLARS`), {prices.month_budget_dollars / month:,.0f} times that. "
                "Storage is not in it; loads and copies are free."
            ),
        ]
    )


def _queries(costs: list[QueryCost], times: Mapping[str, Mapping[str, int]], prices: BigQuerySettings) -> str:
    rows = []
    for cost in sorted(costs, key=lambda cost: (-cost.billed, cost.name)):
        asked = " | ".join(str(times[job][cost.name] or "") for job in JOBS)
        rows.append(
            f"| `{cost.name}` | {', '.join(cost.tables)} | {_mib(cost.unpartitioned)} | {_mib(cost.scanned)} | "
            f"{_mib(cost.billed)} | {prices.dollars(cost.billed):.5f} | {asked} |"
        )
    head = [
        "query",
        "reads",
        "MiB, all days",
        "MiB scanned",
        "MiB billed",
        "$",
        *(f"in `{job}`" for job in JOBS),
    ]
    return "\n".join(
        [
            "## Queries\n",
            _wrapped(
                "`MiB scanned` takes the source tables to be partitioned by day, `all days` does not. `MiB billed` has "
                "the least that is billed for each table, and the two queries that take judged rows apart. The last "
                "columns say how often a run asks."
            ),
            f"| {' | '.join(head)} |",
            "| --- | --- |" + " ---: |" * (len(head) - 2),
            *rows,
            "",
        ]
    )


def _sources(run: MeasuredRun) -> str:
    rows = []
    for table in SOURCE_TABLES:
        size = run.sizes[table]
        since, before = run.days["intent_start"], run.days["as_of"]
        share = f"{size.share_of_days(since, before):.0%}" if size.days else "–"
        rows.append(
            f"| `{table}` | {size.rows:,} | {_mib(sum(size.columns.values()))} | "
            f"{DAY_COLUMNS.get(table, '–')} | {share} |"
        )
    return "\n".join(
        [
            "## Source tables\n",
            "| table | rows | MiB | day | rows in the window |",
            "| --- | ---: | ---: | --- | ---: |",
            *rows,
            "",
        ]
    )


def _wrapped(text: str) -> str:
    """A paragraph."""
    return textwrap.fill(text, 118, break_long_words=False, break_on_hyphens=False) + "\n"


def _mib(read: int) -> str:
    return f"{read / _MIB:,.1f}"


def current_page() -> str:
    """The page of the queries and the default settings as they are, on the sizes that were kept."""
    prices, schedule = load_section(BigQuerySettings), load_section(ScheduleSettings)
    return page(read_sizes(SIZES_FILE), times_in_jobs(), prices, schedule)


def main() -> None:
    """Measure a run, or print the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", type=Path, metavar="DATA_DIR", help=f"write {SIZES_FILE.name} instead")
    parser.add_argument("--source", help="what its source tables are, for the page")
    arguments = parser.parse_args()
    if arguments.measure is None:
        print(current_page(), end="")
    else:
        write_sizes(measure_run(arguments.measure, arguments.source, load_settings()), SIZES_FILE)


if __name__ == "__main__":
    main()
