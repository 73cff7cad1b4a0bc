"""The layers of the house, as the contracts in pyproject.toml state them, and that the linter sees a breach."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.fixture
def copied_project(tmp_path: Path) -> Path:
    """The package and its contracts, free to be broken."""
    ignored = shutil.ignore_patterns("__pycache__", "*.md", "*.yaml")
    shutil.copytree(PROJECT / "holley_assets", tmp_path / "holley_assets", ignore=ignored)
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()"],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("checks/verdicts.py", "import holley_assets.assets.sources", "Imports run downwards"),
        ("ranking/arms.py", "import holley_assets.evaluation.metrics", "Imports run downwards"),
        ("gnn/ragged.py", "import dagster", "Graph, ranking, evaluation and samples know no Dagster"),
        ("pipeline/options.py", "import holley_assets.assets.layers", "Imports run downwards"),
        ("gnn/snapshot.py", "import holley_assets.gnn.training", "Modules form no circle"),
        (
            "pipeline/options.py",
            "import holley_assets.core.event_log",
            "Settings are unwrapped and systems ranked without Dagster",
        ),
        ("evaluation/labels.py", "import holley_assets.evaluation.report", "Modules form no circle"),
        (
            "experiment/declaration.py",
            "import holley_assets.ranking.arms",
            "The experiment knows no Dagster, graph or ranker",
        ),
    ],
)
def test_a_planted_import_breaks_its_contract(
    copied_project: Path, module: str, line: str, contract: str
) -> None:
    source = copied_project / "holley_assets" / module
    source.write_text(source.read_text(encoding="utf-8") + f"\n{line}\n", encoding="utf-8")
    found = lint_imports(copied_project)
    assert found.returncode == 1
    assert f"{contract} BROKEN" in found.stdout


def test_the_house_keeps_its_contracts(copied_project: Path) -> None:
    found = lint_imports(copied_project)
    assert found.returncode == 0, found.stdout
