"""The inner loop: score blocks, keep the best, cap part types. Exact at every step.

A *request* is a vehicle, a profile and the parts it must not show. Requests are taken make and model by
make and model: one dense block of profiles × parts each, where a part that does not fit the year is −∞. Of
each row of a block only a prefix of its total order (best first, ties by SKU) is kept and sorted. If a prefix
fills the request, the rest cannot change it: rules look backward only. A request that its prefix does not
fill, because one part type crowds the top, is repeated with a longer one.

Measured and left out: a block for each few years (less of it does not fit, but there are more calls: no
faster), and a second thread (most calls are too short to leave the interpreter: 15 % on an idle machine).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Int64, Num
from threadpoolctl import threadpool_limits

from holley_assets.ranking.candidates import Candidates, RankingError
from holley_assets.ranking.scorers import ScoreBlock

# Scores held at once, in a block or a batch of blocks: 8 bytes each, and about two temporaries.
BLOCK_SCORES = 1_000_000
# Below every score, above the −∞ of what is not allowed.
LOWEST = np.finfo(np.float64).min


class Requests(NamedTuple):
    """What is asked: for each vehicle and profile the best parts, without some.

    Attributes:
        vehicles, profiles: sorted by vehicle.
        excluded_request, excluded_pair: what not to show to whom, sorted by request.
    """

    vehicles: Int64[np.ndarray, "requests"]
    profiles: Int64[np.ndarray, "requests"]
    excluded_request: Int64[np.ndarray, "exclusions"]
    excluded_pair: Int64[np.ndarray, "exclusions"]


class Selection(NamedTuple):
    """Best parts of each request, flat: request r owns entries offsets[r] to offsets[r + 1], best first."""

    offsets: Int64[np.ndarray, "starts"]
    rows: Int64[np.ndarray, "entries"]
    scores: Float64[np.ndarray, "entries"]


class _Block(NamedTuple):
    """Requests of one make and model, ascending, and its pairs."""

    requests: Int64[np.ndarray, "requests"]
    pairs: slice

    @property
    def size(self) -> int:
        return len(self.requests) * int(self.pairs.stop - self.pairs.start)


class _Entries(NamedTuple):
    """Parts that are still in the running."""

    requests: Int64[np.ndarray, "entries"]
    rows: Int64[np.ndarray, "entries"]
    scores: Float64[np.ndarray, "entries"]

    def take(self, which: Int64[np.ndarray, "taken"] | Bool[np.ndarray, "entries"]) -> _Entries:
        return _Entries(self.requests[which], self.rows[which], self.scores[which])


@dataclass(frozen=True)
class Selector:
    """Picks the best parts of any requests.

    Attributes:
        candidates: the parts, and the keys of requests.
        score_block: see :data:`~holley_assets.ranking.scorers.ScoreBlock`.
        name: the system, for error messages.
        depth: parts of a request at most.
        maximum_per_part_type: parts of one type in a request at most; None: any number.
        block_scores: scores held at once; changes memory and time, never the result.
    """

    candidates: Candidates
    score_block: ScoreBlock
    name: str
    depth: int
    maximum_per_part_type: int | None
    block_scores: int = BLOCK_SCORES

    def select(self, requests: Requests) -> Selection:
        """The best parts of each request. Raises RankingError if a score is not finite."""
        count = len(requests.vehicles)
        pending = np.arange(count)
        prefix = 2 * self.depth
        chosen: list[_Entries] = []
        # One BLAS thread: for thousands of small products a second one gains nothing, and on a machine whose
        # cores are busy every product waits for it (0.2 s became 3 s).
        with threadpool_limits(limits=1, user_api="blas"):
            while len(pending):
                batches = _batches(self._blocks(requests, pending), self.block_scores)
                results = [self._rank_batch(requests, prefix, batch) for batch in batches]
                chosen += [entries for entries, _ in results]
                pending = np.concatenate([pending[:0], *(again for _, again in results)])
                prefix *= 4
        entries = _concatenate(chosen)
        order = np.argsort(entries.requests, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(entries.requests, minlength=count))])
        return Selection(offsets, entries.rows[order], entries.scores[order])

    def _blocks(self, requests: Requests, pending: Int64[np.ndarray, "pending"]) -> Iterator[_Block]:
        """Pending requests cut into blocks of one make and model."""
        segments = self.candidates.vehicle_segment[requests.vehicles[pending]]
        starts = np.flatnonzero(np.diff(segments, prepend=-1))
        for start, stop in zip(starts, np.append(starts[1:], len(pending)), strict=True):
            segment = segments[start]
            pairs = slice(*self.candidates.pair_offsets[segment : segment + 2].tolist())
            width = pairs.stop - pairs.start
            if width == 0:
                continue
            step = max(1, self.block_scores // width)
            for first in range(start, stop, step):
                yield _Block(pending[first : min(first + step, stop)], pairs)

    def _rank_batch(
        self, requests: Requests, prefix: int, blocks: list[_Block]
    ) -> tuple[_Entries, Int64[np.ndarray, "again"]]:
        """Best parts of the blocks' requests, and the requests that need a longer prefix."""
        kept, shortened = zip(*(self._prefix(requests, prefix, block) for block in blocks), strict=True)
        best = self._best(_concatenate(kept))
        cut = np.concatenate(shortened)
        counts = np.bincount(best.requests, minlength=int(cut.max(initial=0)) + 1)
        again = cut[counts[cut] < self.depth]
        return best.take(~np.isin(best.requests, again)), again

    def _prefix(
        self, requests: Requests, prefix: int, block: _Block
    ) -> tuple[_Entries, Int64[np.ndarray, "again"]]:
        """The first parts in order of each of the block's requests, and the requests that have more."""
        vehicles = requests.vehicles[block.requests]
        row_of = _rows_by_pair(self.candidates, int(vehicles[0]), int(vehicles[-1]), block.pairs)
        year = vehicles - vehicles[0]
        scores = np.where(
            (row_of >= 0)[year], self._scores(requests.profiles[block.requests], block.pairs), -np.inf
        )
        if len(requests.excluded_request):
            _exclude(scores, requests, block)
        width = scores.shape[1]
        threshold = np.full(len(year), LOWEST)
        if width > prefix:
            threshold = np.maximum(np.partition(scores, width - prefix, axis=1)[:, width - prefix], LOWEST)
        # Flat positions and one division take half the time of np.nonzero's pairs.
        kept = np.flatnonzero(scores >= threshold[:, None])
        request, column = np.divmod(kept, width)
        entries = _Entries(block.requests[request], row_of[year[request], column], scores.ravel()[kept])
        return entries, block.requests[threshold > LOWEST]

    def _scores(
        self, profiles: Int64[np.ndarray, "asked"], pairs: slice
    ) -> Float64[np.ndarray, "scored pairs"]:
        scores = self.score_block(profiles, pairs)
        # NaN survives both, infinity one of them, and neither makes an array of flags.
        if not (np.isfinite(scores.max()) and np.isfinite(scores.min())):
            self._raise_not_finite(scores, pairs)
        return scores

    def _best(self, entries: _Entries) -> _Entries:
        """Order each request by (score descending, SKU), cap the part types, cut at the depth.

        Entries come sorted by (request, row), and rows of a vehicle are in the order of their base SKUs: a
        stable sort by score leaves ties by SKU. Requests are rows of a padded matrix.
        """
        starts = np.flatnonzero(np.diff(entries.requests, prepend=-1))
        counts = np.diff(np.append(starts, len(entries.requests)))
        inside = np.arange(counts.max(initial=0)) < counts[:, None]
        order = np.argsort(_padded(-entries.scores, inside, np.inf), axis=1, kind="stable")
        # Padding sorts last, so that the same places are inside before and after.
        kept = inside
        if self.maximum_per_part_type is not None:
            types = _padded(self.candidates.row_part_type[entries.rows], inside, -1)
            kept = kept & (_occurrence(np.take_along_axis(types, order, axis=1)) < self.maximum_per_part_type)
        kept = kept & (np.cumsum(kept, axis=1) <= self.depth)
        return entries.take((starts[:, None] + order)[kept])

    def _raise_not_finite(self, scores: Float64[np.ndarray, "scored pairs"], pairs: slice) -> None:
        candidates = self.candidates
        row, column = np.argwhere(~np.isfinite(scores))[0]
        segment = int(candidates.pair_segment[pairs.start])
        make, model = divmod(int(candidates.segment_keys[segment]), len(candidates.models))
        vehicle = f"{candidates.makes[make]} {candidates.models[model]}"
        part = candidates.product_ids[int(candidates.pair_product[pairs.start + column])]
        raise RankingError(
            f"{self.name}: {int((~np.isfinite(scores)).sum())} scores for {vehicle} are not finite, "
            f"the first is {scores[row, column]} for part {part}"
        )


