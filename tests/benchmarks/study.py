"""One data set as the studies of this folder see it: tables, training graph, test users, candidates.

Shared by ``peers.py``, ``ablations.py`` and ``backtest.py``, which import it by name. Everything between the
source tables and a metric is the project's own: its queries, graph, rules, ranking and evaluation. Tables are
kept in a work folder under a name that says what they depend on, so that a study with another setting runs
again only those queries that the setting changes.
"""

from __future__ import annotations

import argparse
import datetime
import functools
import hashlib
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from holley_assets.core.table_specs import (
    TABLE_SPECS,
)
from holley_assets.core.time_windows import (
    TimeWindows,
)
from holley_assets.evaluation.labels import labelled_users
from holley_assets.evaluation.metrics import HeldOutClicks, UserMetrics, held_out_clicks, score_systems
from holley_assets.gnn.graph import BuiltGraph, build_graph
from holley_assets.gnn.graph_schema import GRAPH_TABLE_NAMES, GraphTables
from holley_assets.pipeline.options import query_parameters, ranking_options
from holley_assets.ranking import Candidates, Scorer, build_candidates, rank_users
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.ranking.scorers import ScoreBlock
from holley_assets.resources.warehouse.duckdb.warehouse import DuckDBWarehouse
from holley_assets.resources.warehouse.source_tables import SOURCE_TABLES
from holley_assets.resources.warehouse.sql_files import query_dependencies, read_query
from holley_assets.sample_data.generate import generate_sample
from holley_assets.sample_data.oracle import ORACLE_FOLDER
from holley_assets.sample_data.parameters import KINDS
from holley_assets.settings import Settings, load_settings

