"""Whether scores mean clicks: what the ranker's candidates promise, held against the test clicks."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.calibration import calibration, promised_clicks
from holley_assets.evaluation.labels import labelled_users
from holley_assets.evaluation.report_assembly import ReportTables
from holley_assets.evaluation.vectors import temperature_of
from holley_assets.ranking import HistoryScorer, build_candidates
from holley_assets.ranking.choices import log_totals
from holley_assets.ranking.comparison import users_with_profiles
from holley_assets.terms import CAR


def calibration_section(tables: ReportTables, clicks: pa.Table) -> dict[str, Any]:
    """Whether the model's scores as of the cutoff mean the same for every vehicle.

    Args:
        clicks: email_lower, base_sku; one row a label.
    """
    user_nodes, vectors = tables.user_nodes, (tables.user_embeddings, tables.product_embeddings)
    users = labelled_users(users_with_profiles(user_nodes, tables.user_profiles, "profile"), clicks)
    owners = user_nodes.group_by(["make", "model"]).aggregate([([], "count_all")])
    owners = owners.rename_columns(["make", "model", "owners"])
    # On a part that does not fit or may not be shown no system could have a hit.
    possible = tables.fitment.filter(pc.is_valid(tables.fitment["sku"])).select([*CAR, "base_sku"])
    clicks = clicks.select(["email_lower", "base_sku"]).join(
        users.join(owners, ["make", "model"]), "email_lower"
    )
    clicks = clicks.join(possible, [*CAR, "base_sku"], join_type="left semi")
    # Scores are divided by the lengths of the longest vectors.
    temperature = temperature_of(*vectors)
    totals = log_totals(
        users,
        build_candidates(tables.fitment, tables.parts, view="training", apply_rules=True),
        HistoryScorer.from_tables(*vectors, tables.history_scores, "training"),
        temperature,
    )
    return calibration(promised_clicks(tables.evaluation_rankings, totals, clicks, temperature=temperature))
