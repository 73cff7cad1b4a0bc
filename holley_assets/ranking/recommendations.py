"""The delivered table: one wide row a user, as the e-mail system reads it."""

from __future__ import annotations

import datetime

import numpy as np
import pyarrow as pa
from jaxtyping import Int64

from holley_assets.ranking.candidates import RankingError
from holley_assets.ranking.encoding import codes_in
from holley_assets.ranking.ranker import Ranking, sort_users
from holley_assets.terms import SLOTS, View

# Slots of an e-mail; the table has these columns whether or not a user fills them.

WIDE_SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("email_lower", "year", "make", "model")),
        *(
            field
            for slot in range(1, SLOTS + 1)
            for field in (
                (f"rec_part_{slot}", pa.string()),
                (f"rec{slot}_price", pa.float64()),
                (f"rec{slot}_score", pa.float64()),
                (f"rec{slot}_image", pa.string()),
            )
        ),
        ("generated_at", pa.timestamp("us", tz="UTC")),
        ("model_version", pa.string()),
    ]
)


def wide_table(
    ranking: Ranking,
    users: pa.Table,
    parts: pa.Table,
    view: View,
    *,
    minimum_parts: int,
    maximum_parts: int,
    generated_at: datetime.datetime,
    model_version: str,
) -> tuple[pa.Table, dict[str, int]]:
    """Users with enough parts, one row each, sorted by e-mail.

    Args:
        ranking: of these users.
        users: ``email_lower, year, make, model``; the users that were ranked.
        parts: ``sku`` and the view's price and image (``price, image`` or ``serving_price, serving_image``).
        view: whose price and image are shown.
        minimum_parts: a user with fewer gets no row.
        maximum_parts: slots filled at most.
        generated_at: moment of the run, with its time zone.
        model_version: what made the scores.

    Returns:
        the table in :data:`WIDE_SCHEMA`, and how many users got no row, by reason.

    Raises:
        RankingError: the ranking is of other users, of another view, without rules, or not deep enough.
    """
    if not 1 <= minimum_parts <= maximum_parts <= SLOTS:
        raise RankingError(
            f"minimum {minimum_parts} and maximum {maximum_parts} parts must be from 1 to {SLOTS}"
        )
    if ranking.depth < maximum_parts:
        raise RankingError(f"the ranking holds {ranking.depth} parts a user; {maximum_parts} are wanted")
    if ranking.candidates.view != view or not ranking.candidates.rules:
        raise RankingError(f"only a ranking of view {view} with the rules applied can be delivered")
    if generated_at.tzinfo is None:
        raise RankingError("generated_at needs a time zone")
    users = sort_users(users)
    if not users["email_lower"].combine_chunks().equals(ranking.email_lower):
        raise RankingError("the ranking is of other users")

    counts = ranking.counts()
    delivered = np.flatnonzero(counts >= minimum_parts)
    rows = users.select(["email_lower", "year", "make", "model"]).take(pa.array(delivered))
    columns: dict[str, pa.Array | pa.ChunkedArray] = {
        name: rows[name].cast(pa.string()) for name in ("email_lower", "year", "make", "model")
    }
    columns |= _slots(ranking, ranking.user_request[delivered], parts, view, maximum_parts)
    columns["generated_at"] = pa.repeat(pa.scalar(generated_at, pa.timestamp("us", tz="UTC")), len(delivered))
    columns["model_version"] = pa.repeat(pa.scalar(model_version, pa.string()), len(delivered))
    return pa.table(columns, schema=WIDE_SCHEMA), _dropped(ranking, counts, minimum_parts)


def _slots(
    ranking: Ranking, requests: Int64[np.ndarray, "users"], parts: pa.Table, view: View, slots: int
) -> dict[str, pa.Array]:
    """Columns of all slots for users with these requests; built once a request and then taken."""
    prefix = "" if view == "training" else "serving_"
    skus = parts["sku"].cast(pa.string()).combine_chunks()
    shown = codes_in(ranking.candidates.variants(ranking.rows), skus)
    users = pa.array(requests)
    columns: dict[str, pa.Array] = {}
    for slot in range(1, SLOTS + 1):
        filled = np.minimum(np.diff(ranking.offsets), slots) >= slot
        entry = pa.array(ranking.offsets[:-1] + slot - 1, mask=~filled).take(users)
        part = pa.array(shown).take(entry)
        columns |= {
            f"rec_part_{slot}": skus.take(part),
            f"rec{slot}_price": parts[f"{prefix}price"].take(part),
            f"rec{slot}_score": pa.array(ranking.scores).take(entry),
            f"rec{slot}_image": parts[f"{prefix}image"].cast(pa.string()).take(part),
        }
    return columns


def _dropped(ranking: Ranking, counts: Int64[np.ndarray, "users"], minimum_parts: int) -> dict[str, int]:
    eligible = np.append(np.diff(ranking.candidates.row_offsets), 0)[ranking.user_vehicle]
    unknown = ranking.user_vehicle < 0
    thin = ~unknown & (eligible < minimum_parts)
    ruled_out = ~unknown & ~thin & (counts < minimum_parts)
    return {
        "vehicle without parts": int(unknown.sum()),
        f"fewer than {minimum_parts} eligible parts": int(thin.sum()),
        f"fewer than {minimum_parts} parts after the user's rules": int(ruled_out.sum()),
    }
