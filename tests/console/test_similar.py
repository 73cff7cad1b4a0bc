"""``holley similar``: the rows of one part, and one line where there are none."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from holley_assets.console.main import holley
from holley_assets.console.run_files import RunFiles
from holley_assets.console.similar_parts import similar_parts
from holley_assets.settings import load_settings


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    """Part 8202 with two alternatives, stored out of order, and C with one part that goes with it."""
    rows = [
        ("8202", "alternative", 2, "B", 0.25, 0, 3),
        ("8202", "alternative", 1, "A", 0.5, 2, 1234),
        ("C", "goes_with", 1, "8202", 7.125, 8, 1),
    ]
    names = ("base_sku", "relation", "rank", "other_base_sku", "score")
    table = {name: [row[place] for row in rows] for place, name in enumerate(names)}
    evidence = [{"buyers": row[5], "shared_vehicles": row[6]} for row in rows]
    parts = ["8202B", "8202", "A", "B", "C", "LONELY"]
    bases = ["8202", "8202", *parts[2:]]
    folder = tmp_path / "assets"
    folder.mkdir()
    pq.write_table(pa.table({**table, "evidence": evidence}), folder / "similar_parts.parquet")
    pq.write_table(pa.table({"sku": parts, "base_sku": bases}), folder / "parts.parquet")
    types = ["Carburetor", "Carburetor", None, "Intake", None]
    pq.write_table(pa.table({"base_sku": bases[1:], "part_type": types}), folder / "product_nodes.parquet")
    pairs = [("8202", "A", 3.0), ("8202", "B", 1.0), ("C", "A", 1.0), ("C", "B", 3.0)]
    ordered = {
        name: [pair[place] for pair in pairs] for place, name in enumerate(("base_sku", "other_base_sku"))
    }
    weights = [pair[2] for pair in pairs]
    pq.write_table(pa.table({**ordered, "serving_weight": weights}), folder / "ordered_pairs.parquet")
    run = tmp_path / "runs" / "0123"
    run.mkdir(parents=True)
    (run / "eval_report.json").write_text("{}")
    (run / "settings.json").write_text(load_settings().model_dump_json())
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    return RunFiles()


def invoke(part: str, *options: str) -> Result:
    return CliRunner().invoke(holley, ["similar", part, *options])


def test_a_variant_stands_for_its_part_and_the_best_comes_first(files: RunFiles) -> None:
    base_sku, found = similar_parts(files, " 8202b ")
    assert base_sku == "8202" and found["goes_with"] == []
    assert [row["other_base_sku"] for row in found["alternative"]] == ["A", "B"]


def test_a_person_reads_types_and_evidence(files: RunFiles) -> None:
    result = invoke("8202B")
    assert result.exit_code == 0, result.output
    assert result.output.startswith("8202 (Carburetor)\n")
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line
    ]
    assert rows == [["1", "A", "Carburetor", "0.5000", "2", "1,234"], ["2", "B", "", "0.2500", "0", "3"]]
    assert "Is bought with it or after it: nothing." in result.output
    directed = invoke("c").output
    assert "Could be bought instead: nothing." in directed and "7.1250" in directed


def test_a_type_tells_the_terminal_nothing_and_names_nobody(files: RunFiles, tmp_path: Path) -> None:
    """A part type of the catalogue holds whatever somebody typed, or planted."""
    path = tmp_path / "assets" / "product_nodes.parquet"
    planted = "Kit \x1b[2J\x1b]0;title\x07 [red]ann@example.com"
    nodes = pq.read_table(path)
    pq.write_table(nodes.set_column(1, "part_type", pa.array([planted] * nodes.num_rows)), path)
    result = invoke("8202")
    assert result.exit_code == 0, result.output
    assert not [letter for letter in result.output if letter != "\n" and not letter.isprintable()]
    assert "ann" not in result.output and result.output.count("[red]") == 3


@pytest.mark.parametrize(
    ("part", "words"), [("LONELY", "has no similar parts"), ("?", "is not a part of this run")]
)
def test_what_is_not_there_ends_in_one_line(files: RunFiles, part: str, words: str) -> None:
    result = invoke(part)
    assert result.exit_code == 1 and words in result.output and len(result.output.splitlines()) == 1


def test_a_search_asks_the_vectors_alone(files: RunFiles) -> None:
    """A follows 8202 in 3 of 4 cases and is half of all that follows: log 0.75."""
    result = invoke("8202b", "--search", "1")
    assert result.exit_code == 0, result.output
    rows = [
        [cell.strip() for cell in line.split("│")[1:-1]] for line in result.output.splitlines() if "│" in line
    ]
    assert rows == [["1", "A", "Carburetor", "-0.2877"]]


@pytest.mark.parametrize(("part", "words"), [("A", "leads to no part"), ("?", "is not a part of this run")])
def test_a_search_that_finds_nothing_ends_in_one_line(files: RunFiles, part: str, words: str) -> None:
    result = invoke(part, "--search", "5")
    assert result.exit_code == 1 and words in result.output and len(result.output.splitlines()) == 1
