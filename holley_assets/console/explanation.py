"""Why a customer, or the owner of a car, gets these parts: from the tables and the checkpoint of a run."""

from __future__ import annotations

import dataclasses
import datetime
import difflib
import functools
import gc
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.console.errors import ConsoleError
from holley_assets.console.run_files import RunFiles
from holley_assets.evaluation.systems import TREATMENT, delivered_system
from holley_assets.pipeline.explanation import PartScore, Ranked, Subject, owner_without_history, score_parts
from holley_assets.pipeline.options import ranking_options
from holley_assets.ranking.rule_trace import Verdict

if TYPE_CHECKING:
    from torch_geometric.data import HeteroData

# Cars that the car learns from, in the summary.
SIMILAR = 5


@dataclasses.dataclass(frozen=True)
class Explanation:
    """All that is said of one customer or car.

    Attributes:
        shown: parts that the model shows, best first.
        sql: parts that the SQL pipeline would show, best first.
        removed: parts that ranked above the last one shown and were taken out by a rule.
        parts: those whose scores are explained.
        similar: cars that the car learns from and how strongly, strongest first.
    """

    run_id: str
    model_version: str
    subject: Subject
    shown: list[Verdict]
    sql: list[Verdict]
    removed: list[Verdict]
    parts: list[PartScore]
    similar: dict[str, float]


def explain(
    files: RunFiles, *, email: str | None, car: str | None, run: str | None = None, part: str | None = None
) -> Explanation:
    """Explain what one customer, or an owner without history of one car, gets.

    Args:
        email: of a customer; exactly one of this and ``car`` is given.
        car: year, make and model.
        run: whose tables are meant; they are those of the newest run, and another name is an error.
        part: explain this part alone, whether or not it is shown.

    Raises:
        ConsoleError: a name is unknown, or what is delivered is no sum; the message says what to do and names no
            address.
    """
    run_id = _run_of_tables(files, run)
    version = _explainable_version(files)
    settings = files.settings(run_id)
    subject = _by_email(files, email) if email is not None else _by_car(files, str(car))
    ranked = Ranked(files, subject, ranking_options(settings, settings.rules.maximum_parts))
    shown = ranked.shown
    if len(shown) < settings.rules.minimum_parts and part is None:
        raise ConsoleError(
            f"A {subject.car} has {len(shown)} parts after the rules, below the {settings.rules.minimum_parts} of "
            "an e-mail, so that nothing is delivered: ask for one part with --part"
        )
    last = shown[-1].rank if shown else 0
    asked = shown if part is None else [_named(files, ranked.by_model, part, subject)]
    parts, similar = _score(files, subject, ranked, asked, version, settings.training.personal_precision)
    return Explanation(
        run_id,
        version,
        subject,
        shown,
        ranked.shown_by_sql,
        [verdict for verdict in ranked.by_model if verdict.rule is not None and verdict.rank < last],
        parts,
        similar,
    )


def _run_of_tables(files: RunFiles, wanted: str | None) -> str:
    """The run that wrote the tables; any other's have been replaced."""
    wrote = str(files.table("serving_graph")["run_id"][0])
    if wanted is not None and not wrote.startswith(wanted) and files.find_run(wanted) != wrote:
        raise ConsoleError(
            f"The tables of run {wanted} were replaced by those of run {wrote}: leave --run out, or repeat that run "
            "with its HOLLEY_AS_OF and a HOLLEY_DATA_DIR of its own"
        )
    return wrote


def _explainable_version(files: RunFiles) -> str:
    """The version that made the tables, if it is delivered as the graph model alone."""
    version = str(files.table("product_embeddings", ["model_version"])["model_version"][0])
    system = delivered_system(version)
    if system != TREATMENT:
        raise ConsoleError(
            f"Model {version} is delivered as {system}, whose scores are no sum of the graph's terms: explain a run "
            f"that was trained with HOLLEY_SERVING_SYSTEM={TREATMENT}"
        )
    return version


