"""``pip install`` on a Python that the project does not run on ends before it looks at a dependency."""

from __future__ import annotations

import runpy
import sys
import tomllib
import types
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

PROJECT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))
ALLOWED = SpecifierSet(PYPROJECT["project"]["requires-python"])


@pytest.fixture
def hatchling(monkeypatch: pytest.MonkeyPatch) -> None:
    """pip installs it for the build alone."""
    build = types.ModuleType("hatchling.build")
    vars(build).update(__all__=["build_wheel"], build_wheel=lambda: "a wheel")
    monkeypatch.setitem(sys.modules, "hatchling", types.ModuleType("hatchling"))
    monkeypatch.setitem(sys.modules, "hatchling.build", build)


def backend_on(minor: int) -> dict[str, Any]:
    """What pip imports as the build backend, on Python 3.``minor``."""
    (folder,) = PYPROJECT["build-system"]["backend-path"]
    path = PROJECT / folder / f"{PYPROJECT['build-system']['build-backend']}.py"
    with pytest.MonkeyPatch.context() as python:
        python.setattr(sys, "version_info", (3, minor, 4, "final", 0))
        return runpy.run_path(str(path))


@pytest.mark.parametrize("minor", range(8, 16))
def test_it_allows_what_the_project_allows(hatchling: None, minor: int) -> None:
    if ALLOWED.contains(f"3.{minor}.4"):
        assert backend_on(minor)["build_wheel"]() == "a wheel"
        return
    with pytest.raises(SystemExit) as ended:
        backend_on(minor)
    said = str(ended.value)
    assert said.startswith("holley-assets needs Python ") and "\n" not in said
    assert f"and this is 3.{minor}: " in said
    words = said.partition(", and this")[0]
    assert [number for number in range(8, 16) if f"3.{number}" in words] == [
        number for number in range(8, 16) if ALLOWED.contains(f"3.{number}.4")
    ]
