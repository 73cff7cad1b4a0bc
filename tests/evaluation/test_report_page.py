"""The page: self-contained, well-formed, accessible, and complete with or without the optional sections."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from holley_assets.evaluation import plots
from holley_assets.evaluation.calibration import calibration
from holley_assets.evaluation.embedding_views import embedding_map, nearest
from holley_assets.evaluation.exposure import exposure
from holley_assets.evaluation.formatting import (
    addend,
    difference,
    dollars,
    magnitude,
    number,
    probability,
    relative,
    share,
    signed,
    span,
)
from holley_assets.evaluation.graph_summary import degree_distribution
from holley_assets.evaluation.plots import part_type_mix
from holley_assets.evaluation.report import build_report
from holley_assets.evaluation.report_page import render
from holley_assets.evaluation.training_summary import summarise_training

VOID = {"meta", "img", "br", "source"}


class Page(HTMLParser):
    """Collects images, text and sections, and fails on a tag that is not closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[dict[str, str | None]] = []
        self.addresses: list[str] = []
        self.sections: dict[str, str] = {}
        self.links: dict[str, str] = {}
        self.address = ""
        # Without the words of the links to the sections, which stand above all of them.
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag == "img":
            self.images.append(attributes)
        if tag == "h2":
            self.address = f"#{attributes.get('id', '')}"
        if tag == "a" and "nav" in self.open:
            self.address = attributes["href"] or ""
            return
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "nav" in self.open:
            self.links[self.address] = data
            return
        if self.open and self.open[-1] == "h2" and self.address != "#":
            self.sections[self.address] = data
        self.text += data


def report_of(
    world: Any,
    extras: dict[str, Any] | None = None,
    *,
    clicks: int | None = None,
    control_rankings: pa.Table | None = None,
    visits: pa.Table | None = None,
) -> dict[str, Any]:
    """The report of a world, on its first ``clicks`` clicks."""
    return build_report(
        run=world.run,
        clicks=world.clicks.slice(0, clicks),
        clicks_dropped={"no product view within the window": 12},
        users=world.users,
        rankings=world.rankings,
        rankings_before_rules=world.rankings,
        products=world.products,
        control_rankings=control_rankings,
        visits=visits,
        extras=extras,
    )


def all_extras(world: Any) -> dict[str, Any]:
    """Every optional section."""
    promised = pa.table({"promised": [0.2, 0.8], "hit": [False, True], "owners": [1, 2]})
    vectors = np.random.default_rng(0).normal(size=(world.products.num_rows, 8))
    names = world.products.column("base_sku").to_pylist()
    history = [
        {
            "epoch": epoch,
            "train_loss": 1 / epoch,
            "validation_loss": 1.1 / epoch,
            "validation_mrr": 0.1 * epoch,
        }
        for epoch in range(1, 4)
    ]
    return {
        "training": summarise_training(history),
        "graph": {
            "nodes": {"user": 400},
            "edges": {"user interacts product": 900},
            "density": {"user interacts product": 0.001},
            "degrees": {"parts of a user": degree_distribution(world.rankings, ["email_lower"])},
        },
        "calibration": calibration(promised),
        "delivered": {"users": 400, "slots": 1600, "parts": 200, "part_types": {"Wheel": 1600}},
        "nearest": {"Nearest parts": nearest(vectors, names, names[:2]), "Nearest vehicles": []},
    }


def test_self_contained_and_well_formed(world: Any) -> None:
    """No script, nothing loaded from anywhere, every tag closed."""
    points = embedding_map(np.random.default_rng(1).normal(size=(50, 4)), ["Wheel"] * 50)
    text = render(report_of(world, all_extras(world)), embedding_points=points)
    page = Page(text)
    assert page.open == []
    assert "<script" not in text
    assert all(address.startswith("data:image/") for address in page.addresses)
    assert "url(" not in text
    assert len(page.images) == 6


