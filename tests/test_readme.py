"""The documents say what is so: every setting, the two lines, the files they name, every check and gate."""

from __future__ import annotations

import re
from pathlib import Path

from holley_assets.settings import SECTIONS, known_variables
from holley_assets.settings.loading import missing_in_production
from holley_assets.settings.reference import settings_page

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGES = [
    PROJECT / "README.md",
    PROJECT / ".github" / "CONTRIBUTING.md",
    PROJECT / "sql" / "README.md",
    PROJECT / "tests" / "benchmarks" / "README.md",
    *sorted((PROJECT / "holley_assets").rglob("*.md")),
]


def test_the_front_door_is_short() -> None:
    assert len(README.splitlines()) <= 200


def test_the_page_of_settings_is_that_of_the_code() -> None:
    page = (PROJECT / "holley_assets" / "settings" / "README.md").read_text(encoding="utf-8")
    assert page == settings_page(), (
        "renew it: python -m holley_assets.settings.reference > holley_assets/settings/README.md"
    )
    assert sorted(re.findall(r"^\| `(HOLLEY_\w+)` \|", page, flags=re.M)) == sorted(known_variables())


def test_one_table_has_all_that_production_needs() -> None:
    page = (PROJECT / "holley_assets" / "deploy" / "README.md").read_text(encoding="utf-8")
    table = page.partition("## What production needs")[2].partition("\n## ")[0]
    needed = {
        name for row in re.findall(r"^\| (.+) \| yes \|", table, flags=re.M) for name in row.split(", ")
    }
    sections = [section.model_construct() for section in SECTIONS.values()]
    assert needed == {
        f"`{name}`" for name in missing_in_production({str(type(each)): each for each in sections})
    }
    assert {"HOLLEY_ALERT_URLS", "HOLLEY_SERVING_DATASET"} <= set(re.findall(r"HOLLEY_\w+", table))


def test_no_page_names_a_variable_that_is_no_setting() -> None:
    named = {
        (page.name, name)
        for page in PAGES
        for name in re.findall(r"\bHOLLEY_[A-Z0-9_]*[A-Z0-9]\b(?![_…*])", page.read_text(encoding="utf-8"))
    }
    assert named
    assert sorted((page, name) for page, name in named if name not in known_variables()) == []


def test_the_two_lines_are_two_lines() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("dagster job execute -m holley_assets.definitions -j weekly_retrain")
    assert commands[1].endswith(".venv/bin/python -m pytest")
    assert all("--constraint holley_assets/deploy/constraints.txt" in command for command in commands)


def test_ci_runs_the_lines_of_the_readme() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script and "pip install" not in script, (
        "CI installs as the README says, from its text"
    )


def test_files_that_the_pages_name_exist() -> None:
    named = [
        (page.parent / link.split("#")[0]).resolve()
        for page in PAGES
        for link in re.findall(r"\]\((?!https?:|#)([^)]+)\)", page.read_text(encoding="utf-8"))
    ]
    named += [
        PROJECT / "holley_assets" / name for name in re.findall(r"^  (\w+(?:\.py|/)) ", README, flags=re.M)
    ]
    assert len(named) > len(PAGES)
    assert [str(path) for path in named if not path.exists()] == []


def test_every_check_and_gate_is_explained() -> None:
    from holley_assets.definitions import definitions
    from holley_assets.evaluation.gates import DecisionRule, gates

    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    names |= {gate.name for gate in gates(DecisionRule())}
    pages = "".join(
        (PROJECT / "holley_assets" / name / "README.md").read_text(encoding="utf-8")
        for name in ("checks", "evaluation")
    )
    assert sorted(name for name in names if f"`{name}`" not in pages) == []
