"""Pictures of the notebook, each with a description in words: nbconvert drops that of IPython's own images."""

from __future__ import annotations

import base64
import html
import io

from IPython.display import HTML
from matplotlib.figure import Figure

from holley_assets.evaluation.plots import Plot


def described(figure: Figure, description: str) -> HTML:
    """The figure with ``description`` as its alternative text."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight", dpi=110, metadata={"Software": None})
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return image(Plot(f"data:image/png;base64,{encoded}", description))


def image(plot: Plot) -> HTML:
    """A plot of the report."""
    return HTML(f'<img src="{plot.source}" alt="{html.escape(plot.description)}">')