def _rows_by_pair(
    candidates: Candidates, first: int, last: int, pairs: slice
) -> Int64[np.ndarray, "cars pairs"]:
    """Row of each vehicle from first to last and each pair of their segment, −1 where it does not fit."""
    offsets = candidates.row_offsets[first : last + 2]
    rows = slice(*offsets[[0, -1]].tolist())
    place = np.repeat(np.arange(last - first + 1), np.diff(offsets))
    row_of = np.full((last - first + 1, pairs.stop - pairs.start), -1, np.int64)
    row_of[place, candidates.row_pair[rows] - pairs.start] = np.arange(rows.start, rows.stop)
    return row_of


def _exclude(scores: Float64[np.ndarray, "scored pairs"], requests: Requests, block: _Block) -> None:
    """Set the scores of what the block's requests must not show to −∞."""
    ends = np.array([block.requests[0], block.requests[-1] + 1])
    exclusions = slice(*np.searchsorted(requests.excluded_request, ends).tolist())
    place = np.searchsorted(block.requests, requests.excluded_request[exclusions])
    # Requests between those of the block, filled earlier, have exclusions of their own.
    inside = block.requests[place] == requests.excluded_request[exclusions]
    scores[place[inside], requests.excluded_pair[exclusions][inside] - block.pairs.start] = -np.inf