def test_links_above_all_sections_lead_to_each_of_them(world: Any) -> None:
    """The page is long: whoever asks one question finds its answer without reading on."""
    page = Page(render(report_of(world, all_extras(world))))
    assert page.links == page.sections and len(page.links) > 8
    assert page.links["#lift-by-tier"] == "Lift by tier"
    assert page.links["#what-users-are-shown"] == "What users are shown"
    assert "#gates" in page.links and "#decision" not in page.links


def test_a_phone_is_shown_the_lift_in_letters_that_can_be_read(world: Any) -> None:
    """The drawing for a screen would be drawn at a third of its size, or cut off beside the point that decides."""
    text = render(report_of(world))
    narrow, wide = text.index('<source media="(max-width: 560px)"'), text.index('<img src="data:image/svg')
    assert 0 < wide - narrow < 120_000
    assert ".fits) img { min-width" in text, "the others scroll"
    report = report_of(world)
    widths = [
        plots.lift_by_tier(report["comparison"], report["metrics"], treatment="gnn", narrow=narrow)
        for narrow in (False, True)
    ]
    assert [plot is not None and _width_of(plot) > 500 for plot in widths] == [True, False]


def _width_of(plot: plots.Plot) -> float:
    """Points that a drawing is wide."""
    drawing = base64.b64decode(plot.source.partition(",")[2]).decode()
    found = re.search(r'<svg[^>]* width="([\d.]+)pt"', drawing)
    assert found
    return float(found[1])


def test_labels_of_the_map_stand_apart() -> None:
    places = {"low": (0.0, 0.0), "middle": (0.1, 0.01), "top": (0.0, 0.05), "far": (0.9, 0.0)}
    found = plots.apart(places, 1.0, 1.0)
    assert found["top"] == (0.0, 0.05) and found["far"] == (0.9, 0.0)
    assert found["middle"][0] == 0.1 and found["low"][0] == 0.0
    assert found["middle"][1] == pytest.approx(0.05 - 0.06)
    assert found["low"][1] == pytest.approx(0.05 - 2 * 0.06)


def test_users_who_are_all_alike_have_no_interval() -> None:
    assert span([0.0, 0.0]) == span(None) == "–"
    assert span([0.1, 0.2], "share") == "10.0\u00a0% to 20.0\u00a0%"


def test_the_page_says_whether_scores_mean_the_same_for_every_vehicle(world: Any) -> None:
    text = Page(render(report_of(world, all_extras(world)))).text
    section = text[text.index("Does a score mean the same") :]
    assert "20.00 points apart" in section and "few owners" in section
    empty = pa.table(
        {"promised": pa.array([], "f8"), "hit": pa.array([], "bool"), "owners": pa.array([], "i8")}
    )
    assert "None" not in Page(render(report_of(world, {"calibration": calibration(empty)}))).text


def test_every_image_says_what_it_shows(world: Any) -> None:
    """Alternative text with the figures, for those who cannot see the plot."""
    page = Page(render(report_of(world, all_extras(world))))
    assert all(len(image["alt"] or "") > 30 for image in page.images)
    assert any("cold +" in (image["alt"] or "") for image in page.images)


@pytest.mark.parametrize(("source", "said"), [("sample", True), ("parquet", False), ("bigquery", False)])
def test_the_page_says_where_customers_are_invented(world: Any, source: str, said: bool) -> None:
    assert ("Generated sample." in Page(render(report_of(world, {"source": source}))).text) == said


def test_the_banner_is_in_the_title_too(world: Any) -> None:
    assert "(generated sample)</title>" in render(report_of(world, {"source": "sample"}))
    assert "generated sample" not in render(report_of(world, {"source": "bigquery"}))


