"""Notebooks that a step runs by dagstermill, and what is kept of them.

dagstermill is imported by the step alone: it takes half a second, which every process that loads the definitions would
wait for. So the asset is not made by ``define_dagstermill_asset``, which also keeps a notebook that failed outside the
run's files, under a name that the error does not say.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from holley_assets.texts import for_log, mask_all

if TYPE_CHECKING:
    from nbformat import NotebookNode

# Cells by which dagstermill connects the kernel with the run: they hold how to reach Dagster's storage.
_INJECTED = {"injected-parameters", "injected-teardown"}
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class ExecutedNotebook(NamedTuple):
    """A notebook after its run, without any e-mail address.

    Attributes:
        notebook: cells and outputs; those after a failed cell have none.
        error: the failed cell and its error, as one line; None where all went well.
    """

    notebook: NotebookNode
    error: str | None


def execute(context: dg.AssetExecutionContext, source: Path) -> ExecutedNotebook:
    """Run ``source`` in a kernel of its own; a cell tagged ``parameters`` is replaced by the context of the run.

    Raises:
        DagstermillError: the job cannot be loaded by another process.
        Exception: no cell was run, such as where no kernel starts.
    """
    with (
        warnings.catch_warnings(),
        tempfile.TemporaryDirectory() as folder,
        _own_kernel_folders(Path(folder)),
        _without_tracebacks(context),
    ):
        # Everything in dagstermill is in beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        from dagstermill.factory import execute_notebook
        from nbclient.exceptions import DeadKernelError
        from nbformat import read
        from papermill.exceptions import PapermillExecutionError

        error = None
        output = Path(folder) / "output"
        output.mkdir()
        try:
            execute_notebook(
                context.get_step_execution_context(),
                name=context.op_execution_context.op.name,
                save_notebook_on_failure=False,
                notebook_path=str(source),
                output_notebook_dir=str(output),
                inputs={},
            )
        except PapermillExecutionError as failed:
            error = for_log(f"In [{failed.exec_count}]: {failed.ename}: {_COLOURS.sub('', failed.evalue)}")
        except DeadKernelError:
            error = "a kernel that died, most likely for want of memory"
        (path,) = output.glob("*-out.ipynb")
        return ExecutedNotebook(_readable(read(path, as_version=4)), error)


@contextlib.contextmanager
def _own_kernel_folders(folder: Path) -> Iterator[None]:
    """No start-up script, history or setting of whoever runs the step reaches the kernel."""
    own = {name: str(folder / name.lower()) for name in ("IPYTHONDIR", "JUPYTER_RUNTIME_DIR")}
    before = {name: os.environ.get(name) for name in own}
    os.environ.update(own)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _without_tracebacks(context: dg.AssetExecutionContext) -> Iterator[None]:
    """dagstermill logs a failed cell whole, with the data that its error may quote; the step says it in a line."""

    def is_no_warning(record: logging.LogRecord) -> bool:
        return record.levelno < logging.WARNING

    loggers = (context.log, logging.getLogger("papermill"))
    for logger in loggers:
        logger.addFilter(is_no_warning)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(is_no_warning)


def _readable(notebook: NotebookNode) -> NotebookNode:
    """The notebook without the cells that connect it with the run, and without any e-mail address."""
    from nbformat import from_dict

    notebook.cells = [cell for cell in notebook.cells if not _INJECTED & set(cell.metadata.get("tags", []))]
    # The parameters once more, and times of the machine.
    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
    masked: NotebookNode = from_dict(mask_all(notebook)[0])
    return masked


def to_html(notebook: NotebookNode, title: str) -> str:
    """Outputs and text as one page that needs nothing else, not even a network; the code stands in the notebook."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        mathjax_url="",
        require_js_url="",
        jquery_url="",
        exclude_input=True,
        exclude_output_prompt=True,
    )
    page, _ = exporter.from_notebook_node(notebook, resources={"metadata": {"name": title}})
    return str(page)


def to_text(notebook: NotebookNode) -> str:
    """The notebook as the text of an ``.ipynb`` file."""
    from nbformat import writes

    return str(writes(notebook)) + "\n"


def sentences(notebook: NotebookNode) -> str:
    """What the cells say in Markdown, under the headings of the sections: all but pictures and tables."""
    found: list[str] = []
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            found += [line for line in cell.source.splitlines() if line.startswith("#")]
        for output in cell.get("outputs", []):
            found += filter(None, [output.get("data", {}).get("text/markdown")])
    return "\n\n".join(found)
