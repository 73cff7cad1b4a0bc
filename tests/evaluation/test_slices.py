"""Slices by traffic, layers and users with a history: by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.evaluation.car_traffic import NAMES
from holley_assets.evaluation.metrics import METRICS, HeldOutClicks, UserMetrics, held_out_clicks
from holley_assets.evaluation.significance import Bootstrap
from holley_assets.evaluation.slices import LAYERS, layers, traffic_slices, visits_of_users, with_history

EMAILS = [f"{letter}@example.com" for letter in "abcdefgh"]
TIERS = ["cold"] * 6 + ["warm", "hot"]
TRUTH: HeldOutClicks = held_out_clicks(
    pa.table({"email_lower": EMAILS, "base_sku": ["P"] * 8}),
    pa.table({"email_lower": EMAILS, "engagement_tier": TIERS}),
)
BOOTSTRAP = Bootstrap(draws=400)
NAN = float("nan")


def hits(*values: int) -> UserMetrics:
    return {name: np.array(values, float) for name in METRICS}


def test_visits_of_test_users_follow_their_order_and_are_nan_without_a_car() -> None:
    table = pa.table(
        {
            "email_lower": ["h@example.com", "b@example.com", "stranger@example.com"],
            "visits": [7.0, None, 1.0],
        }
    )
    np.testing.assert_array_equal(visits_of_users(TRUTH, table), [NAN] * 7 + [7.0])


def test_slices_by_hand() -> None:
    """Cold users a–d had 0.5, 2, 2 and 50 visits; e has no car; f had 100; the warm and the hot one do not count."""
    visits = np.array([0.5, 2.0, 2.0, 50.0, NAN, 100.0, 2.0, 2.0])
    values = {"gnn": hits(0, 1, 1, 1, 1, 0, 0, 0), "sql": hits(1, 0, 1, 0, 1, 0, 1, 1)}
    rows = traffic_slices(values, TRUTH, visits, against=("sql",), treatment="gnn", bootstrap=BOOTSTRAP)
    found = {row["name"]: row for row in rows}
    assert list(found) == list(NAMES)
    assert [row["users"] for row in rows] == [1, 2, 0, 0, 0, 1, 1]
    assert found["1–3"]["systems"]["gnn"]["hit_rate@4"] == 1.0
    assert found["1–3"]["systems"]["sql"]["hit_rate@4"] == 0.5
    assert found["1–3"]["systems"]["sql"]["ci95"] == [0.0, 1.0]
    assert found["1–3"]["comparison"]["sql"] == {"hit_rate@4_delta": 0.5, "ci95": [0.0, 1.0]}
    assert found["below 1"]["comparison"]["sql"]["hit_rate@4_delta"] == -1.0
    assert found["3–6"]["systems"]["gnn"] == {
        "hit_rate@4": None,
        "ci95": None,
        "recall@10": None,
        "mrr": None,
    }
    assert found["3–6"]["comparison"]["sql"] == {"hit_rate@4_delta": None, "ci95": None}


def every_layer(*last: int) -> dict[str, UserMetrics]:
    popularity, levels, visitors, messages, whole = (layer.system for layer in LAYERS)
    return {
        popularity: hits(0, 0, 0, 0, 0, 0, 1, 1),
        levels: hits(1, 0, 0, 0, 0, 0, 0, 0),
        visitors: hits(1, 1, 0, 1, 0, 0, 1, 1),
        messages: hits(*last),
        whole: hits(0, 0, 0, 0, 0, 1, 0, 0),
    }


def test_layers_by_hand() -> None:
    """Six cold users, of whom a, b and c had below six visits; message passing wins c and loses d."""
    visits = np.array([0.0, 2.0, 5.9, 6.0, NAN, 100.0, 0.0, 0.0])
    found = layers(every_layer(1, 1, 1, 0, 0, 0, 0, 0), TRUTH, visits, bootstrap=BOOTSTRAP)
    cold = [row["cold"] for row in found["rows"]]
    few = [row["few_visits"] for row in found["rows"]]
    assert [row["users"] for row in cold] == [6] * 5
    assert [row["users"] for row in few] == [3] * 5
    assert [row["hit_rate@4"] for row in cold] == pytest.approx([0, 1 / 6, 3 / 6, 3 / 6, 1 / 6])
    assert [row["added"] for row in cold[1:]] == pytest.approx([1 / 6, 2 / 6, 0, -2 / 6])
    assert [row["added"] for row in few[1:]] == pytest.approx([1 / 3, 1 / 3, 1 / 3, -1])
    assert cold[0]["added"] is None and cold[0]["ci95"] is None
    assert found["reason"].startswith("Message passing adds +0.00 points (")
    assert "on 6 cold users: nothing that this test can tell from none." in found["reason"]
    assert "on 3 cold users with a car of fewer than 6 visits" in found["reason"]


@pytest.mark.parametrize(
    ("last", "verdict"),
    [((1, 1, 1, 1, 1, 1, 0, 0), "a gain"), ((0, 0, 0, 0, 0, 0, 1, 1), "a loss")],
)
def test_the_reason_says_what_the_interval_allows(last: tuple[int, ...], verdict: str) -> None:
    values: dict[str, Any] = every_layer(*last)
    before = hits(*(1 - value for value in last))
    values[LAYERS[-3].system] = before
    found = layers(values, TRUTH, np.zeros(8), bootstrap=BOOTSTRAP)
    assert found["reason"].count(f": {verdict}.") == 2


@pytest.mark.parametrize("missing", [2, 3])
def test_a_layer_that_was_not_ranked_is_left_out_and_said(missing: int) -> None:
    """Without `levels_visitors` or `levels_messages` nobody can tell the one from the other."""
    values = every_layer(1, 1, 1, 1, 1, 1, 1, 1)
    del values[LAYERS[missing].system]
    found = layers(values, TRUTH, np.zeros(8), bootstrap=BOOTSTRAP)
    assert [row["system"] for row in found["rows"]] == [
        layer.system for number, layer in enumerate(LAYERS) if number != missing
    ]
    assert found["rows"][missing]["cold"]["added"] == pytest.approx({2: 5 / 6, 3: -2 / 6}[missing])
    assert (
        found["reason"] == "What message passing adds was not measured: the model without it was not ranked."
    )


def test_without_cars_of_few_visits_there_is_nothing_to_say_of_them() -> None:
    found = layers(every_layer(*[1] * 8), TRUTH, np.full(8, 50.0), bootstrap=BOOTSTRAP)
    assert "There are no cold users with a car of fewer than 6 visits" in found["reason"]


def test_users_with_a_history_by_hand() -> None:
    """Of the warm and the hot user, the model hits one and what was last seen both."""
    values = {"gnn": hits(1, 1, 1, 1, 1, 1, 1, 0), "last_seen": hits(0, 0, 0, 0, 0, 0, 1, 1)}
    found = with_history(values, TRUTH, treatment="gnn", bootstrap=BOOTSTRAP)
    assert found is not None
    assert found["users"] == 2
    assert found["systems"]["last_seen"]["hit_rate@4"] == 1.0
    assert found["systems"]["gnn"]["hit_rate@4"] == 0.5
    assert found["comparison"] == {"last_seen": {"hit_rate@4_delta": -0.5, "ci95": [-1.0, 0.0]}}
    assert with_history({"gnn": values["gnn"]}, TRUTH, treatment="gnn", bootstrap=BOOTSTRAP) is None
