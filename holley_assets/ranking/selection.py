"""The inner loop: score blocks, keep the best, cap part types. Exact at every step.

A *request* is a vehicle, a profile and the parts it must not show. Requests are taken make and model by
make and model: one dense block of profiles × parts each, where a part that does not fit the year is −∞. Of
each row of a block only a prefix of its total order (best first, ties by SKU) is kept and sorted. If a prefix
fills the request, the rest cannot change it: rules look backward only. A request that its prefix does not
fill, because one part type crowds the top, is repeated with a longer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from holley_assets.ranking.candidates import Candidates, RankingError
from holley_assets.ranking.encoding import BoolArray, FloatArray, IntArray
from holley_assets.ranking.scorers import ScoreBlock

# Scores held at once: 8 bytes each and about three temporaries make 50 MB.
BLOCK_SCORES = 2_000_000
# Survivors that are sorted together; few large sorts cost less than one a block.
SORT_ENTRIES = 500_000


class Requests(NamedTuple):
    """What is asked: for each vehicle and profile the best parts, without some.

    Attributes:
        vehicles, profiles: [R], sorted by vehicle.
        excluded_request, excluded_pair: what not to show to whom, [E] each, sorted by request.
    """

    vehicles: IntArray
    profiles: IntArray
    excluded_request: IntArray
    excluded_pair: IntArray


class Selection(NamedTuple):
    """Best parts of each request, flat: request r owns entries offsets[r] to offsets[r + 1], best first."""

    offsets: IntArray
    rows: IntArray
    scores: FloatArray


class _Entries(NamedTuple):
    """Parts that are still in the running, [n] each."""

    requests: IntArray
    rows: IntArray
    scores: FloatArray

    def take(self, which: IntArray | BoolArray) -> _Entries:
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
        while len(pending):
            shortened = np.zeros(count, bool)
            blocks = self._blocks(requests, pending, prefix, shortened)
            best = _concatenate(self._best(entries) for entries in _batches(blocks))
            unfilled = np.bincount(best.requests, minlength=count) < self.depth
            again = shortened & unfilled
            chosen.append(best.take(~again[best.requests]))
            pending = np.flatnonzero(again)
            prefix *= 4
        entries = _concatenate(chosen)
        order = np.argsort(entries.requests, kind="stable")
        offsets = np.concatenate([[0], np.cumsum(np.bincount(entries.requests, minlength=count))])
        return Selection(offsets, entries.rows[order], entries.scores[order])

    def _blocks(
        self, requests: Requests, pending: IntArray, prefix: int, shortened: BoolArray
    ) -> Iterator[_Entries]:
        """Prefixes of pending requests, block by block; marks in ``shortened`` those that have more parts."""
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
                block = pending[first : min(first + step, stop)]
                scores, row_of = self._score(requests, block, pairs)
                kept = scores > -np.inf
                if width > prefix:
                    threshold = np.partition(scores, width - prefix, axis=1)[:, width - prefix]
                    shortened[block] = threshold > -np.inf
                    kept &= scores >= threshold[:, None]
                request, column = np.nonzero(kept)
                yield _Entries(block[request], row_of[request, column], scores[request, column])

    def _score(self, requests: Requests, block: IntArray, pairs: slice) -> tuple[FloatArray, IntArray]:
        """Scores of a block's requests × pairs, −∞ where the part is not allowed, and their rows."""
        scores = self.score_block(requests.profiles[block], pairs)
        finite = np.isfinite(scores)
        if not finite.all():
            self._raise_not_finite(scores, finite, pairs)
        row_of = _rows_by_pair(self.candidates, requests.vehicles[block], pairs)
        scores = np.where(row_of >= 0, scores, -np.inf)
        low, high = np.searchsorted(requests.excluded_request, [block[0], block[-1] + 1])
        excluded_place = np.searchsorted(block, requests.excluded_request[low:high])
        # Requests between those of the block, filled earlier, have exclusions of their own.
        inside = block[excluded_place] == requests.excluded_request[low:high]
        scores[excluded_place[inside], requests.excluded_pair[low:high][inside] - pairs.start] = -np.inf
        return scores, row_of

    def _best(self, entries: _Entries) -> _Entries:
        """Order by (request, score descending, SKU), cap the part types, cut at the depth."""
        # Rows of a vehicle are in the order of their base SKUs.
        entries = entries.take(np.lexsort((entries.rows, -entries.scores, entries.requests)))
        if self.maximum_per_part_type is not None:
            types = self.candidates.row_part_type[entries.rows]
            keys = entries.requests * (int(types.max(initial=0)) + 1) + types
            by_type = np.argsort(keys, kind="stable")
            kept = np.empty(len(keys), bool)
            kept[by_type] = _occurrence(keys[by_type]) < self.maximum_per_part_type
            entries = entries.take(kept)
        return entries.take(_occurrence(entries.requests) < self.depth)

    def _raise_not_finite(self, scores: FloatArray, finite: BoolArray, pairs: slice) -> None:
        candidates = self.candidates
        row, column = np.argwhere(~finite)[0]
        segment = int(candidates.pair_segment[pairs.start])
        make, model = divmod(int(candidates.segment_keys[segment]), len(candidates.models))
        part = candidates.product_ids[int(candidates.pair_product[pairs.start + column])]
        vehicle = f"{candidates.makes[make]} {candidates.models[model]}"
        raise RankingError(
            f"{self.name}: {int((~finite).sum())} scores for {vehicle} are not finite, "
            f"the first is {scores[row, column]} for part {part}"
        )


def _rows_by_pair(candidates: Candidates, vehicles: IntArray, pairs: slice) -> IntArray:
    """Row of each request's vehicle and each pair of its segment, −1 where the part does not fit: [r, c]."""
    first, last = int(vehicles[0]), int(vehicles[-1])
    offsets = candidates.row_offsets[first : last + 2]
    rows = np.arange(offsets[0], offsets[-1])
    place = np.repeat(np.arange(last - first + 1), np.diff(offsets))
    row_of = np.full((last - first + 1, pairs.stop - pairs.start), -1, np.int64)
    row_of[place, candidates.row_pair[rows] - pairs.start] = rows
    return row_of[vehicles - first]


def _occurrence(keys: IntArray) -> IntArray:
    """How many equal keys stand before each, for keys whose equals are neighbours: [n]."""
    starts = np.flatnonzero(np.diff(keys, prepend=keys[:1] - 1))
    return np.arange(len(keys)) - np.repeat(starts, np.diff(np.append(starts, len(keys))))


def _batches(blocks: Iterable[_Entries]) -> Iterator[_Entries]:
    waiting: list[_Entries] = []
    size = 0
    for block in blocks:
        waiting.append(block)
        size += len(block.requests)
        if size >= SORT_ENTRIES:
            yield _concatenate(waiting)
            waiting, size = [], 0
    yield _concatenate(waiting)


def _concatenate(parts: Iterable[_Entries]) -> _Entries:
    nothing = _Entries(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float64))
    requests, rows, scores = zip(nothing, *parts, strict=True)
    return _Entries(np.concatenate(requests), np.concatenate(rows), np.concatenate(scores))
