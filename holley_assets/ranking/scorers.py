"""Where scores come from: learned vectors, a table of pairs, or chance.

A scorer is bound to the candidates once (strings are matched, tables aligned) and then asked for blocks:
some profiles times all parts of one make and model. A system that has another source of scores (factors of
ALS, item-to-item cosine, a known truth) is a class with ``name``, ``profiles`` and ``bind``; see
:class:`Scorer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float32, Float64, Int64

from holley_assets.arrays import find_sorted
from holley_assets.ranking.candidates import Candidates, RankingError
from holley_assets.ranking.encoding import (
    codes_in,
    hash_strings,
    integers,
    mix,
)
from holley_assets.terms import View

# Profiles, and a slice of the candidates' pairs, of one make and model → a row of scores for each profile, or one row
# where the profile does not matter.
ScoreBlock = Callable[[Int64[np.ndarray, "asked"], slice], Float64[np.ndarray, "scored pairs"]]


class Scorer(Protocol):
    """Scores of profiles × parts.

    The score of a profile and a part must not depend on what else is in the block, or equal users would be
    ranked differently.

    Attributes:
        name: for error messages.
        profiles: what a user's profile is: ``"given"``, the column ``profile`` of the users; ``"user"``,
            every user is its own (a hash of the e-mail); ``"none"``, scores are the same for all users of a
            make and model.
    """

    @property
    def name(self) -> str: ...

    @property
    def profiles(self) -> Literal["given", "user", "none"]: ...

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Match this scorer's keys with the candidates, once, before blocks are scored."""
        ...


@dataclass(frozen=True)
class EmbeddingScorer:
    """Dot product of a profile's vector and a part's vector.

    Sums of floating-point products depend on their order, and a matrix product orders them by its shape: the
    same two vectors may score differently in another block. Here they cannot. Vectors are rounded to fixed
    point, 2⁻²⁵ for vectors of length up to 2, so that every product and every partial sum is an integer
    below 2⁵³ times a power of two: float64 holds it exactly, in any order, with or without fused
    multiply-add. (By Cauchy–Schwarz partial sums are at most the product of the lengths.) The rounding moves
    the score of two unit vectors of 128 dimensions by less than 4e-7, as much as float32 would.

    Attributes:
        user_embeddings: row = profile.
        product_embeddings: row = part.
        product_ids: base SKU of each row of ``product_embeddings``.
    """

    user_embeddings: Float32[np.ndarray, "profiles dimension"]
    # Whether the dimension is that of the users is for the error below to say.
    product_embeddings: Float32[np.ndarray, "products _dimension"]
    product_ids: pa.Array | list[str]
    name: str = "embeddings"
    profiles: Literal["given"] = "given"

    def __post_init__(self) -> None:
        users, products = self.user_embeddings, self.product_embeddings
        if users.ndim != 2 or products.ndim != 2 or users.shape[1] != products.shape[1]:
            raise RankingError(
                f"{self.name}: vectors of shapes {users.shape} and {products.shape} do not match"
            )
        if len(self.product_ids) != len(products):
            raise RankingError(f"{self.name}: {len(self.product_ids)} base SKUs for {len(products)} vectors")
        for kind, vectors in (("profile", users), ("part", products)):
            bad = np.flatnonzero(~np.isfinite(vectors).all(axis=1))
            if len(bad):
                raise RankingError(
                    f"{self.name}: {len(bad)} {kind} vectors are not finite, first row {bad[0]}"
                )

    @classmethod
    def from_tables(
        cls, user_embeddings: pa.Table, product_embeddings: pa.Table, view: View
    ) -> EmbeddingScorer:
        """From assets ``user_embeddings`` (view, profile, embedding) and ``product_embeddings`` (view,
        base_sku, embedding)."""
        users = user_embeddings.filter(pc.equal(user_embeddings["view"].cast(pa.string()), view))
        products = product_embeddings.filter(pc.equal(product_embeddings["view"].cast(pa.string()), view))
        profiles = integers(users["profile"], missing=-1)
        if not np.array_equal(np.sort(profiles), np.arange(len(profiles))):
            raise RankingError(f"user_embeddings: profiles of view {view} must be 0, 1, … without gaps")
        return cls(
            _matrix(users["embedding"])[np.argsort(profiles)],
            _matrix(products["embedding"]),
            products["base_sku"].combine_chunks(),
        )

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Raises RankingError if a candidate has no vector."""
        rows = codes_in(candidates.product_ids, pa.array(self.product_ids, pa.string()))
        _require_all(rows >= 0, candidates.product_ids, f"{self.name}: parts without a vector")
        user_scale, product_scale = _fixed_point(self.user_embeddings), _fixed_point(self.product_embeddings)
        # Dividing by a power of two is exact as well.
        products = np.rint(self.product_embeddings[rows] * np.float64(product_scale)) / product_scale
        pair_product = candidates.pair_product

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            if len(profiles) and profiles.max() >= len(self.user_embeddings):
                count = len(self.user_embeddings)
                raise RankingError(f"{self.name}: profile {profiles.max()} has no vector; there are {count}")
            users = np.rint(self.user_embeddings[profiles] * np.float64(user_scale)) / user_scale
            scores: np.ndarray = users @ products[pair_product[pairs]].T
            return scores

        return score


@dataclass(frozen=True)
class PairScorer:
    """Scores that are the same for every user of a make and model, from a table.

    Attributes:
        table: ``make, model, base_sku, score``; a key must not repeat.
        missing: score of a part that fits the vehicle and is not in the table; None: that is an error.
    """

    table: pa.Table
    missing: float | None = None
    name: str = "pairs"
    profiles: Literal["none"] = "none"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Raises RankingError if a key repeats, a score is null or a pair is missing without a default."""
        segments = candidates.find_segments(self.table["make"], self.table["model"])
        pairs = candidates.find_pairs(segments, self.table["base_sku"])
        values = self.table["score"].cast(pa.float64()).combine_chunks()
        if values.null_count:
            raise RankingError(f"{self.name}: {values.null_count} scores are null")
        known = pairs >= 0
        counts = np.bincount(pairs[known], minlength=len(candidates.pair_product))
        if (counts > 1).any():
            raise RankingError(f"{self.name}: {int((counts > 1).sum())} make, model and base SKU occur twice")
        if self.missing is None:
            products = candidates.product_ids.take(pa.array(candidates.pair_product))
            _require_all(counts > 0, products, f"{self.name}: make, model and base SKU without a score")
        scores = np.full(len(counts), np.nan if self.missing is None else self.missing)
        scores[pairs[known]] = values.to_numpy(zero_copy_only=False)[known]

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            return scores[None, pairs]

        return score


