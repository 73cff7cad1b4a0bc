"""What goes wrong on a terminal: one line that says what, and what to do."""

from __future__ import annotations

import click


class ConsoleError(click.ClickException):
    """Ends a command with one line and exit status 1. The message names no person."""

    def format_message(self) -> str:
        """The message on one line, whatever it was made of."""
        return " ".join(self.message.split())
