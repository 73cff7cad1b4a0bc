"""The readout as one self-contained HTML page, and in a few lines of Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from holley_assets.evaluation.formatting import (
    MISSING,
    count,
    decimal,
    difference,
    probability,
    relative,
    share,
    span,
)
from holley_assets.evaluation.page_template import page_style, page_template
from holley_assets.experiment.metrics import TESTED
from holley_assets.experiment.offline import agreement
from holley_assets.experiment.outcomes import ARMS, CONTROL, TREATMENT
from holley_assets.experiment.pictures import draw_intervals, draw_looks
from holley_assets.experiment.verdict import BROKEN, HELD, OPEN
from holley_assets.experiment.verdict import MISSING as NO_SOURCE
from holley_assets.texts import for_markdown, mask_all

JSON_NAME = "experiment_readout.json"
HEADLINES = {
    "ship": "Ship the graph",
    "keep running": "Keep running",
    "stop for no effect": "Stop: no effect",
    "harm": "Harm: back to the SQL pipeline",
    "invalid": "Invalid: there is no result",
}
# Nothing is logged after the planned end, so that running on would add nobody.
UNDECIDED = "Undecided at the end: declare a longer experiment"
# The report's style has a colour for each kind of news.
_STYLES = {
    "ship": "clear_win",
    "keep running": "neutral",
    "stop for no effect": "marginal",
    "harm": "worse",
    "invalid": "worse",
}
_GUARDRAIL_STYLES = {HELD: "yes", OPEN: "maybe", BROKEN: "no", NO_SOURCE: "maybe"}
# Which day a window starts on, and what an exposure rests on.
EXPOSURE_IS = {
    "sent": "A user was exposed on the day, UTC, on which a mail was sent.",
    "published": "A user was exposed on the day, UTC, on which the parts were published: whether a mail was sent is "
    "not known.",
}
_ARM_NAMES = {CONTROL: "SQL arm", TREATMENT: "Graph's arm"}


def write_value(value: float | None, kind: str) -> str:
    """A metric's value: 0.1234 as ``12.34 %``, ``$0.12`` or ``0.123``, by its kind."""
    if value is None:
        return MISSING
    if kind == "share":
        return share(value, 2)
    return f"${value:,.2f}".replace("$-", "−$") if kind == "dollars" else f"{value:.3g}".replace("-", "−")


def write_change(value: float | None, kind: str) -> str:
    """A difference with its sign, of a share in percentage points."""
    if value is None:
        return MISSING
    if kind == "share":
        return difference(value)
    written = f"{abs(value):,.2f}" if kind == "dollars" else f"{abs(value):.3g}"
    return f"{'−' if value < 0 else '+'}{'$' if kind == 'dollars' else ''}{written}"


def write_level(value: float) -> str:
    """A percentage near 100 with the digits that tell it from 100: 99.694 → ``99.7``, 99.99998 → ``99.99998``."""
    missing = 100.0 - value
    digits = 0 if missing >= 1.0 - 1e-9 else 1
    while digits and round(missing, digits) == 0 and digits < 15:
        digits += 1
    return f"{value:.{digits}f}"


def write_spent(value: float) -> str:
    """A part of alpha, which is never nothing: 0.003051 → ``0.31 %``, 0.0000146 → ``< 0.01 %``."""
    return share(value, 2) if value >= 0.0001 else f"< {share(0.0001, 2)}"


def write_headline(readout: Mapping[str, Any]) -> str:
    """The decision in a few words."""
    outcome, over = readout["decision"]["outcome"], readout["as_of"] >= readout["experiment"]["planned_end"]
    return UNDECIDED if over and outcome == "keep running" else HEADLINES[outcome]


