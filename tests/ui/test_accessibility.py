"""The pages that people read, by axe-core in a browser, on a screen and on a phone.

``npm install --prefix .tmp --no-save axe-core@4.14.1`` brings axe-core, which is no part of the project.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation.conftest import make_world
from evaluation.test_report_index import report as report_for_index
from evaluation.test_report_page import all_extras, example_cars, report_of
from experiment_world import END, declare, outcome_table, shares
from ui.dagster_dev import PROJECT, Browser

from holley_assets.evaluation.embedding_views import embedding_map
from holley_assets.evaluation.report_index import index_row, render_index
from holley_assets.evaluation.report_page import render
from holley_assets.experiment import page as experiment_page
from holley_assets.experiment.readout import read_experiment

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
AXE = PROJECT / ".tmp" / "node_modules" / "axe-core" / "axe.min.js"

pytestmark = [
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs chromium and chromedriver (Debian: apt-get install chromium chromium-driver)",
    ),
    pytest.mark.skipif(
        not AXE.exists(), reason="needs axe-core: npm install --prefix .tmp --no-save axe-core@4.14.1"
    ),
]

SCREEN, PHONE = 1280, 400
# A4 without its margins, in pixels of a printed page.
PAPER = 688


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    chromium = Browser(str(CHROMIUM), str(DRIVER), tmp_path_factory.mktemp("profile"))
    yield chromium
    chromium.close()


def of_report() -> str:
    world = make_world(users=150, products=80)
    report = report_of(world, {**all_extras(world), "example_cars": example_cars(pictures=False)})
    points = embedding_map(np.random.default_rng(1).normal(size=(50, 4)), ["Wheel", "Camshaft"] * 25)
    return render({**report, "source": "sample"}, embedding_points=points)


def of_index() -> str:
    rows = [index_row(report_for_index(run)) for run in ("first", "second")]
    return render_index(rows, {"first": "first.html", "second": "second.html"})


def of_experiment() -> str:
    clicks, graph = shares((2000, 200, False), (2000, 300, True), (2000, 200, False), (2000, 300, True))
    declaration = declare(looks=2, guardrails={"unsubscribe_rate": 0.5, "delivered_share": 0.02})
    day, unsubscribed = np.repeat([0, 35], 4000), np.arange(8000) % 50 == 0
    table = outcome_table(graph, clicks=clicks, day=day, unsubscribed=unsubscribed)
    return experiment_page.render(read_experiment(declaration, table, as_of=END))


PAGES = {"report": of_report, "index": of_index, "experiment": of_experiment}


def violations(browser: Browser) -> list[str]:
    """What axe-core objects to on the page that is open, with the elements."""
    browser.driver.execute_script(AXE.read_text(encoding="utf-8"))
    found: dict[str, Any] = browser.driver.execute_async_script(
        "const done = arguments[arguments.length - 1]; axe.run().then(done)"
    )
    assert len(found["passes"]) > 10, "axe-core looked at the page"
    return [
        f"{rule['id']}: {rule['help']}: {node['target']}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def open_at(browser: Browser, path: Path, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    browser.open(path.as_uri())


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Files of the pages, by name."""
    folder = tmp_path_factory.mktemp("pages")
    for name, render_page in PAGES.items():
        (folder / f"{name}.html").write_text(render_page(), encoding="utf-8")
    return {name: folder / f"{name}.html" for name in PAGES}


@pytest.mark.parametrize("page", PAGES)
def test_nobody_is_kept_from_reading_a_page(browser: Browser, pages: dict[str, Path], page: str) -> None:
    path = pages[page]
    assert path.stat().st_size < 2_000_000, "it goes by e-mail"
    for width in (SCREEN, PHONE):
        open_at(browser, path, width)
        assert violations(browser) == []
        sizes = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        page_width, window_width = browser.driver.execute_script(sizes)
        assert page_width <= window_width, "tables and plots scroll, the page does not"
    open_at(browser, path, SCREEN)
    wide = (
        "return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1)"
        ".map(e => e.innerText.slice(0, 80))"
    )
    assert browser.driver.execute_script(wide) == [], "every column is in sight on a screen"


@pytest.mark.parametrize("page", PAGES)
def test_paper_loses_no_column(browser: Browser, pages: dict[str, Path], page: str) -> None:
    browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        open_at(browser, pages[page], PAPER)
        beyond = (
            "return [...document.querySelectorAll('table')].filter(e => e.getBoundingClientRect().right > "
            "document.documentElement.clientWidth + 1).map(e => e.innerText.slice(0, 80))"
        )
        assert browser.driver.execute_script(beyond) == []
    finally:
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_what_is_wrong_is_found(browser: Browser, tmp_path: Path) -> None:
    """The checker sees a picture without words and letters without contrast, so that its silence means something."""
    path = tmp_path / "page.html"
    path.write_text(
        "<!doctype html><html lang='en'><title>x</title><body><main><h1>x</h1><img src='data:image/gif;base64,R0lG'>"
        "<p style='color:#ddd;background:#fff'>words that cannot be read</p></main></body></html>",
        encoding="utf-8",
    )
    open_at(browser, path, SCREEN)
    assert {line.split(":")[0] for line in violations(browser)} >= {"image-alt", "color-contrast"}
