"""Packages and code of a run."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from pathlib import Path

import pytest

from holley_assets.resources.settings_resource import SettingsResource
from holley_assets.resources.versions import code_hash


def write_code(package: Path, sql: Path, query: str = "SELECT 1") -> Path:
    package.mkdir(parents=True)
    sql.mkdir(parents=True)
    (package / "model.py").write_text("x = 1", encoding="utf-8")
    (sql / "parts.sql").write_text(query, encoding="utf-8")
    (sql / "names.csv").write_text("CHEVY", encoding="utf-8")
    return package


def test_the_hash_is_of_names_and_contents_wherever_the_code_lies(tmp_path: Path) -> None:
    checkout = write_code(tmp_path / "a" / "package", tmp_path / "a" / "sql")
    installed = write_code(tmp_path / "b" / "package", tmp_path / "b" / "package" / "sql")
    first = code_hash(checkout)
    assert first == code_hash(installed) and len(first) == 12
    (checkout / "notes.md").write_text("no code", encoding="utf-8")
    assert code_hash(checkout) == first
    other = write_code(tmp_path / "c" / "package", tmp_path / "c" / "sql", query="SELECT 2")
    assert code_hash(other) != first
    (other.parent / "sql" / "parts.sql").write_text("SELECT 1", encoding="utf-8")
    assert code_hash(other) == first
    (other.parent / "sql" / "names.csv").write_text("FORD", encoding="utf-8")
    assert code_hash(other) != first
    (checkout / "model.py").rename(checkout / "models.py")
    assert code_hash(checkout) != first


def test_a_run_keeps_versions_beside_its_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    resource = SettingsResource()
    resource.freeze(resource.load(), "run-1")
    folder = tmp_path / "runs" / "run-1"
    kept = json.loads((folder / "versions.json").read_text(encoding="utf-8"))
    assert kept["python"] == platform.python_version()
    assert kept["torch"] == metadata.version("torch") and kept["pydantic-settings"]
    assert len(kept["code"]) == 12 and (folder / "settings.json").exists()
