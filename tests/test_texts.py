"""Text from data is shown everywhere and never ends what shows it."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable

import matplotlib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from matplotlib.figure import Figure
from mlflow.utils.validation import _validate_metric_name, _validate_param_name, _validate_tag_name

from holley_assets.texts import (
    HIDDEN_ADDRESS,
    for_html,
    for_log,
    for_markdown,
    for_mlflow_key,
    for_plot,
    for_terminal,
    mask_addresses,
    mask_all,
    without_values,
)

ANYTHING = st.one_of(
    st.text(alphabet=st.characters(), max_size=60), st.text("$_\\{}^@%.a1 \n<>&|*`[]", max_size=40)
)
ADDRESSES = [
    "ann@example.com",
    "ANN.B+c@mail.example.co.uk",
    "ann%40example.com",
    "o'neil@example.com",
    "jörg@müller.de",
    "ann@xn--mller-kva.de",
    "ann@пример.рф",
    "a@b.co",
    "ann@2x.example.com",
    "ann@163.com",
]
AROUND = [
    "{}",
    "user {} has two rows",
    "mailto:{}",
    "<{}>",
    '"{}",',
    "x={}&y",
    "({})",
    "a\n{}\n",
    "https://u/{}",
]
NO_ADDRESSES = [
    "C@MARO",
    "a@b",
    "hit_rate@4",
    "F@150.5",
    "@",
    "@example.com",
    "a @ b.com",
    "50%40",
    "r@10.25",
    "https://x.com/8202@2x.jpg",
    "https://x.com/8202@1.5X.PNG",
]


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("around", AROUND)
def test_every_address_is_hidden_and_counted(address: str, around: str) -> None:
    assert mask_addresses(around.format(address)) == (around.format(HIDDEN_ADDRESS), 1)


@pytest.mark.parametrize("text", NO_ADDRESSES)
def test_what_is_no_address_stays(text: str) -> None:
    assert mask_addresses(text) == (text, 0)


def test_the_search_is_linear() -> None:
    """An embedded image is one word of a million letters; to start at each of them takes minutes."""
    started = time.perf_counter()
    mask_addresses("iVBORw0KGgo" * 200_000)
    mask_addresses("a@" * 100_000)
    mask_addresses("@a." * 100_000)
    assert time.perf_counter() - started < 2.0


@given(
    st.recursive(
        ANYTHING | st.integers() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(ANYTHING, inner),
        max_leaves=8,
    )
)
@example({"a@b.co": 1, "c@b.co": 2})
def test_nothing_but_addresses_is_lost(value: object) -> None:
    assert _size(mask_all(value)[0]) == _size(value)


def _size(value: object) -> int:
    if isinstance(value, dict):
        return 1 + sum(1 + _size(item) for item in value.values())
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


@given(ANYTHING)
@example("a\nb\x1b[31m\u202e\udcff")
def test_a_log_line_is_one_line_that_can_be_seen(text: str) -> None:
    line = for_log(text)
    assert line.isprintable() and len(line) <= 300
    line.encode()


@given(ANYTHING)
@example("Kit $_$")
@example("$\\frac{$")
@example("_hidden")
def test_a_label_is_no_formula_and_stays_in_the_legend(text: str) -> None:
    label = for_plot(text)
    axis = Figure(figsize=(1, 1)).subplots()
    artist = axis.plot([0], [0], label=label)[0]
    _, is_formula = axis.title._preprocess_math(label)  # type: ignore[attr-defined]  # private
    assert is_formula is not True
    assert "\n" not in label
    assert artist in axis.get_legend_handles_labels()[0] or not label


@pytest.mark.parametrize("text", ["Kit $_$", "$\\frac{1}{$", "a$b", "100% $$$", "$a$b$"])
def test_a_figure_with_any_label_is_drawn_as_it_is_written(text: str) -> None:
    figure = Figure(figsize=(2, 1))
    axis = figure.subplots()
    axis.plot([0], [0], label=for_plot(text))
    axis.set_xticks([0], [for_plot(text)])
    axis.legend()
    drawn = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(drawn, format="svg")
    assert drawn.getvalue().count(f">{text}<".encode()) == 2


# MLflow's own limits are 250 characters, more or less by version and kind of name.
LONGEST_OF_MLFLOW = 250


_VALIDATORS: list[Callable[[str], object]] = [_validate_metric_name, _validate_param_name, _validate_tag_name]


@given(ANYTHING)
@example("")
@example("/absolute")
@example("../up")
@example("x" * 400)
@example("0/")
@example("a//b")
@example("a/./b")
@example("a/../b")
@example("." * 300)
@example("a/" * 200)
def test_mlflow_takes_any_name(text: str) -> None:
    key = for_mlflow_key(text)
    for validate in _VALIDATORS:
        validate(key)
    assert 0 < len(key) <= LONGEST_OF_MLFLOW


def test_names_that_mlflow_would_not_tell_apart_stay_apart() -> None:
    assert for_mlflow_key("metrics/gnn/hit_rate@4") == "metrics/gnn/hit_rate_at_4"
    names = ["Kit $", "Kit #", "Kit _", "x" * 300, "x" * 301, "a/b", "a//b", "a/./b", "a/b/"]
    assert len({for_mlflow_key(name) for name in names}) == len(names)


@given(ANYTHING)
def test_markdown_is_text(text: str) -> None:
    shown = for_markdown(text)
    assert "\n" not in shown
    assert not re.search(r"(?<!\\)(?:\\\\)*[*_`|<\[\]#]", shown)


@given(ANYTHING)
@example("\x00\x1b[31m\u202e")
def test_a_page_gets_no_control_character(text: str) -> None:
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", for_html(text))


@given(ANYTHING)
@example("\x00\x1b]0;title\x07\x9b31m\u202e")
def test_a_terminal_gets_nothing_that_it_obeys(text: str) -> None:
    shown = for_terminal(text)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", shown)
    assert for_terminal("Kit [red] $_$ 5\u00a0%") == "Kit [red] $_$ 5\u00a0%"


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "Could not convert string 'ann smith' to INT64 when casting from source column email_lower\nLINE 1: x",
            "Could not convert string '(hidden)' to INT64 when casting from source column email_lower",
        ),
        ("Could not convert string 'it's ann' to INT64", "Could not convert string '(hidden)' to INT64"),
        ('invalid date field format: "ann", expected YMD', 'invalid date field format: "(hidden)", expected YMD'),
        ('Referenced column "generated_at" not found', 'Referenced column "generated_at" not found'),
        ('table "orders": column "ann@x.com"', 'table "orders": column "(hidden)"'),
        ("Bad int64 value: ann smith", "Bad int64 value: (hidden)"),
        ("In table orders, row 17: value: ann@x.com; 3 rows", "In table orders, row 17: value: (hidden); 3 rows"),
        ("write failed for ann@example.com after 12 rows", "write failed for (e-mail address) after 12 rows"),
        ("", "no words"),
    ],
)  # fmt: skip
def test_an_error_keeps_table_column_and_count_and_loses_values(said: str, shown: str) -> None:
    assert without_values(said) == shown
