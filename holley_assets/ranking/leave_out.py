"""Scores of the SQL pipeline that do not contain what they are judged by: a visitor's own orders."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float64, Int64

from holley_assets.arrays import find_sorted
from holley_assets.ranking.candidates import Candidates
from holley_assets.ranking.encoding import codes_in


@dataclass(frozen=True)
class TierMinimums:
    """Orders before a tier of the pipeline counts: of a make and model, of a make, and of the part within either."""

    segment: int
    make: int
    pair: int


def sql_without_own_orders(
    visits: pa.Table,
    candidates: Candidates,
    *,
    offsets: Int64[np.ndarray, "starts"],
    pair: Int64[np.ndarray, "alternatives"],
    popularity: pa.Table,
    orders: pa.Table,
    users: pa.Table,
    minimums: TierMinimums,
) -> Float64[np.ndarray, "alternatives"]:
    """Scores of system ``sql`` as they are without the orders of each visitor from the visit on.

    With nothing to leave out a score is ``sql_score`` of ``popularity``: the tiers are those of
    ``sql/functions/popularity_tiers.sql``.

    Args:
        visits: ``visit, email_lower, visit_date, make, model``; one row a choice.
        offsets: first alternative of each visit, in ascending order of their numbers, and the end.
        pair: of the candidates, of each alternative; ascending within a visit.
        popularity: ``make, model, base_sku, segment_orders, make_orders, orders``.
        orders: ``email_lower, base_sku, order_date`` of what the popularity counts, one row an order before the cutoff.
        users: ``email_lower, make, model``.
        minimums: those that the popularity was counted with.
    """
    _, first = np.unique(visits["visit"].to_numpy(), return_index=True)
    visitors = visits.select(["email_lower", "visit_date", "make", "model"]).take(pa.array(first))
    visit = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
    count = len(candidates.product_ids)
    own_visit, own_product = _own_orders(visitors, candidates, orders)
    own = np.bincount(own_visit, minlength=len(first))[visit]
    keys, times = np.unique(
        (own_visit * count + own_product)[own_product >= 0],
        return_counts=True,
    )
    place = find_sorted(visit * count + candidates.pair_product[pair], keys)
    less = np.append(times, 0)[place]

    row = candidates.find_pairs(
        candidates.find_segments(popularity["make"], popularity["model"]), popularity["base_sku"]
    )
    counts = []
    for name in ("segment_orders", "make_orders", "orders"):
        of_pair = np.zeros(len(candidates.pair_product), np.int64)
        of_pair[row[row >= 0]] = popularity[name].to_numpy()[row >= 0]
        counts.append(of_pair[pair] - less)
    in_segment, in_make, anywhere = counts
    of_segment, of_make = (
        _orders_of_cars(visitors, orders, users, names)[visit] - own
        for names in (["make", "model"], ["make"])
    )
    segment = (of_segment >= minimums.segment) & (in_segment >= minimums.pair)
    make = (of_make >= minimums.make) & (in_make >= minimums.pair)
    scores: np.ndarray = np.where(
        segment,
        10.0 * np.log1p(in_segment),
        np.where(make, 8.0 * np.log1p(in_make), 2.0 * np.log1p(anywhere)),
    )
    return scores


def _own_orders(
    visitors: pa.Table, candidates: Candidates, orders: pa.Table
) -> tuple[Int64[np.ndarray, "orders"], Int64[np.ndarray, "orders"]]:
    """Visit and product of each order of a visitor on the day of the visit or later; product −1 is no candidate."""
    emails = pc.unique(visitors["email_lower"].cast(pa.string()))
    buyer = codes_in(orders["email_lower"], emails)
    orders = orders.filter(pa.array(buyer >= 0))
    buyer = buyer[buyer >= 0]
    order = np.argsort(buyer, kind="stable")
    buyer, orders = buyer[order], orders.take(pa.array(order))
    who = codes_in(visitors["email_lower"], emails)
    begin, end = np.searchsorted(buyer, who), np.searchsorted(buyer, who, "right")
    amount = end - begin
    visit = np.repeat(np.arange(len(who)), amount)
    line = np.arange(len(visit)) - np.repeat(np.cumsum(amount) - amount - begin, amount)
    since = visitors["visit_date"].to_numpy().astype("datetime64[D]")
    date = orders["order_date"].to_numpy().astype("datetime64[D]")
    later = date[line] >= since[visit]
    return visit[later], codes_in(orders["base_sku"], candidates.product_ids)[line[later]]


def _orders_of_cars(
    visitors: pa.Table, orders: pa.Table, users: pa.Table, names: list[str]
) -> Int64[np.ndarray, "visits"]:
    """Orders by users whose vehicle agrees with each visitor's in ``names``."""
    of_user, of_visitor = (_joined(table, names) for table in (users, visitors))
    cars = pc.unique(of_visitor)
    buyer = codes_in(orders["email_lower"], users["email_lower"].cast(pa.string()).combine_chunks())
    car = codes_in(pa.chunked_array([of_user]), cars)[buyer[buyer >= 0]]
    totals = np.bincount(car[car >= 0], minlength=len(cars))
    return np.asarray(totals[codes_in(pa.chunked_array([of_visitor]), cars)], np.int64)


def _joined(table: pa.Table, names: list[str]) -> pa.Array:
    columns = [table[name].cast(pa.string()).combine_chunks() for name in names]
    return pc.binary_join_element_wise(*columns, "\x1f")