WORK_FOLDER = Path("data/benchmarks/studies")
RESULTS_FOLDER = Path("data/benchmarks")

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MatrixScorer:
    """Scores that are known for each profile and part.

    Attributes:
        scores: ``[num_profiles, num_products]``; one row serves all profiles.
        product_ids: base SKU of each column.
    """

    scores: npt.NDArray[np.floating[Any]]
    product_ids: list[str]
    name: str = "matrix"
    profiles: Literal["given"] = "given"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Raises ValueError if a candidate has no column."""
        found = pc.index_in(candidates.product_ids, value_set=pa.array(self.product_ids, pa.string()))
        if found.null_count:
            raise ValueError(f"{self.name}: {found.null_count} candidates have no score")
        columns = found.to_numpy()[candidates.pair_product]

        def score(profiles: IntArray, pairs: slice) -> FloatArray:
            rows = profiles if len(self.scores) > 1 else np.zeros(1, np.int64)
            found: FloatArray = self.scores[np.ix_(rows, columns[pairs])].astype(np.float64)
            return found

        return score


@dataclass(frozen=True)
class Study:
    """A data set at one cutoff.

    Attributes:
        name: what the data set is, for tables.
        tables: every table of group ``2_graph_tables``.
        clicks_dropped: clicks that could not be used, by reason.
        oracle_folder: the sample, where the truth is known.
    """

    name: str
    settings: Settings
    windows: TimeWindows
    tables: dict[str, pa.Table]
    clicks_dropped: dict[str, int]
    oracle_folder: Path | None

    @functools.cached_property
    def graph(self) -> BuiltGraph:
        """The training graph."""
        named = {name: self.tables[name] for name in GRAPH_TABLE_NAMES}
        run = self.settings.run
        return build_graph(
            GraphTables(**named),
            view="training",
            view_end=self.windows.cutoff,
            order_weight=run.order_weight,
            decay_days=run.decay_days,
            season_days=run.season_days,
        )

    @functools.cached_property
    def candidates(self) -> Candidates:
        """Parts that fit, after the rules."""
        return build_candidates(
            self.tables["fitment"], self.tables["parts"], view="training", apply_rules=True
        )

    @functools.cached_property
    def users(self) -> pa.Table:
        """Test users; ``profile`` is their node of the training graph."""
        nodes = self.tables["user_nodes"]
        profiles = pa.table({"email_lower": nodes["email_lower"], "profile": self.graph.user_profiles})
        return labelled_users(users_with_profiles(nodes, profiles, "profile"), self.tables["test_clicks"])

    @functools.cached_property
    def truth(self) -> HeldOutClicks:
        """What the test users clicked."""
        return held_out_clicks(self.tables["test_clicks"], self.tables["user_nodes"])

    @property
    def products(self) -> list[str]:
        """Base SKU of each product node."""
        products: list[str] = self.graph.data.products
        return products

    def measure(self, scorer: Scorer, users: pa.Table | None = None) -> UserMetrics:
        """Metrics of every test user, ranked by ``scorer`` with the rules."""
        ranking = rank_users(
            self.users if users is None else users,
            self.candidates,
            scorer,
            purchases=self.tables["user_purchases"],
            view_end=self.windows.cutoff,
            options=ranking_options(self.settings, self.settings.evaluation.depth),
        )
        return score_systems(ranking.to_table("system"), self.truth, ["system"])["system"]

    def measure_matrix(self, scores: npt.NDArray[np.floating[Any]]) -> UserMetrics:
        """The same for scores ``[num_test_users, num_products]``, or ``[1, num_products]`` for all alike."""
        column = self.users.schema.get_field_index("profile")
        rows = np.arange(self.users.num_rows) if len(scores) > 1 else np.zeros(self.users.num_rows)
        numbered = self.users.set_column(column, "profile", pa.array(rows.astype(np.int32)))
        return self.measure(MatrixScorer(scores, self.products), numbered)


def open_study(
    source: Path,
    work: Path,
    *,
    name: str,
    as_of: datetime.date,
    intent_start: datetime.date,
    **run_settings: Any,
) -> Study:
    """Run the queries on the source tables in ``source``, or take their results from ``work``.

    Args:
        run_settings: values that replace those of the run's settings, such as ``decay_days``.
    """
    settings = load_settings()
    settings = settings.model_copy(update={"run": settings.run.model_copy(update=run_settings)})
    cutoff = as_of - datetime.timedelta(days=settings.run.test_days)
    windows = TimeWindows(as_of, cutoff, intent_start, "parquet", str(source))
    parameters = query_parameters(settings, windows)
    files = _keep_tables(source, work, parameters)
    dropped = json.loads(files["test_clicks"].with_suffix(".json").read_text())
    tables = {table: pq.read_table(path) for table, path in files.items()}
    has_oracle = (source / ORACLE_FOLDER).is_dir()
    return Study(name, settings, windows, tables, dropped, source if has_oracle else None)


def _keep_tables(source: Path, work: Path, parameters: dict[str, object]) -> dict[str, Path]:
    """Parquet file of each table of group ``2_graph_tables``, made where it is not in ``work`` yet."""
    sources = {table: source / f"{table}.parquet" for table in SOURCE_TABLES}
    marks = {table: repr((path.stat().st_size, path.stat().st_mtime_ns)) for table, path in sources.items()}
    files: dict[str, Path] = {}
    waiting = [spec.name for spec in TABLE_SPECS]
    while waiting:
        table = next(name for name in waiting if set(query_dependencies(name)) <= marks.keys())
        waiting.remove(table)
        query, upstream = read_query(table), query_dependencies(table)
        values = {name: parameters[name] for name in sorted(query.parameters)}
        mark = repr((query.text, values, [marks[name] for name in upstream]))
        marks[table] = hashlib.sha256(mark.encode()).hexdigest()[:16]
        files[table] = work / f"{table}-{marks[table]}.parquet"
        dropped = files[table].with_suffix(".json")
        if not (files[table].is_file() and dropped.is_file()):
            spill = work / "spill"
            spill.mkdir(parents=True, exist_ok=True)
            warehouse = DuckDBWarehouse(
                sources=sources, assets=files, database=work / "unused.duckdb", temporary_directory=spill
            )
            result = warehouse.query_to_parquet(table, parameters, files[table])
            dropped.write_text(json.dumps(result.dropped))
    return files


def sample_study(arguments: argparse.Namespace, seed: int, **run_settings: Any) -> Study:
    """The study of a generated sample, which is generated where the work folder does not hold it."""
    test_days = arguments.test_days if "test_days" in arguments else 30
    traffic = arguments.traffic if "traffic" in arguments else 1.0
    size = f"{arguments.users}-traffic-{traffic:g}"
    name = f"{arguments.kind}-{size}-seed-{seed}-test-days-{test_days}-{arguments.as_of}"
    folder = arguments.work / name
    generate_sample(
        folder / "sample",
        users=arguments.users,
        kind=arguments.kind,
        seed=seed,
        as_of=arguments.as_of,
        intent_start=arguments.intent_start,
        products=arguments.products,
        models=arguments.models,
        test_days=test_days,
        traffic=traffic,
    )
    as_of = run_settings.pop("as_of", arguments.as_of)
    return open_study(
        folder / "sample",
        folder / "tables",
        name=f"{arguments.kind} {seed}",
        as_of=as_of,
        intent_start=arguments.intent_start,
        **run_settings,
    )


def add_sample_arguments(parser: argparse.ArgumentParser, *, seeds: Sequence[int], users: int) -> None:
    """Arguments of a study on samples: how many, how large, of which kind, and where results go."""
    parser.add_argument("--kind", choices=KINDS, default="segment")
    parser.add_argument("--traffic", type=float, default=1.0, help="visitors, views and orders: 1 is real")
    parser.add_argument("--users", type=int, default=users)
    parser.add_argument("--products", type=int, help="base SKUs; unset: as many as the users buy from")
    parser.add_argument("--models", type=int, help="makes and models; likewise")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, default=datetime.date(2026, 2, 15))
    parser.add_argument("--intent-start", type=datetime.date.fromisoformat, default=datetime.date(2025, 9, 1))
    parser.add_argument("--work", type=Path, default=WORK_FOLDER, help="samples and tables are kept here")
    parser.add_argument("--output", type=Path, help="JSON file of the results")
    parser.add_argument("--resume", action="store_true", help="keep what the JSON file holds already")


def add_source_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of a study of source tables that are there: where they are, and as of which day."""
    parser.add_argument("--source", type=Path, required=True, help="folder of source tables")
    parser.add_argument("--as-of", type=datetime.date.fromisoformat, required=True)
    parser.add_argument("--intent-start", type=datetime.date.fromisoformat, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=WORK_FOLDER)


