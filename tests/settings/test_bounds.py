"""Every setting at, inside and outside its bounds; made from the settings themselves, so that new ones are tried."""

from __future__ import annotations

import ast
import datetime
import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pytest
from pydantic import SecretStr

import holley_assets
from holley_assets.settings import (
    SECTIONS,
    Section,
    SettingsError,
    is_dataset,
    is_identifier,
    is_project,
    load_section,
    load_settings,
    variable_name,
)
from holley_assets.settings.loading import allowed_words
from holley_assets.settings.section import constraints_of, kinds_of

# What else must be set for a setting to be judged by its own bounds alone.
COMPANIONS = {
    "HOLLEY_MODEL_HIDDEN_DIM": {"HOLLEY_MODEL_HEADS": "1"},
    # The product of the upper bound and the number before it: all that is tried divides it.
    "HOLLEY_MODEL_HEADS": {"HOLLEY_MODEL_HIDDEN_DIM": "4032"},
    "HOLLEY_TRAINING_NEGATIVE_IN_BATCH_SHARE": {"HOLLEY_TRAINING_NEGATIVE_FITMENT_SHARE": "0"},
    "HOLLEY_TRAINING_NEGATIVE_FITMENT_SHARE": {"HOLLEY_TRAINING_NEGATIVE_IN_BATCH_SHARE": "0"},
    "HOLLEY_RULE_MINIMUM_PARTS": {"HOLLEY_RULE_MAXIMUM_PARTS": "4"},
    "HOLLEY_RULE_MAXIMUM_PARTS": {"HOLLEY_RULE_MINIMUM_PARTS": "1"},
    "HOLLEY_EVALUATION_CLEAR_WIN": {"HOLLEY_EVALUATION_MARGINAL": "0.0001"},
    "HOLLEY_EVALUATION_MARGINAL": {"HOLLEY_EVALUATION_CLEAR_WIN": "1"},
    "HOLLEY_CHECK_COLD_SHARE_LOW": {"HOLLEY_CHECK_COLD_SHARE_HIGH": "1"},
    "HOLLEY_CHECK_COLD_SHARE_HIGH": {"HOLLEY_CHECK_COLD_SHARE_LOW": "0"},
}
# 1e-4 of a bound of zero, and a whole number's neighbour: what lies just beside a bound.
NEAR = 1e-4


def fields_of(*kinds: object) -> list[Any]:
    """Section and name of every setting of one of these kinds."""
    return [
        pytest.param(section, name, id=variable_name(section, name))
        for section in SECTIONS.values()
        for name in section.model_fields
        if kinds_of(section, name) & set(kinds) or _origins(section, name) & set(kinds)
    ]


def _origins(section: type[Section], name: str) -> set[Any]:
    return {typing.get_origin(kind) for kind in kinds_of(section, name)}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("HOLLEY_"):
            monkeypatch.delenv(name)


def loaded(monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, text: str) -> Any:
    variable = variable_name(section, name)
    for other, value in COMPANIONS.get(variable, {}).items():
        monkeypatch.setenv(other, value)
    monkeypatch.setenv(variable, text)
    return getattr(load_section(section), name)


def refuses(monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, text: str, said: str) -> None:
    with pytest.raises(SettingsError) as raised:
        loaded(monkeypatch, section, name, text)
    line = str(raised.value)
    assert "\n" not in line and "\x1f" not in line
    assert line.startswith(f"{variable_name(section, name)}={said} is not allowed; allowed: ")
    assert len(line.partition("; allowed: ")[2]) > 3


def just_beside(bound: Any, sign: int, kind: type) -> Any:
    if isinstance(bound, datetime.date):
        return bound + datetime.timedelta(days=sign)
    if kind is int:
        return bound + sign
    return bound + sign * NEAR * max(1.0, abs(bound))


def bounds_of(section: type[Section], name: str) -> tuple[tuple[Any, bool], tuple[Any, bool]]:
    """Lower and upper bound, each with whether it is allowed itself."""
    found = constraints_of(section, name)
    low = (found["ge"], True) if "ge" in found else (found["gt"], False)
    high = (found["le"], True) if "le" in found else (found["lt"], False)
    return low, high


def test_there_is_no_setting_of_a_kind_that_is_not_tried() -> None:
    known = {int, float, bool, str, datetime.date, Path, SecretStr}
    for section in SECTIONS.values():
        for name in section.model_fields:
            kinds = kinds_of(section, name)
            assert len(kinds) == 1, variable_name(section, name)
            assert kinds <= known or _origins(section, name) == {Literal}, variable_name(section, name)


