"""The page and the summary: what stands on top, what is left out, and that text stays text."""

from __future__ import annotations

import copy
import functools
import html
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest
from experiment_world import END, START, declare, outcome_table, shares, simulate

from holley_assets.experiment.offline import agreement, lift_rows
from holley_assets.experiment.page import (
    HEADLINES,
    interval_rows,
    render,
    summarise,
    write_change,
    write_level,
    write_spent,
    write_value,
)
from holley_assets.experiment.pictures import draw_intervals, draw_looks
from holley_assets.experiment.power import RecentUsers, power_plan
from holley_assets.experiment.readout import read_experiment
from holley_assets.experiment.verdict import DECISIONS

MARGINS = {"unsubscribe_rate": 0.5, "delivered_share": 0.02}


def small(**columns: Any) -> dict[str, Any]:
    """A gain of clicks over two looks, with guardrails; read once where no column is given."""
    return read_small(**columns) if columns else copy.deepcopy(usual())


@functools.cache
def usual() -> dict[str, Any]:
    return read_small()


def read_small(**columns: Any) -> dict[str, Any]:
    clicks, graph = shares((2000, 200, False), (2000, 300, True), (2000, 200, False), (2000, 300, True))
    columns = {"day": np.repeat([0, 35], 4000), "unsubscribed": np.arange(8000) % 50 == 0, **columns}
    declaration = declare(looks=2, guardrails=MARGINS)
    return read_experiment(declaration, outcome_table(graph, clicks=clicks, **columns), as_of=END)


def text_of(page: str) -> str:
    body = re.sub(r"<style>.*?</style>", "", page, flags=re.S)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", body)))