def source_study(arguments: argparse.Namespace) -> Study:
    """The study of :func:`add_source_arguments`, by the name of its folder."""
    name = arguments.source.name
    return open_study(
        arguments.source,
        arguments.work / name,
        name=name,
        as_of=arguments.as_of,
        intent_start=arguments.intent_start,
    )


def mean_and_spread(values: Sequence[float | None]) -> tuple[float | None, float | None]:
    """Mean and standard deviation (one degree of freedom off) of the values that exist."""
    known = np.array([value for value in values if value is not None])
    spread = float(known.std(ddof=1)) if len(known) > 1 else None
    return (float(known.mean()) if len(known) else None), spread


def with_spread(values: Sequence[float | None], *, scale: float = 100.0, sign: bool = False) -> str:
    """``mean ± spread``, in points."""
    mean, spread = mean_and_spread(values)
    if mean is None:
        return "–"
    text = f"{scale * mean:{'+' if sign else ''}.1f}"
    return text if spread is None else f"{text} ± {scale * spread:.1f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; the first column is text, the others are numbers."""
    rule = ["---", *("---:" for _ in header[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def tell(message: str) -> None:
    """Progress, on standard error: results alone are printed."""
    print(f"{datetime.datetime.now(datetime.UTC):%H:%M:%S} {message}", file=sys.stderr, flush=True)


def finished_results(path: Path, arguments: argparse.Namespace) -> dict[str, Any]:
    """What ``path`` holds of a study with the same arguments but for its seeds; empty without ``--resume``."""
    if not (arguments.resume and path.is_file()):
        return {}
    results: dict[str, Any] = json.loads(path.read_text())
    asked, before = _asked(arguments), results.pop("arguments")
    different = [
        name for name in asked.keys() - {"seeds", "resume", "only"} if asked[name] != before.get(name)
    ]
    if different:
        raise SystemExit(f"{path} is of another study, which differs in {', '.join(sorted(different))}")
    return results


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        name: str(value) if isinstance(value, datetime.date) else value
        for name, value in vars(arguments).items()
        if not isinstance(value, Path)
    }


def write_results(path: Path, results: dict[str, Any], arguments: argparse.Namespace) -> None:
    """Results as JSON, with the arguments that give them again; folders say nothing about them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"arguments": _asked(arguments), **results}, indent=2) + "\n")
