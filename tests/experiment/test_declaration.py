"""What a declaration takes and refuses, and what its fingerprint stands for."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest
from pydantic import ValidationError

from holley_assets.experiment import declaration
from holley_assets.experiment.declaration import Declaration, parse_declaration, read_declaration

TEXT = """
name = "graph_spring"
salt = "a salt"
share = 0.5
primary_metric = "click_rate"
minimal_effect = 0.1
start = 2026-03-01
planned_end = 2026-04-26
looks = [2026-03-22, 2026-04-05, 2026-04-26]
moved_users = "first_arm"
order_value_quantile = 0.99

[guardrails]
unsubscribe_rate = 0.1

[rule]
alpha = 0.04
power = 0.9
novelty_days = 21

[windows]
click_days = 5
order_days = 10
"""
SHORT = """
name = "graph_spring"
salt = "a salt"
share = 0.5
primary_metric = "click_rate"
minimal_effect = 0.1
start = 2026-03-01
planned_end = 2026-04-26
looks = 4
"""


def with_line(line: str) -> str:
    """The short declaration, with the field of ``line`` replaced or added."""
    field = line.split("=", maxsplit=1)[0]
    return "\n".join([other for other in SHORT.splitlines() if not other.startswith(field)] + [line])


def test_every_field_is_read() -> None:
    declared = parse_declaration(TEXT)
    assert declared.name == "graph_spring" and declared.salt == "a salt" and declared.share == 0.5
    assert declared.primary_metric == "click_rate" and declared.minimal_effect == 0.1
    assert declared.start == datetime.date(2026, 3, 1) and declared.planned_end == datetime.date(2026, 4, 26)
    assert declared.look_dates() == (
        datetime.date(2026, 3, 22),
        datetime.date(2026, 4, 5),
        datetime.date(2026, 4, 26),
    )
    assert declared.moved_users == "first_arm" and declared.order_value_quantile == 0.99
    assert dict(declared.guardrails) == {"unsubscribe_rate": 0.1}
    assert (declared.rule.alpha, declared.rule.power, declared.rule.novelty_days) == (0.04, 0.9, 21)
    assert declared.windows.click_days == 5 and declared.windows.order_days == 10


def test_what_is_left_out_has_the_usual_value() -> None:
    declared = parse_declaration(SHORT)
    assert declared.moved_users == "exclude" and declared.order_value_quantile == 0.999
    assert dict(declared.guardrails) == {}
    assert (declared.rule.alpha, declared.rule.power, declared.rule.novelty_days) == (0.05, 0.8, 14)
    assert declared.windows.click_days == 7 and declared.windows.order_days == 14


def test_the_window_is_that_of_the_primary_metric() -> None:
    assert parse_declaration(SHORT).window_days == 7
    for metric in ("conversion", "revenue_per_user"):
        assert parse_declaration(with_line(f'primary_metric = "{metric}"')).window_days == 14


def test_a_number_of_looks_is_spread_over_the_days() -> None:
    # 56 days: every fourteenth.
    assert [day.isoformat() for day in parse_declaration(SHORT).look_dates()] == [
        "2026-03-15",
        "2026-03-29",
        "2026-04-12",
        "2026-04-26",
    ]
    daily = parse_declaration(with_line("looks = 56")).look_dates()
    assert len(set(daily)) == 56 and daily[0] == datetime.date(2026, 3, 2)
    assert parse_declaration(with_line("looks = 1")).look_dates() == (datetime.date(2026, 4, 26),)


def test_the_fingerprint_is_of_what_is_declared_and_not_of_how() -> None:
    declared = parse_declaration(SHORT)
    written_out = "\n".join(reversed(SHORT.strip().splitlines())) + "\n# a comment\n[rule]\nalpha = 0.05\n"
    assert parse_declaration(written_out).fingerprint() == declared.fingerprint()
    days = ", ".join(day.isoformat() for day in declared.look_dates())
    assert parse_declaration(with_line(f"looks = [{days}]")).fingerprint() == declared.fingerprint()
    assert len(declared.fingerprint()) == 16


@pytest.mark.parametrize(
    "line",
    [
        'name = "graph_summer"',
        'salt = "another"',
        "share = 0.4",
        'primary_metric = "conversion"',
        "minimal_effect = 0.11",
        "start = 2026-03-02",
        "planned_end = 2026-04-27",
        "looks = 5",
        'moved_users = "first_arm"',
        "order_value_quantile = 0.99",
        "guardrails = {delivered_share = 0.01}",
        "rule = {alpha = 0.01}",
        "rule = {power = 0.9}",
        "rule = {novelty_days = 13}",
        "windows = {click_days = 8}",
        "windows = {order_days = 13}",
    ],
)
def test_each_field_is_part_of_the_fingerprint(line: str) -> None:
    assert parse_declaration(with_line(line)).fingerprint() != parse_declaration(SHORT).fingerprint()


def test_a_declaration_cannot_be_changed() -> None:
    declared = parse_declaration(SHORT)
    with pytest.raises(ValidationError, match="frozen"):
        declared.share = 0.9  # type: ignore[misc]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('name = "Graph Spring"', "name: String should match pattern"),
        ('salt = ""', "salt: String should have at least 1 character"),
        ("share = 0.0", "share: Input should be greater than 0"),
        ("share = 1.0", "share: Input should be less than 1"),
        ("share = true", "share: must be a number, not true or false"),
        ("share = nan", "share: Input should be"),
        ('primary_metric = "opens"', "primary_metric: Input should be 'click_rate', 'conversion' or"),
        ("minimal_effect = 0.0", "minimal_effect: Input should be greater than 0"),
        ("minimal_effect = 10.1", "minimal_effect: Input should be less than or equal to 10"),
        ("planned_end = 2026-03-01", "planned_end 2026-03-01 must be after start 2026-03-01"),
        ("planned_end = 2026-03-07", "is over; choose 2026-03-08 or later"),
        ("planned_end = 2026-04-26T10:00:00", "planned_end: must be a day without a time"),
        ("looks = 0", "looks: Input should be greater than or equal to 1"),
        ("looks = 57", "looks = 57 is more than one a day"),
        ("looks = true", "looks: must be a number, not true or false"),
        ("looks = []", "looks is an empty list"),
        ("looks = [2026-04-12, 2026-04-05, 2026-04-26]", "looks must be days in rising order"),
        ("looks = [2026-04-05, 2026-04-05, 2026-04-26]", "looks must be days in rising order"),
        ("looks = [2026-03-01, 2026-04-26]", "the first look must be after start 2026-03-01"),
        ("looks = [2026-04-05, 2026-04-25]", "the last on planned_end 2026-04-26"),
        ('moved_users = "last_arm"', "moved_users: Input should be 'exclude' or 'first_arm'"),
        ("order_value_quantile = 0.5", "order_value_quantile: Input should be greater than 0.5"),
        (
            "guardrails = {opens = 0.1}",
            "guardrails.opens: Input should be 'unsubscribe_rate', 'delivered_share'",
        ),
        (
            "guardrails = {delivered_share = 0.0}",
            "guardrails.delivered_share: Input should be greater than 0",
        ),
        ("rule = {alpha = 0.3}", "rule.alpha: Input should be less than or equal to 0.2"),
        ("rule = {power = 0.4}", "rule.power: Input should be greater than or equal to 0.5"),
        ("rule = {novelty_days = -1}", "rule.novelty_days: Input should be greater than or equal to 0"),
        ("rule = {novelty_days = 367}", "rule.novelty_days: Input should be less than or equal to 366"),
        ("rule = {novelty_days = true}", "rule.novelty_days: must be a number, not true or false"),
        ("windows = {click_days = 0}", "windows.click_days: Input should be greater than or equal to 1"),
        ("windows = {order_days = 91}", "windows.order_days: Input should be less than or equal to 90"),
        ("colour = 1", "colour is no field of a declaration; check its spelling"),
    ],
)
def test_what_is_wrong_is_named_with_what_it_must_be(line: str, words: str) -> None:
    with pytest.raises(ValueError, match=r"experiment\.toml") as caught:
        parse_declaration(with_line(line), "experiment.toml")
    assert words in str(caught.value)


def test_a_shortest_plan_is_one_window() -> None:
    assert parse_declaration(with_line("planned_end = 2026-03-08")).days == 7


def test_every_missing_field_is_named_at_once() -> None:
    with pytest.raises(ValueError, match="name is missing; salt is missing; share is missing"):
        parse_declaration("looks = 3")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "experiment.toml"
    with pytest.raises(ValueError, match="cannot be read"):
        read_declaration(path)
    path.write_text("name = ", encoding="utf-8")
    with pytest.raises(ValueError, match=r"experiment\.toml is no TOML"):
        read_declaration(path)
    path.write_text(TEXT, encoding="utf-8")
    assert read_declaration(path) == parse_declaration(TEXT)
    assert isinstance(read_declaration(path), Declaration)


def test_the_example_of_the_page_is_a_declaration_with_the_usual_values() -> None:
    page = Path(declaration.__file__).with_name("README.md").read_text(encoding="utf-8")
    example = page.split("```toml\n", maxsplit=1)[1].split("```", maxsplit=1)[0]
    declared = parse_declaration(example)
    short = parse_declaration(SHORT)
    for field in ("moved_users", "order_value_quantile", "rule", "windows"):
        assert getattr(declared, field) == getattr(short, field)
    assert set(declared.guardrails) == {"unsubscribe_rate", "delivered_share", "average_order_value"}