def _padded(
    values: Num[np.ndarray, "entries"], inside: Bool[np.ndarray, "requests places"], padding: float
) -> Num[np.ndarray, "requests places"]:
    matrix = np.full(inside.shape, padding, values.dtype)
    matrix[inside] = values
    return matrix


def _occurrence(values: Int64[np.ndarray, "requests places"]) -> Int64[np.ndarray, "requests places"]:
    """How many equal values stand to the left of each in its row."""
    columns = np.arange(values.shape[1])
    by_value = np.argsort(values, axis=1, kind="stable")
    ordered = np.take_along_axis(values, by_value, axis=1)
    first = np.ones(values.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    before = columns - np.maximum.accumulate(np.where(first, columns, 0), axis=1)
    result = np.empty_like(values)
    np.put_along_axis(result, by_value, before, axis=1)
    return result


def _batches(blocks: Iterable[_Block], scores: int) -> Iterator[list[_Block]]:
    """Lists of neighbouring blocks with about so many scores: few large sorts cost less than one a block."""
    batch: list[_Block] = []
    size = 0
    for block in blocks:
        batch.append(block)
        size += block.size
        if size >= scores:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _concatenate(parts: Iterable[_Entries]) -> _Entries:
    nothing = _Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
    requests, rows, scores = zip(nothing, *parts, strict=True)
    return _Entries(np.concatenate(requests), np.concatenate(rows), np.concatenate(scores))
