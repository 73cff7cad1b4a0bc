"""Look at the tables and the model of a run: a notebook, and what it reads and counts."""

from __future__ import annotations

from pathlib import Path

NOTEBOOK = Path(__file__).with_name("exploration.ipynb")
