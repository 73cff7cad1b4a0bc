"""Rank the parts of every user: one ranker, the same rules, for every system.

Users are many and requests are few. Users with the same vehicle and profile get the same parts, unless they
ordered one of them: so each distinct (vehicle, profile) is ranked once, without anybody's purchases. A part
that was not chosen changes nothing when it is taken away (behind the last place it does not count, and
beyond its type's cap so is every later part of that type), so that only users who ordered one of the *chosen*
parts are ranked again, for themselves.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int64

from holley_assets.arrays import find_sorted
from holley_assets.ranking.candidates import Candidates, RankingError
from holley_assets.ranking.encoding import encode, hash_strings, integers
from holley_assets.ranking.scorers import Scorer
from holley_assets.ranking.selection import BLOCK_SCORES, Requests, Selection, Selector


@dataclass(frozen=True)
class RankingOptions:
    """Numbers in the rules that depend on the user.

    Attributes:
        depth: parts a user gets at most.
        maximum_per_part_type: parts of one type among them.
        purchase_exclusion_days: a base SKU ordered on one of so many days before the view's end is left out.
    """

    depth: int
    maximum_per_part_type: int
    purchase_exclusion_days: int

    def __post_init__(self) -> None:
        for name in ("depth", "maximum_per_part_type", "purchase_exclusion_days"):
            if getattr(self, name) < 1:
                raise RankingError(f"{name} is {getattr(self, name)}; it must be at least 1")


@dataclass(frozen=True)
class Ranking:
    """Parts of every user, best first, stored once for all users that share them.

    Attributes:
        email_lower: users, sorted.
        user_vehicle: vehicle in ``candidates``; −1 where nothing fits.
        user_request: request that holds the user's parts; −1 where the vehicle is unknown.
        offsets: request r owns entries offsets[r] to offsets[r + 1].
        rows: row in ``candidates`` of each entry.
        scores: score of each entry.
        candidates: what was ranked.
        depth: parts of a user at most.
    """

    email_lower: pa.StringArray
    user_vehicle: Int64[np.ndarray, "users"]
    user_request: Int64[np.ndarray, "users"]
    offsets: Int64[np.ndarray, "starts"]
    rows: Int64[np.ndarray, "entries"]
    scores: Float64[np.ndarray, "entries"]
    candidates: Candidates
    depth: int

    @property
    def request_count(self) -> int:
        """Distinct rankings."""
        return len(self.offsets) - 1

    def counts(self) -> Int64[np.ndarray, "users"]:
        """Parts of each user."""
        # One more entry at the end: request −1 has no parts.
        counts: np.ndarray = np.append(np.diff(self.offsets), 0)[self.user_request]
        return counts

    def to_table(self, system: str) -> pa.Table:
        """One row a user and part: ``email_lower, system, rank`` (from 1) ``, base_sku, sku, score``."""
        counts = self.counts()
        users = np.repeat(np.arange(len(counts)), counts)
        place = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
        entries = pa.array(self.offsets[self.user_request[users]] + place)
        return pa.table(
            {
                "email_lower": self.email_lower.take(pa.array(users)),
                "system": pa.repeat(pa.scalar(system, pa.string()), len(users)),
                "rank": pa.array(place + 1, pa.int64()),
                "base_sku": self.candidates.base_skus(self.rows).take(entries),
                "sku": self.candidates.variants(self.rows).take(entries),
                "score": pa.array(self.scores).take(entries),
            }
        )


def rank_users(
    users: pa.Table,
    candidates: Candidates,
    scorer: Scorer,
    *,
    purchases: pa.Table | None,
    view_end: datetime.date,
    options: RankingOptions,
    block_scores: int = BLOCK_SCORES,
) -> Ranking:
    """Rank the candidates of every user's vehicle.

    With candidates built with ``apply_rules=False`` nothing is excluded and no part type is capped.

    Args:
        users: ``email_lower, year, make, model`` and, if the scorer wants it, ``profile``; one row a user.
        candidates: from :func:`~holley_assets.ranking.candidates.build_candidates`.
        scorer: where scores come from.
        purchases: ``email_lower, base_sku, order_date``; rows of other people are ignored.
        view_end: first day that the view does not see.
        options: numbers in the rules.
        block_scores: scores held at once; changes memory and time, never the result.

    Raises:
        RankingError: an e-mail is null or occurs twice, a user has no profile, a score is not finite.
    """
    users = sort_users(users)
    emails = users["email_lower"].combine_chunks()
    vehicles = candidates.find_vehicles(users["year"], users["make"], users["model"])
    profiles = _profiles(users, emails, scorer)
    selector = Selector(
        candidates,
        scorer.bind(candidates),
        scorer.name,
        depth=options.depth,
        maximum_per_part_type=options.maximum_per_part_type if candidates.rules else None,
        block_scores=block_scores,
    )
    shared, user_request = _collapse(vehicles, profiles)
    selection = selector.select(shared)
    if purchases is not None and candidates.rules:
        recent = _recent(purchases, view_end, options.purchase_exclusion_days)
        user, pair = _exclusions(recent, emails, vehicles, candidates)
        affected = _affected_users(user, pair, user_request, selection, candidates)
        affected = affected[np.argsort(vehicles[affected], kind="stable")]
        own = _own_requests(affected, user, pair, vehicles, profiles)
        user_request[affected] = len(shared.vehicles) + np.arange(len(affected))
        selection = _append(selection, selector.select(own))
    return Ranking(
        emails,
        vehicles,
        user_request,
        selection.offsets,
        selection.rows,
        selection.scores,
        candidates,
        options.depth,
    )


def sort_users(users: pa.Table) -> pa.Table:
    """Users by e-mail, as plain strings. Raises RankingError if one is null or occurs twice."""
    emails = users["email_lower"].cast(pa.string()).combine_chunks()
    users = users.set_column(users.schema.get_field_index("email_lower"), "email_lower", emails)
    if emails.null_count:
        raise RankingError(f"users: {emails.null_count} e-mails are null")
    if _ascending(emails):
        return users
    users = users.take(pc.sort_indices(emails))
    if not _ascending(users["email_lower"].combine_chunks()):
        raise RankingError("users: an e-mail occurs twice")
    return users


def _ascending(emails: pa.StringArray) -> bool:
    return len(emails) < 2 or bool(pc.all(pc.less(emails[:-1], emails[1:])).as_py())


def _profiles(users: pa.Table, emails: pa.StringArray, scorer: Scorer) -> Int64[np.ndarray, "users"]:
    if scorer.profiles == "none":
        return np.zeros(users.num_rows, np.int64)
    if scorer.profiles == "user":
        return hash_strings(emails).view(np.int64)
    if "profile" not in users.column_names:
        raise RankingError(f"users: system {scorer.name} needs a column profile")
    profiles = integers(users["profile"], missing=-1)
    if (profiles < 0).any():
        raise RankingError(
            f"users: {int((profiles < 0).sum())} have no profile, which system {scorer.name} needs"
        )
    return profiles


def _collapse(
    vehicles: Int64[np.ndarray, "users"], profiles: Int64[np.ndarray, "users"]
) -> tuple[Requests, Int64[np.ndarray, "users"]]:
    """Distinct (vehicle, profile), and each user's place among them; −1 where the vehicle is unknown."""
    known = np.flatnonzero(vehicles >= 0)
    distinct_profiles, codes = np.unique(profiles[known], return_inverse=True)
    keys, places = np.unique(vehicles[known] * max(len(distinct_profiles), 1) + codes, return_inverse=True)
    user_request = np.full(len(vehicles), -1, np.int64)
    user_request[known] = places
    vehicle, profile = np.divmod(keys, max(len(distinct_profiles), 1))
    nothing = np.empty(0, np.int64)
    return Requests(vehicle, distinct_profiles[profile], nothing, nothing), user_request


