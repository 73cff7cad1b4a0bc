"""Errors that a person can act on, as one line without a trace."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import dagster as dg


@contextlib.contextmanager
def one_line(*errors: type[Exception]) -> Iterator[None]:
    """End the step with the message of an error of these kinds; trying again would not help."""
    try:
        yield
    except errors as error:
        raise dg.Failure(str(error), allow_retries=False) from None
