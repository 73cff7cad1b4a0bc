"""Public functions say which shapes they take and give, and the tests hold them to it."""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

import jaxtyping
import pytest
import torch
from shape_checks import SHAPED

from holley_assets.gnn.adjacency import Adjacency
from holley_assets.gnn.ragged import ragged_logsumexp, row_offsets

# Weights and what optimisers take: tensors of any shape, by name or in a row.
CONTAINERS = {"dict", "list", "Iterable"}
ARRAYS = {"Tensor", "torch.Tensor", "np.ndarray"}


def test_a_call_with_a_wrong_shape_fails() -> None:
    """Two arguments of one axis, a result that depends on an argument's value, a kind of number, a field."""
    values, rows = torch.zeros(3), torch.tensor([0, 0, 1])
    assert ragged_logsumexp(values, rows, 2).shape == (2,)
    with pytest.raises(jaxtyping.TypeCheckError, match="row"):
        ragged_logsumexp(values, rows[:2], 2)
    with pytest.raises(jaxtyping.TypeCheckError, match="return value"):
        row_offsets(rows, 1)  # there is a row 1, so that there are two rows
    with pytest.raises(jaxtyping.TypeCheckError, match="values"):
        ragged_logsumexp(rows, rows, 2)
    edges = Adjacency.build(torch.tensor([[0, 1], [1, 0]]), torch.ones(2, 1), 2, 2)
    with pytest.raises(jaxtyping.TypeCheckError, match="features"):
        Adjacency(edges.source, edges.target, 2, 2, torch.ones(3, 1), None, edges.order)


@pytest.mark.parametrize("package", SHAPED)
def test_public_signatures_state_shapes(package: str) -> None:
    found = {
        f"{path.name}:{annotation.lineno} {ast.unparse(annotation)}"
        for path in _files(package)
        for annotation in _annotations(ast.parse(path.read_text(encoding="utf-8")))
        if _is_bare(annotation)
    }
    assert found == set()


@pytest.mark.parametrize(
    ("annotation", "bare"),
    [
        ("Tensor", True),
        ("torch.Tensor | None", True),
        ("tuple[np.ndarray, int]", True),
        ("NDArray[np.int64]", True),
        ("IntArray", True),
        ("dict[str, Tensor]", False),
        ('Float[Tensor, "edges"] | None', False),
    ],
)
def test_what_counts_as_a_shape(annotation: str, bare: bool) -> None:
    assert _is_bare(ast.parse(annotation, mode="eval").body) is bare


def _files(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    folders = spec.submodule_search_locations
    return sorted(Path(folders[0]).glob("*.py")) if folders else [Path(spec.origin or "")]


def _annotations(tree: ast.AST) -> Iterator[ast.expr]:
    """Annotations of public functions, methods and fields."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from (field.annotation for field in node.body if isinstance(field, ast.AnnAssign))
            yield from _annotations(node)
        if isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name == "__init__"):
            arguments = node.args
            every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
            every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
            yield from (one.annotation for one in every if one.annotation is not None)
            if node.returns is not None:
                yield node.returns


def _is_bare(annotation: ast.expr) -> bool:
    """Whether an array stands in ``annotation`` without its shape."""
    shaped = {
        id(inner)
        for node in ast.walk(annotation)
        if isinstance(node, ast.Subscript)
        and (
            ast.unparse(node.value) in CONTAINERS
            or (isinstance(node.value, ast.Name) and hasattr(jaxtyping, node.value.id))
        )
        for inner in ast.walk(node.slice)
    }
    return any(
        ast.unparse(node) in ARRAYS or (isinstance(node, ast.Name) and node.id.endswith("Array"))
        for node in ast.walk(annotation)
        if isinstance(node, ast.Name | ast.Attribute) and id(node) not in shaped
    )