def _recent(purchases: pa.Table, view_end: datetime.date, days: int) -> pa.Table:
    """Purchases on the ``days`` days before ``view_end``, which is not among them."""
    order_date = purchases["order_date"].cast(pa.date32())
    first = pa.scalar(view_end - datetime.timedelta(days=days), pa.date32())
    last = pa.scalar(view_end, pa.date32())
    return purchases.filter(pc.and_(pc.greater_equal(order_date, first), pc.less(order_date, last)))


def _exclusions(
    purchases: pa.Table,
    emails: pa.StringArray,
    vehicles: Int64[np.ndarray, "users"],
    candidates: Candidates,
) -> tuple[Int64[np.ndarray, "exclusions"], Int64[np.ndarray, "exclusions"]]:
    """(user, pair) of each purchase that is among the pairs of its user's make and model."""
    # Buyers are few: looking every user up among them beats looking buyers up among all users.
    buyer, buyers = encode(purchases["email_lower"])
    place = pc.fill_null(pc.index_in(emails, value_set=buyers), -1).to_numpy(zero_copy_only=False)
    known = np.flatnonzero(place >= 0)
    user_of = np.full(len(buyers) + 1, -1, np.int64)
    user_of[place[known]] = known
    user = user_of[buyer]
    # One more entry at the end of each look-up: −1 stays −1.
    vehicle = np.append(vehicles, -1)[user]
    segment = np.append(candidates.vehicle_segment, -1)[vehicle]
    pair = candidates.find_pairs(segment, purchases["base_sku"])
    return user[pair >= 0], pair[pair >= 0]


def _affected_users(
    user: Int64[np.ndarray, "exclusions"],
    pair: Int64[np.ndarray, "exclusions"],
    user_request: Int64[np.ndarray, "users"],
    selection: Selection,
    candidates: Candidates,
) -> Int64[np.ndarray, "affected"]:
    """Users, ascending, who recently ordered one of the parts chosen for their request."""
    pair_count = max(len(candidates.pair_product), 1)
    requests = np.repeat(np.arange(len(selection.offsets) - 1), np.diff(selection.offsets))
    chosen = requests * pair_count + candidates.row_pair[selection.rows]
    return np.unique(user[find_sorted(user_request[user] * pair_count + pair, np.sort(chosen)) >= 0])


def _own_requests(
    affected: Int64[np.ndarray, "affected"],
    user: Int64[np.ndarray, "exclusions"],
    pair: Int64[np.ndarray, "exclusions"],
    vehicles: Int64[np.ndarray, "users"],
    profiles: Int64[np.ndarray, "users"],
) -> Requests:
    """One request for each of these users, who are sorted by vehicle, without what the user ordered."""
    request_of = np.full(len(vehicles), -1, np.int64)
    request_of[affected] = np.arange(len(affected))
    request = request_of[user]
    order = np.argsort(request, kind="stable")
    order = order[request[order] >= 0]
    return Requests(vehicles[affected], profiles[affected], request[order], pair[order])


def _append(first: Selection, second: Selection) -> Selection:
    return Selection(
        np.concatenate([first.offsets, first.offsets[-1] + second.offsets[1:]]),
        np.concatenate([first.rows, second.rows]),
        np.concatenate([first.scores, second.scores]),
    )
