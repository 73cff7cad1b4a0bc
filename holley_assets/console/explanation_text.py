"""An explanation as a person reads it on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import RenderableType
from rich.table import Table

from holley_assets.console.explanation import Explanation
from holley_assets.evaluation.example_cars import TERM_NOTES
from holley_assets.pipeline.explanation import PartScore
from holley_assets.ranking.rule_trace import Verdict

# What `reason` of table history_scores says, in words.
_REASONS = {
    "viewed": "most by what the customer viewed",
    "cart": "most by what is in the cart",
    "co_viewed": "most by what goes with parts that the customer met",
    "co_purchased": "most by what is bought with parts that the customer bought",
    "seen": "most by a part that was seen and goes with others that were met",
}


def rendered(explanation: Explanation) -> Iterator[RenderableType]:
    """What is printed, from top to bottom. It holds no address."""
    subject = explanation.subject
    who = "an owner without history" if subject.tier is None else f"a customer, {subject.tier}"
    yield f"{subject.car}: {who}. Run {explanation.run_id}, model {explanation.model_version}."
    yield _side_by_side(explanation.shown, explanation.sql)
    for part in explanation.parts:
        yield _sum(part)
    if explanation.removed:
        yield _removed(explanation.removed)
    if explanation.similar:
        cars = ", ".join(f"{car} ({strength:+.3f})" for car, strength in explanation.similar.items())
        yield f"The car learns from: {cars}."


def _side_by_side(shown: list[Verdict], pipeline: list[Verdict]) -> Table:
    table = _table("What is delivered, and what the SQL pipeline gives", "", "graph", "score", "SQL", "score")
    for place in range(max(len(shown), len(pipeline))):
        cells = [cell for verdicts in (shown, pipeline) for cell in _part_cells(verdicts, place)]
        table.add_row(str(place + 1), *cells)
    return table


def _part_cells(verdicts: list[Verdict], place: int) -> tuple[str, str]:
    if place >= len(verdicts):
        return "", ""
    part = verdicts[place].candidate
    return f"{part.sku} ({part.part_type or 'no type'})", f"{part.score:.6f}"


def _sum(part: PartScore) -> Table:
    verdict = part.verdict
    place = f"slot {verdict.slot}" if verdict.slot else verdict.rule or "behind the last part shown"
    title = f"{verdict.candidate.base_sku}: rank {verdict.rank} before the rules, {place}"
    table = _table(title, "term", "adds", "what it is")
    for name, value in part.terms.items():
        # A term that cannot occur here is left out; it is exactly zero.
        if value or name == "popularity":
            table.add_row(name, f"{value:+.9f}", _note(name, part))
    table.add_row("sum", f"{part.total:+.9f}", "in float64, from the weights as the checkpoint holds them")
    rounding = f"{part.rounding:+.1e} from the sum: vectors are stored as float32"
    table.add_row("score", f"{verdict.candidate.score:+.9f}", rounding)
    return table


def _note(name: str, part: PartScore) -> str:
    if name == "messages":
        cars = ", ".join(f"{car} {value:+.6f}" for car, value in part.from_cars.items())
        itself = f"; {part.from_itself:+.6f} is heard back of the car itself" if part.from_itself else ""
        return f"from cars that share parts, most from {cars or 'none other'}{itself}"
    if name == "history":
        return _REASONS.get(part.history_reason or "", TERM_NOTES[name])
    return TERM_NOTES[name]


def _removed(verdicts: list[Verdict]) -> Table:
    table = _table("Ranked higher and taken out by a rule", "rank", "part", "score", "rule")
    for verdict in verdicts:
        part = verdict.candidate
        table.add_row(str(verdict.rank), part.base_sku, f"{part.score:.6f}", str(verdict.rule))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", header_style="")
    for column in columns:
        number = column in {"score", "adds", "rank"}
        table.add_column(column, justify="right" if number else "left", no_wrap=number)
    return table
