"""Checks of the arrays in every call of the packages whose signatures state shapes, while tests run."""

from __future__ import annotations

import typing
from collections.abc import Callable
from typing import Any

from beartype import beartype
from jaxtyping import AbstractArray

SHAPED = (
    "holley_assets.arrays",
    "holley_assets.gnn",
    "holley_assets.sample_data",
    "holley_assets.ranking",
    "holley_assets.evaluation",
)


def checked(function: Callable[..., Any]) -> Callable[..., Any]:
    """``function`` with checks of its arrays alone: a test may put a stand-in in the place of anything else."""
    function.__annotations__ = {
        name: hint if _holds_an_array(hint) else Any for name, hint in function.__annotations__.items()
    }
    return beartype(function)


def _holds_an_array(hint: Any) -> bool:
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return True
    return any(_holds_an_array(inner) for inner in typing.get_args(hint))