def test_near_the_top_stands_what_speaks_against_a_promotion(world: Any) -> None:
    """Decision, gates and the run before, each in words; a clear win that passes them has none."""
    report = report_of(world)
    for gate in report["gates"]:
        gate["passed"] = gate["name"] != "mrr_cold"
    report["previous_run"] = {"run_id": "run-0", "no_worse": False, "measures": []}
    text = Page(render(report)).text
    top = text[: text.index("Lift by tier")]
    assert "✕ Not to be promoted: the decision is inconclusive, and only a clear win is promoted" in top
    assert "gates not passed: MRR, cold; it is worse than the run before" in top
    report["decision"]["outcome"] = "clear_win"
    report["previous_run"]["no_worse"] = True
    report["gates"][1]["passed"] = True
    assert all(gate["passed"] for gate in report["gates"])
    won = Page(render(report)).text
    assert "✓ May be promoted" in won and "Not to be promoted" not in won


def test_a_gate_is_told_by_sign_and_word(world: Any) -> None:
    report = report_of(world)
    report["gates"][0]["passed"], report["gates"][1]["passed"] = True, False
    text = Page(render(report)).text
    gates = text[text.index("Gates") : text.index("Metrics of every system")]
    assert "✓ passed" in gates and "✕ not passed" in gates


def test_tables_scroll_by_the_keyboard_too(world: Any) -> None:
    text = render(report_of(world, all_extras(world)))
    assert text.count('<div class="scroll"') == text.count(
        '<div class="scroll" tabindex="0" role="group" aria-label="'
    )


def test_paper_does_not_scroll(world: Any) -> None:
    """What is hidden beside the edge of a screen would be lost on paper."""
    text = render(report_of(world))
    assert ".scroll { overflow: visible; }" in text[text.index("@media print") :]


def test_training_says_whose_weights_are_kept(world: Any) -> None:
    extras = all_extras(world)
    text = Page(render(report_of(world, extras))).text
    assert "Held-out visitors chose epoch 3 of 3" in text and "The weights are those of that epoch." in text
    training = {**extras["training"], "best_epoch": 1, "chosen_stage": "levels", "kept_epoch": 3}
    other = Page(render(report_of(world, {**extras, "training": training}))).text
    assert "chose epoch 1 (levels)" in other and "is that of epoch 3, which was not chosen" in other
    assert "The weights are those of epoch 3: the same fit once more to everybody" in other


def test_the_embedding_map_tells_groups_by_shape_and_by_safe_colours() -> None:
    points = embedding_map(
        np.random.default_rng(0).normal(size=(80, 4)), [f"type {n % 8}" for n in range(80)]
    )
    assert plots.embedding_picture(points) is not None
    assert len(set(plots.GROUP_SHAPES)) == len(set(plots.GROUP_COLOURS)) == len(plots.GROUP_SHAPES) == 7
    # Red and green of one lightness are what most colour-blind readers confuse: lightness differs between neighbours.
    light = [sum(int(colour[place : place + 2], 16) for place in (1, 3, 5)) for colour in plots.GROUP_COLOURS]
    assert all(abs(first - second) > 40 for first, second in pairwise(light))


def test_the_page_says_what_customers_get(world: Any) -> None:
    pulled = {"mode": "ab", "kill_switch": True, "kill_switch_state": "on since Monday by ada: wrong parts"}
    released = {"mode": "ab", "kill_switch": False, "kill_switch_state": "off: it was never pulled"}
    on, off = (Page(render(report_of(world, {"serving": serving}))).text for serving in (pulled, released))
    assert "mode ab; the kill switch is on since Monday by ada: wrong parts. Everybody gets the SQL" in on
    assert "the kill switch is off: it was never pulled." in off and "Everybody gets the SQL" not in off
    assert "nothing is served" not in on + off
    for pulled_in_shadow in (pulled, released):
        shadow = {**pulled_in_shadow, "mode": "shadow"}
        text = Page(render(report_of(world, {"serving": shadow}))).text
        assert "In this mode nothing is served" in text and "Everybody gets the SQL" not in text


