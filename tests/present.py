"""Values that may be absent in general and are there in a test."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


def present(value: T | None) -> T:
    """``value``; the test fails where there is none."""
    assert value is not None, "a value is expected here"
    return value
