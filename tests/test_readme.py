"""The README says what is so: every setting, the two lines, the files it names."""

from __future__ import annotations

import re
from pathlib import Path

from pydantic_core import PydanticUndefined

from holley_assets.settings import SECTIONS, known_variables, variable_name

PROJECT = Path(__file__).parent.parent
README = (PROJECT / "README.md").read_text(encoding="utf-8")


def settings_table() -> list[str]:
    """The rows of the settings table, from the settings themselves."""
    rows = ["| variable | default | meaning |", "| --- | --- | --- |"]
    for section in SECTIONS.values():
        for name, field in section.model_fields.items():
            default = "unset" if field.default in (None, PydanticUndefined) else f"`{field.default}`"
            # A bare < would start a tag.
            meaning = str(field.description).replace("<", "&lt;")
            rows.append(f"| `{variable_name(section, name)}` | {default} | {meaning} |")
    return rows


def test_every_setting_is_in_the_table_with_its_default() -> None:
    expected = "\n".join(settings_table())
    assert expected in README, f"the table of settings in README.md should be:\n{expected}"
    assert len(settings_table()) == len(known_variables()) + 2


def test_the_two_lines_are_two_lines() -> None:
    commands = [line for line in README.splitlines() if line.startswith("python3 -m venv")]
    assert len(commands) == 2
    assert commands[0].endswith("dagster job execute -m holley_assets.definitions -j weekly_retrain")
    assert commands[1].endswith(".venv/bin/python -m pytest")


def test_ci_runs_the_lines_of_the_readme() -> None:
    script = (PROJECT / ".ci" / "run").read_text(encoding="utf-8")
    assert "README.md" in script and "pip install" not in script, (
        "CI installs as the README says, from its text"
    )


def test_files_that_the_readme_names_exist() -> None:
    named = re.findall(r"\]\((?!https?:|#)([^)]+)\)", README)
    named += [f"holley_assets/{name}" for name in re.findall(r"^  (\w+(?:\.py|/)) ", README, flags=re.M)]
    assert named
    assert [name for name in named if not (PROJECT / name).exists()] == []


def test_every_check_and_gate_is_explained() -> None:
    from holley_assets.definitions import definitions
    from holley_assets.evaluation.gates import DecisionRule, gates

    names = {key.name for key in definitions.resolve_asset_graph().asset_check_keys}
    names |= {gate.name for gate in gates(DecisionRule())}
    assert sorted(name for name in names if f"`{name}`" not in README) == []