@pytest.mark.parametrize(("section", "name"), fields_of(int, float, datetime.date))
def test_numbers_and_days_at_inside_and_outside_their_bounds(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str
) -> None:
    (kind,) = kinds_of(section, name)
    low, high = bounds_of(section, name)
    assert low[0] < high[0]
    for (bound, included), outwards in ((low, -1), (high, 1)):
        inside, outside = just_beside(bound, -outwards, kind), just_beside(bound, outwards, kind)
        found = loaded(monkeypatch, section, name, str(inside))
        assert found == (pytest.approx(inside) if kind is float else inside)
        refuses(monkeypatch, section, name, str(outside), str(outside))
        if included:
            assert loaded(monkeypatch, section, name, str(bound)) == bound
        else:
            refuses(monkeypatch, section, name, str(bound), str(bound))
    words = allowed_words(section, name)
    assert any(word in words for word in ("from", "above")) and " to " in words


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "Infinity", "1e400", "-1e400"])
@pytest.mark.parametrize(("section", "name"), fields_of(int, float))
def test_what_is_no_finite_number_is_refused(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, text: str
) -> None:
    refuses(monkeypatch, section, name, text, text)


@pytest.mark.parametrize(
    "text",
    [
        "0001-01-01",
        "9999-12-31",
        "1700000000",
        "20260201",
        "2026-02-30",
        "2026-W05-1",
        "2026-02-01T00:00:00",
        "today",
        "२०२६-०२-०१",
    ],
)
@pytest.mark.parametrize(("section", "name"), fields_of(datetime.date))
def test_only_iso_dates_of_this_century_are_days(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, text: str
) -> None:
    refuses(monkeypatch, section, name, text, text)


@pytest.mark.parametrize(("section", "name"), fields_of(Literal, bool))
def test_a_choice_takes_its_words_alone(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str
) -> None:
    (kind,) = kinds_of(section, name)
    words = {"true": True, "false": False} if kind is bool else {word: word for word in typing.get_args(kind)}
    for text, value in words.items():
        assert loaded(monkeypatch, section, name, text) == value
        assert text in allowed_words(section, name)
    refuses(monkeypatch, section, name, "something else", "something else")
    refuses(monkeypatch, section, name, next(iter(words)) + "\n", next(iter(words)) + "\\n")


@pytest.mark.parametrize(
    ("character", "said"), [("\x1f", "\\x1f"), ("\n", "\\n"), ("\x7f", "\\x7f"), ("\u202e", "\\u202e")]
)
@pytest.mark.parametrize(("section", "name"), fields_of(str))
def test_no_text_holds_control_characters(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, character: str, said: str
) -> None:
    refuses(monkeypatch, section, name, f"abcdef{character}", f"abcdef{said}")


@pytest.mark.parametrize(("section", "name"), fields_of(str))
def test_no_text_is_longer_than_a_name_can_be(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str
) -> None:
    text = "a" * 5000
    refuses(monkeypatch, section, name, text, text[:199] + "…")


@pytest.mark.parametrize(("section", "name"), fields_of(str, Path))
def test_text_that_is_not_utf_8_is_refused(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str
) -> None:
    """As the operating system hands over a byte that is no character."""
    refuses(monkeypatch, section, name, "abc\udcff", "abc\\udcff")


@pytest.mark.parametrize(("section", "name"), fields_of(Path))
def test_a_path_that_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, section: type[Section], name: str, tmp_path: Path
) -> None:
    file = tmp_path / "a file"
    file.touch()
    refuses(monkeypatch, section, name, str(file / "below"), str(file / "below"))
    refuses(monkeypatch, section, name, "a" * 256, "a" * 199 + "…")