class Balanced(HTMLParser):
    """Fails where an element is closed that is not open."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in ("meta", "br", "img", "line", "circle", "polyline"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("line", "circle", "polyline"):
            assert self.open.pop() == tag


def test_the_page_goes_from_traffic_over_one_decision_to_segments() -> None:
    page = render(small())
    text = text_of(page)
    order = [
        "Traffic",
        "Ship the graph",
        "What changed",
        "Guardrails",
        "The looks over time",
        "by segment",
        "As declared",
    ]
    places = [text.index(words, text.index("Traffic")) for words in order]
    assert places == sorted(places)
    assert page.count('aria-label="Decision"') == 1
    for words in (
        "4,000 users",
        "p 1.0000, limit 0.001",
        "10.00 %",
        "15.00 %",
        "+5.00",
        "+50.0 %",
        "passed, surely",
    ):
        assert words in text, words
    assert "Intervals have 96 %" in text or "Intervals have 95 %" in text


def test_the_page_is_whole_small_and_loads_nothing() -> None:
    page = render(small())
    parser = Balanced()
    parser.feed(page)
    assert parser.open == []
    assert len(page.encode()) < 60_000
    assert not re.search(r"<script|<link|<iframe|\bsrc=|href=|url\(|@import", page)


def test_a_mismatch_shows_no_result() -> None:
    clicks, graph = shares((4000, 400, False), (3600, 900, True))
    readout = read_experiment(declare(), outcome_table(graph, clicks=clicks), as_of=END)
    text = text_of(render(readout))
    assert "Invalid: there is no result" in text and "Periods of constant share" in text
    for words in ("What changed", "The looks over time", "by segment", "Gate of the documents", "25.00 %"):
        assert words not in text
    assert "Click rate |" not in summarise(readout)


def test_before_the_first_look_there_is_traffic_and_no_result() -> None:
    text = text_of(render(read_experiment(declare(), outcome_table([True, False]), as_of=START)))
    assert "Keep running" in text and "The first look is on 2026-04-26" in text and "What changed" not in text
    nobody = text_of(render(read_experiment(declare(), outcome_table([]), as_of=START)))
    assert "0 users; – received as assigned" in nobody


@pytest.mark.parametrize("outcome", DECISIONS)
def test_every_decision_has_its_headline(outcome: str) -> None:
    readout = small()
    readout["decision"]["outcome"] = outcome
    at_the_end = HEADLINES | {"keep running": "Undecided at the end: declare a longer experiment"}
    for as_of, headlines in (("2026-04-25", HEADLINES), ("2026-04-26", at_the_end)):
        readout["as_of"], headline = as_of, headlines[outcome]
        assert f"<h2>{headline}</h2>" in render(readout)
        assert summarise(readout).startswith(f"**{headline}.**")


def test_who_came_after_the_days_of_novelty_stands_beside_the_weeks() -> None:
    text = text_of(render(small()))
    assert "Users who came from 2026-03-15 on, once 14 days of novelty were over: +50.0 %" in text
    assert (
        "The gain is surely there." in text and "users who came 14 days after the start or later too" in text
    )
    few = text_of(render(small(day=np.repeat([0, 8], 4000))))
    assert "novelty were over: nobody of both arms whose window is over." in few
    readout = small()
    readout["lasting"]["lasts"] = False
    assert "A gain is not surely there." in text_of(render(readout))
    readout["experiment"]["rule"]["novelty_days"] = 0
    assert "None is reckoned with." in text_of(render(readout)) and "Users who came" not in text_of(
        render(readout)
    )


def test_text_of_the_data_stays_text_and_no_address_is_shown() -> None:
    readout = small(model_version="<b>7</b> of a.customer@example.com")
    page = render(readout, json_name="<i>.json")
    assert "<b>7</b>" not in page and "&lt;b&gt;7&lt;/b&gt;" in page
    assert "a.customer@example.com" not in page and "(e-mail address)" in page
    assert "<i>" not in page


def test_warnings_and_what_was_left_out_are_shown() -> None:
    readout = small(received_as_assigned=np.arange(8000) % 10 > 0, machine_clicks=1)
    text = text_of(render(readout))
    assert "400 of 4,000 users of the graph arm did not receive what they were assigned" in text
    assert "Machine clicks left out: 4,000 in the SQL arm" in text
    assert "400 of 4,000 users of the graph arm" in summarise(readout)


def test_the_sample_is_called_one() -> None:
    assert "Generated sample." in render(small(), source="sample")
    assert "Generated sample." not in render(small())


def test_the_plan_stands_in_the_declaration() -> None:
    plan = power_plan(declare(), RecentUsers(0.1, 0.09, 10_000, 3_043))
    assert "A change of 10 % needs 28,256 users" in text_of(render(small(), plan=plan))
    assert "Power plan" not in text_of(render(small()))


def test_offline_lifts_stand_beside_online_ones() -> None:
    readout = small(model_version=np.repeat(["7", "8"], 4000))
    offline: dict[str, dict[str, Any]] = {
        "7": {"lift": 0.031, "interval": [0.02, 0.042]},
        "8": {"lift": -0.01, "interval": None},
    }
    rows = lift_rows([readout], offline)
    assert [(row["model_version"], row["offline"], row["agree"]) for row in rows] == [
        ("7", 0.031, True),
        ("8", -0.01, False),
    ]
    assert rows[0]["online"] == pytest.approx(0.5) and rows[0]["offline_interval"] == [0.02, 0.042]
    assert rows[0]["online_interval"][0] > 0 and rows[0]["experiment"] == "graph_spring"
    assert (
        agreement(rows) == "Of 2 model versions with both figures, 1 points the same way offline and online."
    )
    assert (
        agreement(rows[:1])
        == "The one model version with both figures points the same way offline and online."
    )
    assert (
        agreement(rows[1:])
        == "The one model version with both figures points different ways offline and online."
    )
    assert agreement(rows[:1] * 2).startswith("Of 2 model versions with both figures, 2 point the same way")
    text = text_of(render(readout, lifts=rows))
    assert "Offline against online" in text and "+3.10 +2.00 to +4.20 +50.0 %" in text


def test_a_version_without_both_figures() -> None:
    readout = small(model_version="9")
    (row,) = lift_rows([readout], {})
    assert row["offline"] is None and row["agree"] is None
    assert agreement([row]) == "No model version has both figures yet."
    assert "– – +50.0 %" in text_of(render(readout, lifts=[row]))
    blind = read_experiment(declare(), outcome_table([True]), as_of=START)
    assert lift_rows([blind], {}) == []


def test_a_version_is_compared_with_the_other_arm_of_its_days() -> None:
    clicks, graph = shares((1000, 100, False), (1000, 200, True), (1000, 300, False), (1000, 330, True))
    version = np.where(graph, np.repeat(["7", "8"], 2000), "")
    table = outcome_table(
        graph, clicks=clicks, day=np.repeat([0, 8], 2000), model_version=[name or None for name in version]
    )
    readout = read_experiment(declare(), table, as_of=END)
    assert [
        (row["model_version"], row["users"]["sql"], round(row["estimate"]["effect"], 9))
        for row in readout["versions"]
    ] == [("7", 1000, 0.1), ("8", 1000, 0.03)]


def test_the_picture_of_intervals() -> None:
    readout = small()
    rows = interval_rows(readout)
    assert [row["label"] for row in rows] == [
        "Click rate",
        "Conversion",
        "Revenue a user",
        "Clicks a user",
        "Orders a user",
        "Click rate, cold",
    ]
    assert [row["main"] for row in rows] == [True, False, False, False, False, False]
    picture = draw_intervals(rows)
    # Nobody ordered: three lines without an interval are left out.
    assert picture is not None and picture.count("<circle") == 3 and picture.count("var(--blue)") == 2
    assert draw_intervals([]) is None
    assert draw_intervals([{"label": "x", "relative": None, "relative_interval": None, "main": True}]) is None
    # Zero, the ends and the dot lie where the scale says: from −10 to +30 % with room of a 25th on each side.
    row = {"label": "<x>", "relative": 0.1, "relative_interval": [-0.1, 0.3], "main": False}
    drawn = str(draw_intervals([row]))
    assert "&lt;x&gt;" in drawn and 'cx="475.0"' in drawn
    assert 'x1="229.6"' in drawn and 'x2="720.4"' in drawn and 'x1="352.3"' in drawn


def test_a_picture_scrolls_where_its_words_would_be_too_small_to_read() -> None:
    page = render(small())
    assert page.count("<svg") == page.count('<figure tabindex="0" aria-label="Picture;') == 2
    narrow = page[page.index("@media (max-width: 560px)") : page.index("@media print")]
    assert "figure { overflow-x: auto; }" in narrow and "figure svg { min-width: 720px;" in narrow
    # Nobody clicks and nothing has an interval: there is no picture, and no empty frame.
    _, graph = shares((100, 0, False), (100, 0, True))
    idle = render(read_experiment(declare(), outcome_table(graph), as_of=END))
    assert "<svg" not in idle and "<figure" not in idle


def test_the_picture_of_looks() -> None:
    looks = small()["looks"]
    picture = str(draw_looks(looks))
    assert picture.count("<polyline") == 3 and picture.count("<circle") == 6
    assert "03-29" in picture and "04-26" in picture and "statistic" in picture
    unread = [{**look, "statistic": None, "bound": None} for look in looks]
    assert draw_looks(unread) is None
    assert str(draw_looks([looks[0], unread[1]])).count("<circle") == 3
    many = [
        {**looks[0], "number": number + 1, "date": f"2026-03-{number % 28 + 1:02}"} for number in range(56)
    ]
    assert str(draw_looks(many)).count("<text") < 25
    large = [{**looks[0], "statistic": 80.0}]
    assert "80" in str(draw_looks(large)) and 'cy="-' not in str(draw_looks(large))


def test_values_for_people() -> None:
    assert write_value(0.1234, "share") == "12.34\u00a0%" and write_value(1234.5, "dollars") == "$1,234.50"
    assert write_value(-3.0, "dollars") == "−$3.00" and write_value(0.12345, "number") == "0.123"
    assert write_value(None, "share") == "–" and write_change(None, "share") == "–"
    assert write_change(-0.0123, "share") == "−1.23" and write_change(1.5, "dollars") == "+$1.50"
    assert write_change(-1.5, "dollars") == "−$1.50" and write_change(0.5, "number") == "+0.5"
    assert write_spent(0.003051) == "0.31\u00a0%" and write_spent(0.0001) == "0.01\u00a0%"
    assert write_spent(0.0000999) == "< 0.01\u00a0%"
    assert write_level(95.0) == "95" and write_level(99.6949) == "99.7" and write_level(99.9999) == "99.9999"


def test_the_summary() -> None:
    summary = summarise(small())
    assert summary.startswith("**Ship the graph.** Click rate of the graph's arm is higher: ")
    for line in ("| Users | 4,000 | 4,000 |", "| Click rate | 10.00\u00a0% | 15.00\u00a0% |", "p 1.0000."):
        assert line in summary


@pytest.mark.parametrize(
    ("kind", "right"),
    [
        ("better", {"ship"}),
        ("equal", {"stop for no effect"}),
        ("harmful", {"harm"}),
        ("fading", {"stop for no effect"}),
        ("broken", {"invalid"}),
    ],
)
def test_a_simulated_experiment_is_decided_rightly(kind: str, right: set[str]) -> None:
    readout = read_experiment(declare(looks=4), simulate(kind, 2), as_of=END)
    assert readout["decision"]["outcome"] in right
    assert HEADLINES[readout["decision"]["outcome"]] in render(readout)


@pytest.mark.parametrize(
    ("source", "said"),
    [("sent", "on which a mail was sent."), ("published", "whether a mail was sent is not known.")],
)
def test_both_say_what_an_exposure_is(source: str, said: str) -> None:
    readout = small() | {"exposure_source": source}
    for text in (text_of(render(readout)), summarise(readout)):
        assert said in text and "the day, UTC," in text
    assert f"exposure is what was {source}" in text_of(render(readout))
