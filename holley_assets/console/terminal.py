"""The terminal that commands print to. Names of parts and cars come from data, and may hold what a terminal obeys."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from holley_assets.texts import for_terminal

# Columns of what is not printed on a terminal, so that a file reads the same wherever it is made.
_WIDTH_OF_FILES = 120


class Terminal(Console):
    """Prints text as it is, without markup; what a terminal would obey in it, and addresses, are left out."""

    def __init__(self) -> None:
        super().__init__(highlight=False, markup=False, emoji=False)
        if not self.is_terminal:
            self.width = _WIDTH_OF_FILES

    def render_str(self, text: str, **options: Any) -> Text:
        """Every text passes here: what is printed by itself, and titles and cells of tables."""
        return super().render_str(for_terminal(text), **options)