def example_cars(pictures: bool) -> dict[str, Any]:
    """A section of one car, with names that are markup or addresses."""
    terms = {"popularity": 0.25, "model": -0.0625, "messages": 0.0001}
    graph = {
        "base_sku": "A",
        "sku": "<b>A</b>",
        "part_type": "ann@example.com",
        "price": 1234.5,
        "image": "https://pictures.example/a.jpg",
        "rank": 1,
        "rule": None,
        "score": 0.1876,
        "terms": terms,
        "sold": None,
    }
    sql = {**graph, "base_sku": "B", "sku": "B", "rank": 7, "sold": "12 orders by owners of the make"}
    capped = {**sql, "sku": "C", "rule": "at most 2 of a part type: Wheel"}
    difference = {"common": 0, "preferred": "A", "over": "B", "rule": None, "terms": terms}
    car = {"group": "no traffic", "car": "1969 <i>FORD</i>", "owners": 3, "visits": 0.5, "graph": [graph]}
    found = {"car": "1969 FORD", "visits": 0.5, "part": graph, "rank": 4, "rank_without": 9, "added": 0.0312}
    return {
        "cars": [{**car, "sql": [sql, capped], "difference": difference}],
        "through_another_car": {**found, "from_cars": {"1970 FORD": 0.03}},
        "pictures": pictures,
    }


def test_the_page_shows_what_customers_would_see(world: Any) -> None:
    """Both lists with prices, the sum of each score, why SQL ranks as it does, and what other cars bring."""
    page = Page(text := render(report_of(world, {"example_cars": example_cars(pictures=False)})))
    section = page.text[page.text.index("What would customers see?") : page.text.index("Gates")]
    assert "1969 <i>FORD</i>" in section and "<i>" not in text and "<b>" not in text
    assert "ann@example.com" not in text and "(e-mail address)" in section
    assert "0.188 = popularity +0.250, model −0.062" in section and "messages +0.000" not in section
    assert "$1,234.50" in section and "12 orders by owners of the make; rank 7" in section
    assert "taken out: at most 2 of a part type: Wheel" in section
    assert "The graph puts A above B, which only SQL shows, by +0.188: popularity +0.250" in section
    assert "add +0.0312 to its score" in section and "rank 9 in the place of 4" in section
    assert "pictures do not exist" in section
    assert all(address.startswith("data:image/") for address in page.addresses)
    without = {**example_cars(pictures=False), "through_another_car": None}
    assert "each shows the same parts" in Page(render(report_of(world, {"example_cars": without}))).text
    absent = Page(render(report_of(world, {"example_cars": None}))).text
    assert "What would customers see?" not in absent


def test_a_hybrid_s_page_says_that_the_examples_are_of_the_graph_alone(world: Any) -> None:
    report = report_of(world, {"example_cars": example_cars(pictures=False)})
    alone = Page(render(report)).text
    assert "lists are of the graph model alone" not in alone and "holley explain --car" in alone
    metrics = {**report["metrics"], "hybrid": report["metrics"]["gnn"]}
    mixed = Page(render({**report, "delivered_system": "hybrid", "metrics": metrics})).text
    assert "lists are of the graph model alone; what is delivered is hybrid" in mixed
    assert "holley explain --car" not in mixed


def test_pictures_of_real_parts_are_loaded_late_and_without_a_referrer(world: Any) -> None:
    page = Page(render(report_of(world, {"example_cars": example_cars(pictures=True)})))
    pictures = [image for image in page.images if not (image["src"] or "").startswith("data:")]
    assert [image["src"] for image in pictures] == ["https://pictures.example/a.jpg"] * 3
    for image in pictures:
        assert (image["loading"], image["referrerpolicy"], image["alt"]) == ("lazy", "no-referrer", "")
    assert "pictures do not exist" not in page.text


def similar_parts(pictures: bool) -> dict[str, Any]:
    """A section of one part with one part that goes with it, by names that are markup or addresses."""
    part = {
        "base_sku": "A",
        "sku": "<b>A</b>",
        "part_type": "ann@example.com",
        "price": 1234.5,
        "image": "https://pictures.example/a.jpg",
    }
    other = {**part, "sku": "B", "rank": 1, "score": 0.98765, "buyers": 1200, "shared_vehicles": 7}
    return {"pictures": pictures, "parts": [{**part, "orders": 42, "alternative": [], "goes_with": [other]}]}


