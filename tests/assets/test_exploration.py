"""The notebook as job ``explore`` runs it: what it says, what it leaves out, and what is left of one that fails."""

from __future__ import annotations

import re
from pathlib import Path

import dagster as dg
import nbformat
import pytest
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.reconstruct import ReconstructableRepository
from dagster._core.execution.api import create_execution_plan, execute_plan
from nbformat import NotebookNode
from small_run import FinishedRun

from holley_assets.assets import exploration
from holley_assets.core.asset_keys import EXPLORATION
from holley_assets.explore import NOTEBOOK
from holley_assets.texts import mask_addresses

PROJECT = Path(__file__).parent.parent.parent


def explore(instance: dg.DagsterInstance) -> tuple[str, list[dg.DagsterEvent]]:
    """Job ``explore`` with its step in this process and its kernel in another; the run's id and its events."""
    pointer = CodePointer.from_module("holley_assets.definitions", "definitions", str(PROJECT))
    job = ReconstructableRepository(pointer).get_reconstructable_job("explore")
    plan = create_execution_plan(job)
    run = instance.create_run_for_job(job.get_definition(), execution_plan=plan)
    return run.run_id, list(execute_plan(plan, job, instance, run))


def outputs_of(notebook: NotebookNode) -> str:
    return "\n".join(
        str(output.get("data", {}).get(kind, "")) + str(output.get("text", ""))
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        for kind in ("text/plain", "text/html", "text/markdown")
    )


def cell(source: str, *tags: str) -> NotebookNode:
    made: NotebookNode = nbformat.v4.new_code_cell(source)
    made.metadata["tags"] = list(tags)
    return made


@pytest.fixture
def failing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[NotebookNode]:
    """The cells of a notebook that takes the place of the project's."""
    cells: list[NotebookNode] = [cell("context = None", "parameters")]

    class Lazily(type(tmp_path)):  # type: ignore[misc]
        def __str__(self) -> str:
            metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
            nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata=metadata), super().__str__())
            return str(super().__str__())

    monkeypatch.setattr(exploration, "NOTEBOOK", Lazily(tmp_path / "failing.ipynb"))
    return cells


def test_the_notebook_is_stored_without_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert len(code) >= 10
    assert not any(cell.outputs or cell.execution_count for cell in code)
    assert [cell.metadata.get("tags") for cell in code if cell.metadata.get("tags")] == [["parameters"]]
    headings = {cell.source.splitlines()[0] for cell in notebook.cells if cell.cell_type == "markdown"}
    assert {"## Demand and its tail", "## Embedding map"} < headings and len(headings) == 7


def test_the_executed_notebook_says_what_the_tables_hold(
    continued_run: tuple[FinishedRun, dg.DagsterInstance],
) -> None:
    finished, instance = continued_run
    run_id, events = explore(instance)
    assert [event for event in events if event.is_failure] == []
    notebook = nbformat.read(finished.run_folder(run_id) / "exploration.ipynb", as_version=4)
    page = (finished.run_folder(run_id) / "exploration.html").read_text(encoding="utf-8")
    said = outputs_of(notebook)

    tiers = finished.table("user_nodes")["engagement_tier"].to_pylist()
    share = f"{tiers.count('cold') / len(tiers):.1%} of {len(tiers):,} customers are cold at the cutoff"
    in_catalogue = set(finished.table("product_nodes")["base_sku"].to_pylist())
    inside, outside = (
        sum(
            row["orders"]
            for row in finished.table("daily_orders").to_pylist()
            if (row["base_sku"] in in_catalogue) == known
        )
        for known in (True, False)
    )
    pairs = finished.table("co_purchased_edges").num_rows
    for sentence in (
        "The data are a generated sample",
        share,
        f"{inside:,} orders of {len(in_catalogue):,} parts",
        f"{outside:,} more orders",
        f"{pairs:,} pairs join",
    ):
        assert sentence in said and sentence in page, sentence
    # All cells ran, no library complained, and every picture is described.
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(2, len(code) + 2))
    assert not [out for cell in code for out in cell.outputs if out.output_type in {"stream", "error"}]
    assert page.count("<img") == 7 and 'alt="No description' not in page and page.count('alt="') == 7

    for text in (notebook, page):
        assert mask_addresses(str(text))[1] == 0
    domains = {email[email.index("@") :] for email in finished.table("user_nodes")["email_lower"].to_pylist()}
    assert domains and not [domain for domain in domains if domain in str(notebook) or domain in page]
    # What connects the kernel with the run is not for readers.
    assert "_reconstitute_job_context" not in str(notebook) and str(instance.root_directory) not in str(
        notebook
    )
    assert not re.search(r"<(?:script|link|img)[^>]+(?:src|href)=\"?https?:", page)
    assert len(page) < 2_000_000

    (made,) = instance.fetch_materializations(EXPLORATION, limit=5).records
    assert made.asset_materialization is not None
    shown = made.asset_materialization.metadata
    assert share in str(shown["says"].value) and "## Cold and warm" in str(shown["says"].value)
    assert isinstance(shown["executed_notebook"], dg.NotebookMetadataValue)
    assert shown["executed_notebook"].path == str(finished.run_folder(run_id) / "exploration.ipynb")
    assert Path(str(shown["page"].value)).read_text(encoding="utf-8") == page


def test_of_a_notebook_that_fails_what_ran_is_kept_and_named(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], failing: list[NotebookNode]
) -> None:
    finished, instance = continued_run
    failing += [
        cell("'before: ' + 'someone' + '@' + 'example.com'"),
        cell("raise KeyError('no owner ' + 'other' + '@' + 'example.com')"),
        cell("'after'"),
    ]
    run_id, events = explore(instance)
    folder = finished.run_folder(run_id)
    (failed,) = [event for event in events if event.is_step_failure]
    failure = failed.step_failure_data.user_failure_data
    assert failure is not None
    reason = str(failure.description)
    assert reason == (
        "The notebook ends in In [3]: KeyError: 'no owner (e-mail address)'. What ran until then is in "
        f"{folder / 'exploration.html'}"
    )
    said = nbformat.read(folder / "exploration.ipynb", as_version=4)
    assert "before: (e-mail address)" in outputs_of(said) and "'after'" not in outputs_of(said)
    assert "before: (e-mail address)" in (folder / "exploration.html").read_text(encoding="utf-8")
    assert failure.metadata["executed_notebook"].value == str(folder / "exploration.ipynb")
    (observed,) = instance.fetch_observations(EXPLORATION, limit=5).records
    assert observed.asset_observation is not None
    assert observed.asset_observation.description == reason
    assert instance.fetch_materializations(EXPLORATION, limit=5).records == []
    for log in instance.all_logs(run_id):
        assert "example.com" not in str(log), log


def test_a_kernel_that_dies_leaves_what_ran(
    continued_run: tuple[FinishedRun, dg.DagsterInstance], failing: list[NotebookNode]
) -> None:
    finished, instance = continued_run
    failing += [cell("'before'"), cell("import os; os._exit(9)")]
    run_id, events = explore(instance)
    (failed,) = [event for event in events if event.is_step_failure]
    assert failed.step_failure_data.user_failure_data is not None
    reason = str(failed.step_failure_data.user_failure_data.description)
    assert reason.startswith("The notebook ends in a kernel that died, most likely for want of memory.")
    said = nbformat.read(finished.run_folder(run_id) / "exploration.ipynb", as_version=4)
    assert "'before'" in outputs_of(said)
