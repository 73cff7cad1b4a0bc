"""``holley explain`` on a finished run: the sum is the score, the parts are those delivered, errors are one line."""

from __future__ import annotations

import gc
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from small_run import FinishedRun

from holley_assets.console.errors import ConsoleError
from holley_assets.console.explanation import Explanation, _import_network, explain
from holley_assets.console.main import holley
from holley_assets.console.run_files import RunFiles
from holley_assets.pipeline.explanation import class_name

# Customers of each tier: each takes a tenth of a second.
USERS = 4
SLOTS = range(1, 5)


@pytest.fixture
def files(weekly_run: FinishedRun, monkeypatch: pytest.MonkeyPatch) -> RunFiles:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(weekly_run.data_dir))
    return RunFiles()


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(holley, ["explain", *arguments])


def customers(files: RunFiles, limit: int = USERS) -> list[dict[str, Any]]:
    """The first customers of each tier, with what the run delivered to them and the pipeline gave."""
    delivered, pipeline = (
        {row["email_lower"]: row for row in files.table(name).to_pylist()}
        for name in ("recommendations", "sql_recommendations")
    )
    found, seen = [], Counter[str]()
    for user in files.table("user_nodes").to_pylist():
        tier, email = user["serving_engagement_tier"], user["email_lower"]
        if seen[tier] < limit and email in delivered and email in pipeline:
            seen[tier] += 1
            found.append({**user, "tier": tier, "graph": delivered[email], "sql": pipeline[email]})
    return found


def test_terms_sum_to_the_delivered_score_for_cold_and_for_users_with_a_history(files: RunFiles) -> None:
    """The sum is in float64, the delivered score of float32 vectors: they agree to a millionth all the same."""
    tiers = Counter[str]()
    with_history = 0
    for customer in customers(files):
        found = explain(files, email=customer["email_lower"], car=None)
        delivered, pipeline = customer["graph"], customer["sql"]
        for name, verdicts in (("graph", found.shown), ("sql", found.sql)):
            skus = [customer[name][f"rec_part_{slot}"] for slot in SLOTS]
            assert [part.candidate.sku for part in verdicts] == [sku for sku in skus if sku]
        for slot, part in enumerate(found.parts, start=1):
            score = delivered[f"rec{slot}_score"]
            assert part.verdict.candidate.score == score
            assert part.total == pytest.approx(score, rel=1e-6)
            with_history += part.terms["history"] != 0.0
        assert [part.candidate.score for part in found.sql] == [
            pipeline[f"rec{slot}_score"] for slot in SLOTS[: len(found.sql)]
        ]
        assert all(
            part.rule and part.candidate.score >= found.shown[-1].candidate.score for part in found.removed
        )
        tiers[customer["tier"]] += 1
    assert set(tiers) == {"cold", "warm", "hot"} and with_history > USERS


def is_own(name: str, customer: dict[str, Any]) -> bool:
    """Whether a class of cars is that of the customer's car, by its make, model and years."""
    if not name.startswith(f"{customer['make']} {customer['model']} "):
        return False
    years = [
        int(year)
        for year in re.findall(r"\d{4}", name.removeprefix(f"{customer['make']} {customer['model']} "))
    ]
    return customer["year"] in years or ("–" in name and years[0] <= customer["year"] <= years[-1])


def test_an_owner_without_history_gets_what_cold_customers_with_the_car_get(files: RunFiles) -> None:
    cold = next(one for one in customers(files) if one["tier"] == "cold")
    by_car = explain(files, email=None, car=f" {cold['year']} {cold['make']}  {cold['model']}".lower())
    by_email = explain(files, email=f" {cold['email_lower'].upper()} ", car=None)
    assert by_car.shown == by_email.shown and by_car.parts == by_email.parts
    assert by_car.subject.tier is None and by_email.subject.tier == "cold"
    # Strongest first, and a car does not learn from itself.
    strengths = [abs(strength) for strength in by_car.similar.values()]
    assert 0 < len(strengths) <= 5 and strengths == sorted(strengths, reverse=True)
    assert not any(is_own(name, cold) for name in by_car.similar)
    for part in by_car.parts:
        added = [abs(value) for value in part.from_cars.values()]
        assert len(added) == 3 and added == sorted(added, reverse=True)


def test_a_car_is_none_of_the_others_that_it_learns_from(files: RunFiles) -> None:
    """What comes back of the car itself stands apart, also where it is more than what a named car adds."""
    stronger = 0
    for customer in [one for one in customers(files) if one["tier"] == "cold"]:
        for part in explain(files, email=customer["email_lower"], car=None).parts:
            assert not any(is_own(car, customer) for car in part.from_cars)
            assert part.from_others + part.from_itself == pytest.approx(part.terms["messages"], rel=1e-9)
            stronger += abs(part.from_itself) > min(abs(value) for value in part.from_cars.values())
    assert stronger > 0