def test_the_page_shows_what_is_similar_to_the_parts_that_sold_most(world: Any) -> None:
    page = Page(text := render(report_of(world, {"similar_parts": similar_parts(pictures=False)})))
    section = page.text[page.text.index("Which parts are similar?") : page.text.index("Gates")]
    assert "<b>A</b>" in section and "<b>" not in text
    assert "ann@example.com" not in text and "42 orders" in section and "$1,234.50" in section
    assert "score 0.988; 1,200 buyers of both, 7 cars in common" in section
    assert "Nothing: no such part fits its cars, or too few buyers tell." in section
    assert all(address.startswith("data:image/") for address in page.addresses)
    page = Page(render(report_of(world, {"similar_parts": similar_parts(pictures=True)})))
    assert [image["src"] for image in page.images if not (image["src"] or "").startswith("data:")] == [
        "https://pictures.example/a.jpg"
    ] * 2
    for absent in ({"pictures": True, "parts": []}, None):
        report = report_of(world, {"similar_parts": absent} if absent else {})
        assert "Which parts are similar?" not in Page(render(report)).text


def test_the_decision_comes_first(world: Any) -> None:
    """Before any table: outcome and reason."""
    report = report_of(world)
    text = Page(render(report)).text
    assert text.index("Inconclusive") < text.index(report["decision"]["reason"]) < text.index("Lift by tier")
    assert "no product view within the window" in text


def test_the_page_asks_whether_it_is_the_graph(
    world: Any, control_like: Callable[[Any, str], pa.Table]
) -> None:
    """The count's Hit Rate@4 by tier and the comparison with its interval; nothing where there is no count."""
    report = report_of(world, control_rankings=control_like(world, "popularity"))
    text = Page(render(report)).text
    section = text[text.index("Is it the graph?") : text.index("Gates")]
    for scope in ("cold", "warm", "hot", "overall"):
        assert share(report["metrics"]["popularity"][scope]["hit_rate@4"]) in section
        assert span(report["control"]["comparison"][scope]["ci95"]) in section
        assert span(report["control"]["comparison_by_car"][scope]["ci95"]) in section
    without = Page(render(report_of(world))).text
    assert "Is it the graph?" not in without
    assert "fitted_popularity" not in without


def test_the_page_shows_slices_layers_and_users_with_a_history(
    world: Any, control_like: Callable[[Any, str], pa.Table]
) -> None:
    """Every number of the three sections; none of them where nothing was ranked for it."""
    controls = control_like(world, "popularity")
    names = {"levels": "popularity", "levels_visitors": "sql", "levels_messages": "random"}
    names |= {"item_to_item": "sql", "last_seen": "random"}
    for name, like in names.items():
        rankings = world.rankings.filter(pc.equal(world.rankings["system"], like))
        column = rankings.schema.get_field_index("system")
        renamed = rankings.set_column(column, "system", pa.array([name] * rankings.num_rows))
        controls = pa.concat_tables([controls, renamed])
    emails = world.users["email_lower"]
    visits = pa.table({"email_lower": emails, "visits": np.arange(len(emails)) % 8 * 20.0})
    report = report_of(world, control_rankings=controls, visits=visits)
    text = Page(render(report)).text
    layers = text[text.index("What each layer added") : text.index("By the traffic of the car")]
    slices = text[text.index("By the traffic of the car") : text.index("Users with a history")]
    history = text[text.index("Users with a history") : text.index("Gates")]
    assert report["layers"]["reason"] in layers
    assert [row["system"] for row in report["layers"]["rows"]] == [
        "fitted_popularity",
        "levels",
        "levels_visitors",
        "levels_messages",
        "gnn",
    ]
    for row in report["layers"]["rows"][1:]:
        assert difference(row["cold"]["added"]) in layers and span(row["few_visits"]["ci95"]) in layers
    assert [row["users"] > 0 for row in report["car_traffic"]] == [
        True,
        False,
        False,
        False,
        True,
        True,
        True,
    ]
    for row in report["car_traffic"]:
        assert row["name"] in slices
        for system in ("sql", "visitor_demand"):
            assert share(row["systems"][system]["hit_rate@4"]) in slices
            assert span(row["comparison"][system]["ci95"]) in slices
    for system, row in report["history"]["systems"].items():
        assert system in history and share(row["hit_rate@4"]) in history
    for row in report["history"]["comparison"].values():
        assert span(row["ci95"]) in history
    plain = report_of(world, control_rankings=control_like(world, "popularity"))
    assert plain["car_traffic"] is plain["layers"] is plain["history"] is None
    assert "By the traffic" not in render(plain)
    # One user of a tier and slices without anybody still make a page.
    few = report_of(world, clicks=1, control_rankings=controls, visits=visits)
    assert "nan" not in Page(render(few)).text.lower()