def interval_rows(readout: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What the picture of intervals shows: the primary metric, the others, then the primary metric by tier."""
    primary = readout["primary"]
    named = [(primary["label"], primary), *((row["label"], row) for row in readout["secondary"])]
    named += [(f"{primary['label']}, {row['tier']}", row) for row in readout["tiers"]]
    return [
        {
            "label": label,
            "relative": row["estimate"]["relative"],
            "relative_interval": row["estimate"]["relative_interval"],
            "main": row is primary,
        }
        for label, row in named
        if row["estimate"] is not None
    ]


def render(
    readout: Mapping[str, Any],
    *,
    plan: Mapping[str, Any] | None = None,
    lifts: Sequence[Mapping[str, Any]] = (),
    source: str = "",
    json_name: str = JSON_NAME,
) -> str:
    """The page: no script, no address outside it.

    Args:
        readout: from :func:`.readout.read_experiment`.
        plan: from :func:`.power.power_plan`.
        lifts: from :func:`.offline.lift_rows`.
        source: ``sample`` where the customers are invented.
        json_name: of the file with the figures.
    """
    readout, _ = mask_all(readout)
    rows, _ = mask_all(list(lifts))
    template = page_template(
        "holley_assets.experiment",
        "experiment.html.jinja",
        {
            "count": count,
            "share": share,
            "difference": difference,
            "relative": relative,
            "decimal": decimal,
            "probability": probability,
            "span": span,
            "value": write_value,
            "change": write_change,
            "level": write_level,
            "spent": write_spent,
        },
    )
    outcome = readout["decision"]["outcome"]
    has_results = readout["primary"] is not None
    return template.render(
        readout=readout,
        traffic=readout["traffic"],
        mismatch=readout["mismatch"],
        newest=next((look for look in reversed(readout["looks"]) if look["statistic"] is not None), None),
        headline=write_headline(readout),
        style_class=_STYLES[outcome],
        style=Markup(page_style()),
        arms=ARMS,
        arm_names=_ARM_NAMES,
        exposure_is=EXPOSURE_IS[readout["exposure_source"]],
        guardrail_classes=_GUARDRAIL_STYLES,
        primary_label=TESTED[readout["experiment"]["primary_metric"]].label,
        segments=(
            ("Tier", "tier", readout["tiers"]),
            ("Week of the first exposure", "week", readout["weeks"]),
            ("Model version", "model_version", readout["versions"]),
        ),
        intervals=draw_intervals(interval_rows(readout)) if has_results else None,
        looks=draw_looks(readout["looks"]),
        lifts=rows,
        agreement=agreement(rows),
        plan=plan,
        source=source,
        json_name=json_name,
    )


def summarise(readout: Mapping[str, Any]) -> str:
    """The readout in Markdown, for an asset's page: the decision, the arms, the primary metric, what to know."""
    readout, _ = mask_all(readout)
    arms, mismatch = readout["traffic"]["arms"], readout["mismatch"]
    lines = [
        f"**{write_headline(readout)}.** {for_markdown(readout['decision']['reason'])}",
        "",
        f"Experiment {for_markdown(readout['experiment']['name'])}, as of {readout['as_of']}. "
        f"{EXPOSURE_IS[readout['exposure_source']]}",
        "",
        "| | SQL arm | Graph's arm |",
        "| --- | ---: | ---: |",
        f"| Users | {count(arms[CONTROL]['users'])} | {count(arms[TREATMENT]['users'])} |",
        f"| Received as assigned | {share(arms[CONTROL]['received_as_assigned'])} | "
        f"{share(arms[TREATMENT]['received_as_assigned'])} |",
    ]
    if readout["primary"] is not None:
        lines += [
            f"| {row['label']} | {write_value(row['control'], row['kind'])} | "
            f"{write_value(row['treatment'], row['kind'])} |"
            for row in (readout["primary"], *readout["secondary"])
        ]
    lines += [
        "",
        f"Mismatch of the arms: {'yes' if mismatch['mismatch'] else 'none'}, p {probability(mismatch['p_value'])}.",
    ]
    lines += ["", *(f"- {for_markdown(warning)}" for warning in readout["warnings"])]
    return "\n".join(lines).rstrip() + "\n"