def _by_email(files: RunFiles, email: str) -> Subject:
    address = email.strip().lower()
    users = files.table("user_nodes", only={"email_lower": address})
    if not users.num_rows:
        raise ConsoleError(
            "No customer of this run has that e-mail address and a vehicle: look for a typing error, or ask with "
            '--car "YEAR MAKE MODEL"'
        )
    user = users.to_pylist()[0]
    profiles = files.table("user_profiles", ["serving_profile"], only={"email_lower": address})
    purchases = files.table("user_purchases", only={"email_lower": address}).to_pylist()
    orders: dict[str, datetime.date] = {}
    for row in purchases:
        orders[row["base_sku"]] = max(orders.get(row["base_sku"], row["order_date"]), row["order_date"])
    return Subject(
        user["year"],
        user["make"],
        user["model"],
        user["serving_engagement_tier"],
        profiles["serving_profile"][0].as_py(),
        orders,
    )


def _by_car(files: RunFiles, car: str) -> Subject:
    users = files.table("user_nodes", ["year", "make", "model"])
    names = pc.binary_join_element_wise(
        users["year"].cast(pa.string()),
        users["make"].cast(pa.string()),
        users["model"].cast(pa.string()),
        " ",
    )
    wanted = " ".join(car.upper().split())
    owners = np.flatnonzero(pc.equal(names, wanted).to_numpy(zero_copy_only=False))
    if not len(owners):
        known = sorted(set(names.to_pylist()))
        near = difflib.get_close_matches(wanted, known, 3) or known[:3]
        raise ConsoleError(f"No customer of this run has a {wanted}: ask for a car such as {', '.join(near)}")
    (row,) = users.slice(int(owners[0]), 1).to_pylist()
    return owner_without_history(files, _serving_graph(files), row["year"], row["make"], row["model"])


def _named(files: RunFiles, ranked: Sequence[Verdict], part: str, subject: Subject) -> Verdict:
    """The part that is asked for by its SKU or base SKU."""
    wanted = part.strip().upper()
    variants = files.table("parts", ["base_sku"], only={"sku": wanted})["base_sku"].to_pylist()
    for verdict in ranked:
        if verdict.candidate.base_sku in {wanted, *variants}:
            return verdict
    known = bool(variants) or files.table("parts", ["base_sku"], only={"base_sku": wanted}).num_rows > 0
    problem = f"does not fit a {subject.car}" if known else "is not a part of this run"
    example = f": ask for a part that fits it, such as {ranked[0].candidate.base_sku}" if ranked else ""
    raise ConsoleError(f"{wanted!r} {problem}{example}")


def _serving_graph(files: RunFiles) -> HeteroData:
    return _graph_of(files.folder / str(files.table("serving_graph")["path"][0]))


def _import_network() -> None:
    """Import PyTorch and PyG: without looking for garbage among what stays it takes a fifth less time."""
    collects = gc.isenabled()
    gc.disable()
    try:
        import holley_assets.gnn.score_terms  # noqa: F401
    finally:
        if collects:
            gc.enable()


@functools.lru_cache(maxsize=1)
def _graph_of(path: Path) -> HeteroData:
    _import_network()
    from holley_assets.gnn.graph import load_graph

    return load_graph(path)


def _score(
    files: RunFiles,
    subject: Subject,
    ranked: Ranked,
    verdicts: Sequence[Verdict],
    version: str,
    personal_precision: float,
) -> tuple[list[PartScore], dict[str, float]]:
    """Each part's terms in units of the score, and the cars that the car learns from."""
    _import_network()
    from holley_assets.console.checkpoints import checkpoint_of
    from holley_assets.gnn.score_terms import ScoreModel

    model = ScoreModel(_serving_graph(files), checkpoint_of(files, version))
    parts, similar = score_parts(
        files, model, subject, ranked, verdicts, personal_precision=personal_precision
    )
    return parts, dict(list(similar.items())[:SIMILAR])