def test_the_page_shows_what_changed_since_the_run_before(world: Any) -> None:
    """Every measure with its limit and verdict; a first run says that there is none before it."""
    measures: list[dict[str, Any]] = [
        {
            "measure": "scores_psi",
            "kind": "drift",
            "before": None,
            "now": None,
            "value": 0.4,
            "limit": 0.2,
            "kept": False,
        },
        {
            "measure": "nodes.user_change",
            "kind": "worse",
            "before": 2000.0,
            "now": 2100.0,
            "value": 0.05,
            "limit": 0.2,
            "kept": True,
        },
        {
            "measure": "user_norm_mean_change",
            "kind": "shown",
            "before": 3.0,
            "now": 2.0,
            "value": -1 / 3,
            "limit": None,
            "kept": None,
        },
    ]
    previous: dict[str, Any] = {"run_id": "run-0", "no_worse": True, "measures": measures}
    text = Page(render(report_of(world, {"previous_run": previous}))).text
    section = text[text.index("Against the run before") : text.index("How to read this page")]
    assert "run-0" in section and "✕ drifted" in section and "✓ kept" in section
    assert "2,000" in section and "−0.3333" in section
    changed = {
        **previous,
        "settings": {"training.seed": ["0", "<1>"]},
        "versions": {},
        "came": {"count": 12, "names": ["A1", "A2"]},
        "went": {"count": 0, "names": []},
    }
    text = Page(render(report_of(world, {"previous_run": changed}))).text
    section = text[text.index("Against the run before") : text.index("How to read this page")]
    assert "training.seed" in section and "<1>" in section
    assert "Packages and code are the same." in section
    assert "Parts that came: 12 (A1, A2 and others). Parts that went: none." in section
    assert "holley compare run-0" in section
    gone = {**changed, "settings": {}, "versions": None, "came": None, "went": None}
    text = Page(render(report_of(world, {"previous_run": gone}))).text
    assert "No setting differs." in text and "were not kept" in text and "the run before is gone" in text
    worse = {**previous, "no_worse": False, "measures": [{**measures[1], "kept": False}]}
    assert "not promoted unless forced" in Page(render(report_of(world, {"previous_run": worse}))).text
    first: dict[str, Any] = {"run_id": None, "no_worse": True, "measures": []}
    assert "no earlier good run" in Page(render(report_of(world, {"previous_run": first}))).text


@pytest.mark.parametrize("clicks", [0, 1, 5])
def test_tiny_test_sets_still_make_a_page(
    world: Any, control_like: Callable[[Any, str], pa.Table], clicks: int
) -> None:
    """Empty tiers, missing intervals and no plots."""
    control_rankings = control_like(world, "sql")
    text = render(report_of(world, clicks=clicks, control_rankings=control_rankings))
    assert "no test user in this tier" in text
    assert "nan" not in Page(text).text.lower()
    assert "None" not in Page(text).text


def test_names_from_the_data_are_escaped(world: Any) -> None:
    """A part type or reason is text, whatever is in it."""
    report = report_of(world, {"nearest": {"<b>": [{"of": "<script>alert(1)</script>", "nearest": []}]}})
    assert "<script>" not in render(report)