@dataclass(frozen=True)
class ProfileScorer:
    """Scores of profiles and parts, from a table; 0 where a pair is not in it.

    Attributes:
        table: ``profile, base_sku, score``; a key must not repeat.
    """

    table: pa.Table
    name: str = "profiles"
    profiles: Literal["given"] = "given"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Raises RankingError if a key repeats or a score is null."""
        product, values = (
            codes_in(self.table["base_sku"], candidates.product_ids),
            _scores_of(self.table, self.name),
        )
        limit = len(candidates.product_ids)
        known = product >= 0
        keys = (integers(self.table["profile"], missing=-1) * limit + product)[known]
        order = np.argsort(keys, kind="stable")
        keys, scores = keys[order], np.append(values[known][order], 0.0)
        if repeated := int((np.diff(keys) == 0).sum()):
            raise RankingError(f"{self.name}: {repeated} keys of profile and base SKU occur twice")

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            asked = profiles[:, None] * limit + candidates.pair_product[pairs]
            # The last score, of position −1, is that of every other pair.
            return np.asarray(scores[find_sorted(asked.ravel(), keys)].reshape(asked.shape), np.float64)

        return score


@dataclass(frozen=True)
class HistoryScorer:
    """Dot product of vectors, and for some profiles and parts what the user's own history adds to it.

    A pair that is not in the table keeps the very number of the vectors.

    Attributes:
        vectors: scores every profile and part, by their vectors.
        added: ``profile, base_sku, score``; a key must not repeat.
    """

    vectors: Scorer
    added: pa.Table
    name: str = "gnn"
    profiles: Literal["given"] = "given"

    @classmethod
    def from_tables(
        cls, user_embeddings: pa.Table, product_embeddings: pa.Table, history_scores: pa.Table, view: View
    ) -> HistoryScorer:
        """From assets ``user_embeddings``, ``product_embeddings`` and ``history_scores`` (view, profile,
        base_sku, score)."""
        added = history_scores.filter(pc.equal(history_scores["view"].cast(pa.string()), view))
        return cls(EmbeddingScorer.from_tables(user_embeddings, product_embeddings, view), added)

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Raises RankingError if a candidate has no vector, a key repeats or a score is null."""
        dot_product = self.vectors.bind(candidates)
        product, values = (
            codes_in(self.added["base_sku"], candidates.product_ids),
            _scores_of(self.added, self.name),
        )
        profile = integers(self.added["profile"], missing=-1)
        order = np.lexsort((product, profile))
        order = order[product[order] >= 0]
        profile, product, values = profile[order], product[order], values[order]
        if repeated := int(((np.diff(profile) == 0) & (np.diff(product) == 0)).sum()):
            raise RankingError(f"{self.name}: {repeated} keys of profile and base SKU occur twice")

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            scores = dot_product(profiles, pairs)
            first, last = np.searchsorted(profile, profiles), np.searchsorted(profile, profiles, "right")
            count = last - first
            if count.any():
                row = np.repeat(np.arange(len(profiles)), count)
                entry = np.arange(len(row)) - np.repeat(np.cumsum(count) - count - first, count)
                # Pairs of a make and model are sorted by base SKU.
                column = find_sorted(product[entry], candidates.pair_product[pairs])
                scores[row[column >= 0], column[column >= 0]] += values[entry[column >= 0]]
            return scores

        return score


