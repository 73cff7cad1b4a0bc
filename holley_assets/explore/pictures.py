"""Pictures of the notebook, each with a description in words: nbconvert drops that of IPython's own images."""

from __future__ import annotations

import html

from IPython.display import HTML
from matplotlib.figure import Figure

from holley_assets.evaluation.plots import Plot, encode


def described(figure: Figure, description: str) -> HTML:
    """The figure with ``description`` as its alternative text."""
    return image(encode(figure, description, kind="png", dots_per_inch=110))


def image(plot: Plot) -> HTML:
    """A plot of the report."""
    return HTML(f'<img src="{plot.source}" alt="{html.escape(plot.description)}">')
