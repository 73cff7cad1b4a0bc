"""What a user's own history says of parts, counted without a model: what was seen last, and what goes with it."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.ranking.encoding import codes_in
from holley_assets.ranking.scorers import EmbeddingScorer, HistoryScorer, Scorer

LAST_SEEN, ITEM_TO_ITEM = "last_seen", "item_to_item"
# Popularity, at most 1, orders the parts that a history says nothing of, and all parts of users without one. Counts
# are multiplied by this much, so that the smallest of them comes before any popularity.
COUNT_SCALE = 1e6
# A part in the cart comes before one that was viewed on the same day.
CART_DAYS = 0.5


def last_seen(visits: pa.Table, emails: pa.Array, view_end: datetime.date) -> pa.Table:
    """What each user viewed or put into the cart, newest first: profile, base_sku, score.

    ``score`` is ``1 / (1 + days)``, half a day less for a cart. A user's profile is its place in ``emails``.

    Args:
        visits: email_lower, visit_date, base_sku, interaction (view, cart or order).
        emails: whose histories are wanted.
        view_end: first day that is not seen.
    """
    own = _own(visits, emails, view_end)
    own = own.filter(pc.not_equal(own["interaction"].cast(pa.string()), "order"))
    days = (np.datetime64(view_end, "D") - own["visit_date"].to_numpy().astype("datetime64[D]")).astype(float)
    cart = pc.equal(own["interaction"].cast(pa.string()), "cart").to_numpy()
    own = own.append_column("score", pa.array(1.0 / (1.0 + days - CART_DAYS * cart)))
    own = own.group_by(["profile", "base_sku"]).aggregate([("score", "max")])
    return _in_order(own.rename_columns({"score_max": "score"}))


def item_to_item(
    visits: pa.Table, emails: pa.Array, view_end: datetime.date, co_viewed: pa.Table, visitors: pa.Table
) -> pa.Table:
    """What other visitors met together with what each user met: profile, base_sku, score.

    ``score`` is the sum, over the distinct parts that the user met, of the cosine between the sets of visitors of
    both parts, ``together / sqrt(one · other)`` (Sarwar et al. 2001). A user's profile is its place in ``emails``.

    Args:
        visits: email_lower, visit_date, base_sku.
        emails: whose histories are wanted.
        view_end: first day that is not seen.
        co_viewed: base_sku, other_base_sku, visitors (null for pairs of another view); each pair once.
        visitors: base_sku, visitors: how many met each part.
    """
    met = _own(visits, emails, view_end).group_by(["profile", "base_sku"]).aggregate([])
    pairs = co_viewed.filter(pc.is_valid(co_viewed["visitors"]))
    names = visitors["base_sku"].cast(pa.string()).combine_chunks()
    alone = np.append(np.maximum(visitors["visitors"].to_numpy(), 1.0), np.inf)
    one, other = (codes_in(pairs[side], names) for side in ("base_sku", "other_base_sku"))
    cosine = pairs["visitors"].to_numpy() / np.sqrt(alone[one] * alone[other])
    both = pa.table(
        {
            "base_sku": pa.concat_arrays([_text(pairs["base_sku"]), _text(pairs["other_base_sku"])]),
            "with": pa.concat_arrays([_text(pairs["other_base_sku"]), _text(pairs["base_sku"])]),
            "cosine": np.tile(cosine, 2),
        }
    )
    # Sums of one order alone: a join does not keep it.
    found = met.join(both, "base_sku", join_type="inner").sort_by(
        [("profile", "ascending"), ("with", "ascending"), ("base_sku", "ascending")]
    )
    found = found.group_by(["profile", "with"], use_threads=False).aggregate([("cosine", "sum")])
    return _in_order(found.rename_columns({"with": "base_sku", "cosine_sum": "score"}))


def history_scorers(
    visits: pa.Table,
    emails: pa.Array,
    view_end: datetime.date,
    co_viewed: pa.Table,
    visitors: pa.Table,
    popularity: pa.Table,
) -> dict[str, Scorer]:
    """Both counts as scorers of the profiles 0, 1, … of ``emails``; the rest is ranked by popularity.

    Args:
        popularity: base_sku, score of every part.
        visits, emails, view_end, co_viewed, visitors: see :func:`item_to_item`.
    """
    score = popularity["score"].to_numpy().astype(np.float64)
    largest = max(float(np.abs(score).max(initial=0.0)), 1.0)
    product = (score / largest).astype(np.float32)[:, None]
    rest = EmbeddingScorer(np.ones((len(emails), 1), np.float32), product, _text(popularity["base_sku"]))
    added = {
        LAST_SEEN: last_seen(visits, emails, view_end),
        ITEM_TO_ITEM: item_to_item(visits, emails, view_end, co_viewed, visitors),
    }
    return {
        name: HistoryScorer(rest, _scaled(table, COUNT_SCALE), name=name) for name, table in added.items()
    }


def _scaled(table: pa.Table, factor: float) -> pa.Table:
    place = table.schema.get_field_index("score")
    return table.set_column(place, "score", pc.multiply(table["score"], factor))


def _own(visits: pa.Table, emails: pa.Array, view_end: datetime.date) -> pa.Table:
    """Visits of ``emails`` before ``view_end`` with ``profile``, text and all."""
    profile = codes_in(visits["email_lower"], emails)
    seen = pc.less(visits["visit_date"].cast(pa.date32()), pa.scalar(view_end, pa.date32()))
    kept = pc.and_(pa.array(profile >= 0), seen.combine_chunks())
    place = visits.schema.get_field_index("base_sku")
    own = visits.append_column("profile", pa.array(profile)).filter(kept)
    return own.set_column(place, "base_sku", own["base_sku"].cast(pa.string()))


def _in_order(table: pa.Table) -> pa.Table:
    return table.select(["profile", "base_sku", "score"]).sort_by(
        [("profile", "ascending"), ("base_sku", "ascending")]
    )


def _text(column: pa.ChunkedArray) -> pa.Array:
    return column.cast(pa.string()).combine_chunks()