@dataclass(frozen=True)
class RandomScorer:
    """A uniform number in [0, 1) for each user and part: a hash of e-mail, base SKU and seed.

    It depends on nothing else: other users, other parts and the order of either change no ranking.
    """

    seed: int
    name: str = "random"
    profiles: Literal["user"] = "user"

    def bind(self, candidates: Candidates) -> ScoreBlock:
        """Hash the parts."""
        products = mix(hash_strings(candidates.product_ids) ^ np.uint64(self.seed))[candidates.pair_product]

        def score(profiles: Int64[np.ndarray, "asked"], pairs: slice) -> Float64[np.ndarray, "scored pairs"]:
            words = mix(profiles.view(np.uint64)[:, None] ^ products[None, pairs])
            # The upper 53 bits, as many as a float64 in [0, 1) holds.
            return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53

        return score


def _fixed_point(vectors: Float32[np.ndarray, "rows dimension"]) -> float:
    """Power of two that turns vectors into integers of length up to 2²⁶: the square is within 2⁵³.

    Lengths up to 2 share one scale: unit vectors, whatever their rounding, must never straddle two.
    """
    longest = float(np.sqrt(np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64).max(initial=0.0)))
    return float(2.0 ** (26 - max(1, int(np.ceil(np.log2(max(longest, 1.0)))))))


def _scores_of(table: pa.Table, name: str) -> Float64[np.ndarray, "rows"]:
    """Column ``score``. Raises RankingError if one is null."""
    values = table["score"].cast(pa.float64()).combine_chunks()
    if values.null_count:
        raise RankingError(f"{name}: {values.null_count} scores are null")
    return np.asarray(values.to_numpy(zero_copy_only=False), np.float64)


def _matrix(column: pa.ChunkedArray) -> Float32[np.ndarray, "rows dimension"]:
    """Column of FixedSizeList<float32> as a matrix, without a copy where Arrow allows."""
    array = column.combine_chunks()
    values = array.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(values, dtype=np.float32).reshape(len(array), array.type.list_size)


def _require_all(present: Bool[np.ndarray, "rows"], ids: pa.StringArray, problem: str) -> None:
    missing = np.flatnonzero(~present)
    if len(missing):
        examples = ", ".join(ids.take(pa.array(missing[:3])).to_pylist())
        raise RankingError(f"{problem}: {len(missing)}, such as {examples}")
