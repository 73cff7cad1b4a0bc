"""What clicks of machines would have done to the comparison, had they counted.

A security scanner opens every link of an e-mail. Its clicks say nothing about the customer, and favour whatever the
e-mail showed. They count in no metric; a comparison with them, beside the one without, shows how much hangs on that.
"""

from __future__ import annotations

import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.evaluation.metrics import SCOPES, held_out_clicks, score_systems, summarise
from holley_assets.evaluation.report import EvaluationOptions, RunIdentity
from holley_assets.evaluation.significance import Bootstrap, compare
from holley_assets.evaluation.systems import BASELINE, delivered_system

_PAIR = ("email_lower", "base_sku")


def machine_clicks_section(
    bursts: pa.Table,
    machine_clicks: pa.Table,
    *,
    labels: pa.Table,
    users: pa.Table,
    rankings: pa.Table,
    run: RunIdentity,
    options: EvaluationOptions,
) -> dict[str, Any] | None:
    """Hit Rate@4 of what is delivered and of ``sql``, and their comparison, without and with machines' clicks.

    Args:
        bursts: visitor, first_click, clicks: one row a burst; those before the cutoff are not looked at.
        machine_clicks: email_lower, base_sku: the pairs that their clicks would have added.
        labels: email_lower, base_sku: the test set.
        users: email_lower, engagement_tier as of the cutoff.
        rankings: email_lower, system, rank, base_sku of the test users, and of the users of ``machine_clicks``.
        run: whose version says what is delivered.
        options: bootstrap and labels.

    Returns:
        ``bursts``, ``clicks`` and ``visitors`` that were dropped; ``without`` and ``with`` them ``pairs`` (of user and
        part), ``metrics`` (system, scope: ``users`` and ``hit_rate@4``) and ``comparison`` as in the report. None where
        no click is a label.

    Raises:
        EvaluationError: malformed rankings or clicks.
    """
    if options.label_source == "interactions":
        return None
    cutoff = datetime.datetime.combine(run.cutoff, datetime.time(), datetime.UTC)
    in_window = bursts.filter(
        pc.greater_equal(bursts["first_click"], pa.scalar(cutoff, pa.timestamp("us", "UTC")))
    )
    pairs, added = (
        pa.table({name: table[name].cast(pa.string()) for name in _PAIR})
        for table in (labels, machine_clicks)
    )
    measured = {
        name: _measured(chosen, users, rankings, run, options)
        for name, chosen in (("without", pairs), ("with", pa.concat_tables([pairs, added])))
    }
    return {
        "bursts": in_window.num_rows,
        "clicks": pc.sum(in_window["clicks"]).as_py() or 0,
        "visitors": len(pc.unique(in_window["visitor"])),
        **measured,
    }


def _measured(
    labels: pa.Table, users: pa.Table, rankings: pa.Table, run: RunIdentity, options: EvaluationOptions
) -> dict[str, Any]:
    truth = held_out_clicks(labels, users)
    treatment = delivered_system(run.model_version)
    values = score_systems(rankings, truth, (treatment, BASELINE))
    bootstrap = Bootstrap(options.bootstrap_draws, options.rule.confidence, options.seed)
    comparison, _ = compare(values[treatment], values[BASELINE], truth, bootstrap)
    return {
        "pairs": len(truth.relevant_pairs),
        "metrics": {
            system: {
                scope: {name: table[scope][name] for name in ("users", "hit_rate@4")} for scope in SCOPES
            }
            for system, table in summarise(values, truth).items()
        },
        "comparison": comparison,
    }
