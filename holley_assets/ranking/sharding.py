"""Users in shards that can be ranked on machines that know nothing of one another."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.ranking.candidates import RankingError
from holley_assets.ranking.encoding import integers


def take_shard(users: pa.Table, number: int, shards: int) -> pa.Table:
    """The users of one shard.

    Users with the same profile are in the same shard, so that no ranking is computed in two.

    Args:
        users: with column ``profile``, as :func:`~holley_assets.ranking.ranker.rank_users` takes them.
        number: of the shard, from 0.
        shards: how many there are.

    Raises:
        RankingError: there is no such shard, or a user has no profile.
    """
    if not 0 <= number < shards:
        raise RankingError(f"shard {number} of {shards}: shards are numbered from 0")
    profiles = integers(users["profile"], missing=-1)
    if (profiles < 0).any():
        raise RankingError(f"users: {int((profiles < 0).sum())} have no profile, by which users are sharded")
    return users.take(pa.array(np.flatnonzero(profiles % shards == number)))


def merge_shards(tables: Iterable[pa.Table]) -> pa.Table:
    """Rows of all shards, by e-mail; those of one user stay in their order."""
    merged = pa.concat_tables(tables)
    return merged.take(pc.sort_indices(merged["email_lower"])).combine_chunks()