def test_what_is_printed_names_parts_and_sums_and_no_address(files: RunFiles) -> None:
    hot = next(one for one in customers(files) if one["tier"] == "hot")
    result = invoke("--email", hot["email_lower"])
    assert result.exit_code == 0, result.output
    assert "@" not in result.output and hot["email_lower"] not in result.output
    assert hot["graph"]["rec_part_1"] in result.output and hot["sql"]["rec_part_1"] in result.output
    sums = re.findall(r"│ (sum|score) +│ ([+-][\d.]+) │", result.output)
    assert [name for name, _ in sums] == ["sum", "score"] * (len(sums) // 2) and len(sums) >= 6
    assert float(sums[0][1]) == pytest.approx(hot["graph"]["rec1_score"], rel=1e-6)
    assert "The car learns from: " in result.output
    assert "heard back of the car itself" in " ".join(result.output.replace("│", " ").split())


def test_one_part_is_explained_whether_or_not_it_is_shown(files: RunFiles) -> None:
    found: Explanation = next(
        answer
        for customer in customers(files)
        if (answer := explain(files, email=customer["email_lower"], car=None)).removed
    )
    removed = found.removed[0]
    car, part = found.subject.car, removed.candidate.base_sku
    (only,) = explain(files, email=None, car=car, part=part.lower()).parts
    assert only.verdict.candidate.base_sku == part
    assert only.total == pytest.approx(only.verdict.candidate.score, rel=1e-6)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--email", "nobody@example.com"], 'ask with --car "YEAR MAKE MODEL"'),
        (["--car", "1969 NOSUCH CAR"], "ask for a car such as"),
        (["--car", "{car}", "--run", "nosuchrun"], "give one of"),
        (
            ["--car", "{car}", "--part", "nosuchpart"],
            "is not a part of this run: ask for a part that fits it",
        ),
    ],
)
def test_an_unknown_name_ends_in_one_line(files: RunFiles, arguments: list[str], message: str) -> None:
    user = files.table("user_nodes").slice(0, 1).to_pylist()[0]
    car = f"{user['year']} {user['make']} {user['model']}"
    result = invoke(*(argument.format(car=car) for argument in arguments))
    assert result.exit_code == 1
    assert len(result.output.splitlines()) == 1 and message in result.output
    assert "nobody@example.com" not in result.output


def test_a_model_that_is_delivered_as_the_hybrid_is_refused_in_one_line(
    files: RunFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is scored: the graph's terms are not what its scores are the sum of."""
    read = RunFiles.table

    def as_hybrid(self: RunFiles, asset: str, *arguments: Any, **named: Any) -> pa.Table:
        table = read(self, asset, *arguments, **named)
        if asset != "product_embeddings":
            return table
        versions = pa.array([f"{version}-hybrid" for version in table["model_version"].to_pylist()])
        return table.set_column(table.schema.get_field_index("model_version"), "model_version", versions)

    monkeypatch.setattr(RunFiles, "table", as_hybrid)
    result = invoke("--email", customers(files, 1)[0]["email_lower"])
    assert result.exit_code == 1 and len(result.output.splitlines()) == 1
    assert "is delivered as hybrid" in result.output and "HOLLEY_SERVING_SYSTEM=gnn" in result.output


def test_without_a_run_the_line_says_to_make_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLLEY_DATA_DIR", str(tmp_path))
    result = invoke("--car", "1969 CHEVROLET CAMARO")
    assert result.exit_code == 1 and "run weekly_retrain first" in result.output
    with pytest.raises(ConsoleError, match="No run has left a report"):
        RunFiles().find_run("latest")


@pytest.mark.parametrize(
    ("years", "span"), [("1969", "1969"), ("1967 1968 1969", "1967–1969"), ("1967 1969", "1967, 1969")]
)
def test_a_class_of_cars_is_named_by_its_years(years: str, span: str) -> None:
    assert class_name("\x1f".join(["FORD", "F 100", years])) == f"FORD F 100 {span}"


@pytest.mark.parametrize("collects", [True, False])
def test_garbage_is_collected_after_the_imports_as_before(collects: bool) -> None:
    enabled = gc.isenabled()
    try:
        (gc.enable if collects else gc.disable)()
        _import_network()
        assert gc.isenabled() is collects
    finally:
        (gc.enable if enabled else gc.disable)()


def test_email_or_car_is_needed() -> None:
    for arguments in ([], ["--email", "a@b.example", "--car", "1969 CHEVROLET CAMARO"]):
        result = invoke(*arguments)
        assert result.exit_code == 2 and "give either --email or --car" in result.output


def test_a_run_is_found_by_the_beginning_of_its_id(files: RunFiles) -> None:
    (run,) = files.runs()
    assert files.find_run("latest") == files.find_run(run[:8]) == run


def test_weights_that_are_gone_are_asked_for(files: RunFiles) -> None:
    from holley_assets.console.checkpoints import checkpoint_of

    version = str(files.table("product_embeddings")["model_version"][0])
    assert checkpoint_of(files, version).fingerprint.startswith(version.rpartition("-")[2])
    with pytest.raises(ConsoleError, match="no longer under"):
        checkpoint_of(files, "20260201-000000000000")