def test_an_address_is_hidden_on_the_page(world: Any) -> None:
    """Also in a section that came from elsewhere; the page says how many there were."""
    report = report_of(world, {"nearest": {"Nearest users": [{"of": "ann@example.com", "nearest": []}]}})
    page = Page(render(report))
    assert "example.com" not in page.text and "(e-mail address)" in page.text
    assert "1 e-mail addresses stood in names of parts or vehicles and are hidden" in page.text
    assert "are hidden" not in Page(render(report_of(world))).text


STRANGE = [
    "Kit $_$",
    "$\\frac{1}{$",
    "$a$b$",
    "_hidden",
    "C@MARO kit",
    "ann@example.com",
    "<script>alert(1)</script>",
    "{{ 7 * 7 }}{% raw %}",
    "**bold** | table",
    "two\nlines\ttab",
    "\x00\x1b[31m\u202e",
    "x" * 5000,
    "日本 🚗",
    "",
    " ",
    "\\",
]


@pytest.mark.filterwarnings("ignore:Glyph .* missing")
def test_part_types_may_be_called_anything(world: Any) -> None:
    """No name ends the page: each stands in the plots, the tables and the text."""
    kinds = [STRANGE[number % len(STRANGE)] for number in range(world.products.num_rows)]
    counts = dict(zip(STRANGE, range(1, len(STRANGE) + 1), strict=True))
    assert part_type_mix({"gnn": counts}, limit=len(STRANGE)) is not None
    points = embedding_map(np.random.default_rng(0).normal(size=(len(kinds), 8)), kinds)
    nearest_parts = [{"of": kind, "nearest": []} for kind in STRANGE]
    report = report_of(world, {"nearest": {"parts": nearest_parts, **dict.fromkeys(STRANGE, nearest_parts)}})
    report["exposure"]["gnn"]["part_types"] = counts
    page = render(report, embedding_points=points)
    assert "<script>" not in page and "\x00" not in page and "\u202e" not in page
    assert "could not be drawn" not in page
    assert "Kit $_$" in Page(page).text and "{{ 7 * 7 }}" in Page(page).text


def test_a_plot_that_cannot_be_drawn_is_named(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers are there all the same."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("ParseException: expected \n ann@example.com")

    monkeypatch.setattr(plots, "lift_by_tier", fail)
    text = Page(render(report_of(world))).text
    assert (
        r"The plot lift could not be drawn (ValueError: ParseException: expected \n (e-mail address))" in text
    )
    assert "Hit Rate@4" in text


def test_same_report_same_page(world: Any) -> None:
    """No dates of drawing, no random identifiers."""
    assert render(report_of(world)) == render(report_of(world))


def test_part_types_absent_from_one_system_show_as_nothing(world: Any) -> None:
    """The mix counts every type, so that a bar of zero means zero."""
    counts = exposure(world.rankings, world.products, ["gnn"])["gnn"]
    assert sum(counts["part_types"].values()) == counts["slots"]


def test_numbers_for_people() -> None:
    """Signs, units and what does not exist."""
    assert signed(-0.0123) == "−1.23"
    assert signed(-0.00001) == "+0.00"
    assert difference(None) == relative(None) == share(None) == probability(None) == span(None) == "–"
    assert magnitude(0.0123) == "1.23"
    assert [addend(value) for value in (None, 0.0126, -0.5, -0.0001)] == ["–", "+0.013", "−0.500", "+0.000"]
    assert [dollars(value) for value in (None, 1234.5)] == ["–", "$1,234.50"]
    assert [number(value) for value in (None, 12345.6, 0.012345, -3.0, 0.0, -0.0)] == [
        "–",
        "12,350",
        "0.01235",
        "−3",
        "0",
        "0",
    ]
    assert relative(-0.05) == "−5.0\u00a0%"
    assert share(0.1234) == "12.3\u00a0%"
    assert probability(0.00001) == "< 0.0001"
    assert span([-0.01, 0.02]) == "−1.00 to +2.00"
    assert span([0.1, 0.2], "relative") == "+10.0\u00a0% to +20.0\u00a0%"
