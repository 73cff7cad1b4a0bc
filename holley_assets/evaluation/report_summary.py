"""The report in a few lines of Markdown, for the page of the asset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from holley_assets.evaluation.formatting import count, difference, probability, share, span
from holley_assets.evaluation.gates import DecisionRule
from holley_assets.evaluation.report_page import HEADLINES, against_promotion, gate_rows
from holley_assets.evaluation.systems import BASELINE
from holley_assets.texts import for_markdown

_SCOPES = ("cold", "warm", "hot", "overall")


def summarise(report: Mapping[str, Any], page: str) -> str:
    """Decision with its reason, what speaks against a promotion, and Hit Rate@4 by tier.

    Args:
        page: where the HTML page is.
    """
    delivered = report["delivered_system"]
    against = against_promotion(report, gate_rows(report, DecisionRule.of_report(report)))
    # One by one: a reason of many sentences is longer than a text of unknown origin may be.
    reason = ". ".join(for_markdown(sentence) for sentence in report["decision"]["reason"].split(". "))
    lines = [f"**{HEADLINES[report['decision']['outcome']]}.** {reason}"]
    if report.get("source") == "sample":
        lines.insert(0, "**Generated sample:** customers, clicks and orders are invented.\n")
    may = "May be promoted." if not against else f"Not to be promoted: {for_markdown('; '.join(against))}."
    lines += [
        f"\n{may}\n",
        f"| tier | users | {delivered} | {BASELINE} | difference, points | interval | McNemar p |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for scope in _SCOPES:
        compared = report["comparison"][scope]
        systems = (report["metrics"][name][scope] for name in (delivered, BASELINE))
        rates = [share(metrics["hit_rate@4"]) for metrics in systems]
        cells = [
            scope,
            count(report["metrics"][delivered][scope]["users"]),
            *rates,
            difference(compared["hit_rate@4_delta"]),
            span(compared["ci95"]),
            probability(compared["mcnemar_p"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["\nHit Rate@4: share of users who clicked one of the four parts.\n", f"The page: `{page}`"]
    return "\n".join(lines)
