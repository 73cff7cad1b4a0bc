"""The systems that are compared are declared once; rankings, plots and page follow the declaration."""

from __future__ import annotations

import re

import numpy as np
import pyarrow as pa
import pytest

from holley_assets.evaluation.plots import SYSTEM_COLOURS
from holley_assets.evaluation.systems import (
    BASELINE,
    BY_NAME,
    CONTROLS,
    DELIVERED_SYSTEMS,
    SYSTEMS,
    TREATMENT,
    System,
    delivered_system,
    version_as,
)
from holley_assets.pipeline.system_rankings import system_scorers
from holley_assets.ranking import EmbeddingScorer, PairScorer

MODEL = EmbeddingScorer(np.ones((1, 1), np.float32), np.ones((1, 1), np.float32), ["550-1"])
MIXED = {"hybrid": MODEL, "sql_similar": MODEL}


def popularity_table(*columns: str) -> pa.Table:
    """One part of one vehicle, with other scores in each column."""
    scores = {name: [float(number)] for number, name in enumerate(columns, start=1)}
    return pa.table({"make": ["FORD"], "model": ["MUSTANG"], "base_sku": ["550-1"], **scores})


def test_names_are_unique_and_colours_are_colours() -> None:
    assert len(BY_NAME) == len(SYSTEMS) + len(CONTROLS)
    assert (TREATMENT, BASELINE) == ("gnn", "sql")
    assert all(re.fullmatch("#[0-9a-f]{6}", system.colour) for system in BY_NAME.values())
    assert {name: BY_NAME[name].colour for name in BY_NAME} == SYSTEM_COLOURS


def test_a_version_remembers_what_it_is_delivered_as() -> None:
    weights = "20260201-0123456789ab"
    versions = {system: version_as(weights, system) for system in DELIVERED_SYSTEMS}
    assert versions == {"gnn": weights, "hybrid": f"{weights}-hybrid"}
    assert {delivered_system(version): version for version in versions.values()} == versions
    with pytest.raises(ValueError, match="no model is delivered as sql, but as gnn or hybrid"):
        version_as(weights, "sql")


def test_every_system_is_scored_in_the_order_of_the_declaration() -> None:
    scorers = system_scorers(
        popularity_table("sql_score", "popularity_score"),
        MODEL,
        MIXED,
        seed=0,
    )
    assert list(scorers) == [system.name for system in SYSTEMS]
    assert scorers["gnn"] is MODEL
    assert isinstance(scorers["popularity"], PairScorer)
    assert scorers["popularity"].table["score"].to_pylist() == [2.0]


def test_a_system_with_a_score_column_is_one_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    similar = System("sql_other", "the pipeline", "#000000", "compared", score_column="similar_score")
    monkeypatch.setattr("holley_assets.pipeline.system_rankings.SYSTEMS", (*SYSTEMS, similar))
    table = popularity_table("sql_score", "popularity_score", "similar_score")
    scorers = system_scorers(table, MODEL, MIXED, seed=0)
    assert list(scorers)[-1] == "sql_other"
    other = scorers["sql_other"]
    assert isinstance(other, PairScorer)
    assert other.table["score"].to_pylist() == [3.0]


def test_without_mixtures_they_are_left_out() -> None:
    scorers = system_scorers(popularity_table("sql_score", "popularity_score"), MODEL, None, seed=0)
    assert list(scorers) == ["gnn", "sql", "popularity", "random"]


def test_a_mixture_that_nothing_scores_is_an_error() -> None:
    with pytest.raises(KeyError, match="hybrid"):
        system_scorers(popularity_table("sql_score", "popularity_score"), MODEL, {}, seed=0)


def test_a_system_that_nothing_scores_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = System("unknown", "nothing", "#000000", "compared")
    monkeypatch.setattr("holley_assets.pipeline.system_rankings.SYSTEMS", (*SYSTEMS, unknown))
    with pytest.raises(KeyError, match="unknown"):
        system_scorers(
            popularity_table("sql_score", "popularity_score"),
            MODEL,
            MIXED,
            seed=0,
        )