def test_a_path_may_hold_a_line_break(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder = tmp_path / "two\nlines"
    folder.mkdir()
    monkeypatch.setenv("HOLLEY_SOURCE_DIR", str(folder))
    assert load_settings().run.source_dir == folder


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("HOLLEY_RULE_MINIMUM_PARTS", "4"), ("HOLLEY_RULE_MAXIMUM_PARTS", "3")),
        (("HOLLEY_CHECK_COLD_SHARE_LOW", "0.9995"), ("HOLLEY_CHECK_COLD_SHARE_HIGH", None)),
        (("HOLLEY_EVALUATION_CLEAR_WIN", "0.001"), ("HOLLEY_EVALUATION_MARGINAL", None)),
        (("HOLLEY_MODEL_HIDDEN_DIM", "10"), ("HOLLEY_MODEL_HEADS", None)),
        (
            ("HOLLEY_TRAINING_NEGATIVE_IN_BATCH_SHARE", "0.8"),
            ("HOLLEY_TRAINING_NEGATIVE_FITMENT_SHARE", None),
        ),
    ],
)
def test_settings_that_bound_one_another_are_judged_together(
    monkeypatch: pytest.MonkeyPatch, first: tuple[str, str], second: tuple[str, str | None]
) -> None:
    """Also where one of them is a default."""
    monkeypatch.setenv(*first)
    if second[1] is not None:
        monkeypatch.setenv(second[0], second[1])
    with pytest.raises(SettingsError, match=f"{second[0]}=.* is not allowed; allowed: .*{first[0]}"):
        load_settings()


@pytest.mark.parametrize(
    ("variable", "dataset"),
    [
        ("HOLLEY_SERVING_DATASET", "Company_1950"),
        ("HOLLEY_SERVING_DATASET", "DATA_company_1950"),
        ("HOLLEY_SERVING_DATASET", "Temp_Holley_GNN"),
        ("HOLLEY_SERVING_DATASET", "temp_holley_gnn_WORK"),
        ("HOLLEY_SERVING_DATASET", "Staging"),
        ("HOLLEY_SERVING_DATASET", "MAIN"),
        ("HOLLEY_BIGQUERY_WORKING_DATASET", "company_1950"),
        ("HOLLEY_BIGQUERY_WORKING_DATASET", "Holley_Serving"),
        ("HOLLEY_BIGQUERY_WORKING_DATASET", "temp_HOLLEY_gnn"),
    ],
)
def test_a_dataset_of_others_is_never_written_however_it_is_spelled(
    monkeypatch: pytest.MonkeyPatch, variable: str, dataset: str
) -> None:
    monkeypatch.setenv(variable, dataset)
    with pytest.raises(SettingsError, match=r"_DATASET=\w+ is not allowed; allowed: ") as raised:
        load_settings()
    assert "\n" not in str(raised.value)


def test_a_dataset_of_ones_own_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_SERVING_DATASET", "Company_1950_serving")
    assert load_settings().serving.dataset == "Company_1950_serving"


@pytest.mark.parametrize(
    "cron", ["0 3 * * 1", "*/15 0-6,22 1,15 jan-MAR mon", "59 23 31 12 7", "0 0 * * sun,WED"]
)
def test_cron_strings(monkeypatch: pytest.MonkeyPatch, cron: str) -> None:
    monkeypatch.setenv("HOLLEY_SCHEDULE_RETRAIN", cron)
    assert load_settings().schedule.retrain == cron


@pytest.mark.parametrize(
    "cron",
    ["a b c d e", "60 0 * * *", "0 24 * * *", "0 0 0 * *", "0 0 * 13 *", "0 0 * * 8", "0 0 * * mon-sun", "5-1 * * * *",
     "0 0 * *", "0 0 * * * *", "0  0 * * *", "*/0 * * * *", "@daily"],
)  # fmt: skip
def test_wrong_cron_strings(monkeypatch: pytest.MonkeyPatch, cron: str) -> None:
    monkeypatch.setenv("HOLLEY_SCHEDULE_RETRAIN", cron)
    with pytest.raises(SettingsError, match=r"HOLLEY_SCHEDULE_RETRAIN=.* such as 0 3"):
        load_settings()


@pytest.mark.parametrize("ending", ["\n", "\n; DROP TABLE x", " ", "-"])
def test_a_name_is_the_whole_of_a_text(ending: str) -> None:
    assert is_identifier("table_1") and is_project("project-1") and is_dataset("project-1.dataset_1")
    assert not is_identifier("table_1" + ending)
    assert not is_project("project-1" + ending)
    assert not is_dataset("project-1.dataset_1" + ending)
    assert not is_dataset(f"project-1{ending}.dataset_1")


def _matches() -> Iterator[str]:
    for path in sorted(Path(holley_assets.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "match"
            ):
                yield f"{path.name}:{node.lineno}"


def test_no_pattern_is_asked_for_the_beginning_alone() -> None:
    """``match`` lets anything follow, and ``$`` a line break: patterns are asked for a full match or a search."""
    assert list(_matches()) == []
