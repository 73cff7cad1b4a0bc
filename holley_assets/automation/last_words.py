"""What a process prints when it ends, after all that Dagster prints."""

from __future__ import annotations

import atexit
import sys

_words: list[str] = []


def say_last(words: str) -> None:
    """Print ``words`` to stderr at the end of the process, in the place of what was to be printed before."""
    if not _words:
        atexit.register(print_words)
    _words[:] = [words]


def print_words() -> None:
    """Print what was said last, once."""
    while _words:
        print(_words.pop(), file=sys.stderr, flush=True)
