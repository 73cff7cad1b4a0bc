"""What the UI shows of a training, epoch by epoch."""

from __future__ import annotations

import base64
import re
import xml.etree.ElementTree as ET
from typing import Any

import dagster as dg

from holley_assets.assets.training_curves import curves_metadata
from holley_assets.gnn.checkpoint import Epoch

HISTORY = [
    Epoch(0, None, 5.0, 0.01, 0.01, None, 0.5)._asdict(),
    Epoch(1, 4.56789, 4.5, 0.25, 0.2, 0.3, 1.25, "levels", 3.0)._asdict(),
    Epoch(2, None, None, None, None, None, 2.0, "everybody", 3.0)._asdict(),
]


def rows_of(shown: dict[str, dg.MetadataValue]) -> list[Any]:
    value = shown["epochs_one_by_one"]
    assert isinstance(value, dg.TableMetadataValue)
    return [dict(record.data) for record in value.records]


def test_each_epoch_is_a_row_and_what_it_lacks_is_a_dash() -> None:
    first, second, last = rows_of(curves_metadata(HISTORY, 1))
    assert second == {
        "epoch": 1,
        "what is learned": "levels",
        "priors times": 3.0,
        "training loss": 4.568,
        "validation loss": 4.5,
        "validation MRR": 0.25,
        "seconds": 1.25,
    }
    assert (first["training loss"], first["priors times"], first["validation loss"]) == ("–", "–", 5.0)
    assert (last["validation loss"], last["validation MRR"], last["what is learned"]) == (
        "–",
        "–",
        "everybody",
    )


def test_the_curves_are_a_picture_that_the_ui_can_show_and_words() -> None:
    """The UI shows pictures in Markdown that are data, and none that it would have to ask a server for."""
    text = str(curves_metadata(HISTORY, 1)["curves"].value)
    picture = re.match(
        r"!\[(?P<words>[^\]]+)\]\(data:image/svg\+xml;base64,(?P<data>[A-Za-z0-9+/=]+)\)\n\n", text
    )
    assert picture is not None
    root = ET.fromstring(base64.b64decode(picture["data"]))
    assert root.tag.endswith("svg")
    assert "over 3 epochs; epoch 1 is chosen" in picture["words"]
    assert "No overfitting: at epoch 1" in text[picture.end() :]
    # It is written to the event log of each training.
    assert len(text) < 100_000


def test_a_training_without_epochs_shows_nothing() -> None:
    assert curves_metadata([], 0) == {}
