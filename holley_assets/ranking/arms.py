"""Who gets the graph's parts and who the SQL pipeline's: a salted hash of the address, and nothing else.

A user's bucket never changes while the salt stays, and the graph has the buckets below a limit. A growing
share only ever moves users from the SQL pipeline to the graph, and nobody back and forth. What the hash said of a user
(the assigned arm) and what the user received are two columns: a comparison by what was received is biased, since a
user of the graph's arm without a row of the graph gets the SQL pipeline's parts.
"""

from __future__ import annotations

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from holley_assets.ranking.recommendations import WIDE_SCHEMA

BUCKETS = 10_000
ARM, ASSIGNED_ARM = "arm", "assigned_arm"
GRAPH_ARM, SQL_ARM = "graph", "sql"
SERVING_SCHEMA = WIDE_SCHEMA.append(pa.field(ARM, pa.string())).append(pa.field(ASSIGNED_ARM, pa.string()))
# Fifteen of its 64 hexadecimal digits fit an INT64, and BigQuery computes the same with
# MOD(CAST(CONCAT('0x', SUBSTR(TO_HEX(SHA256(CONCAT(salt, ':', email_lower))), 1, 15)) AS INT64), 10000).
_BUCKET = f"CAST('0x' || substr(sha256($salt || ':' || email_lower), 1, 15) AS BIGINT) % {BUCKETS}"


def user_buckets(email_lower: pa.ChunkedArray | pa.Array, salt: str) -> pa.Array:
    """Bucket of each user, int64 [users] from 0 to 9,999: SHA-256 of ``<salt>:<address>``."""
    users = pa.table({"email_lower": email_lower.cast(pa.string())})
    with duckdb.connect() as connection:
        connection.register("users", users)
        # Rows come back in the order of the table; DuckDB keeps it unless told otherwise.
        found = connection.execute(f"SELECT {_BUCKET} AS bucket FROM users", {"salt": salt}).to_arrow_table()
    return found["bucket"].combine_chunks()


def mix_arms(
    graph: pa.Table | None,
    sql: pa.Table,
    *,
    graph_buckets: int,
    assigned_buckets: int | None = None,
    salt: str,
) -> pa.Table:
    """One row a user: the graph's where the user's bucket is below the limit, else the SQL pipeline's.

    A user for whom the graph has no row (too few parts) gets the SQL pipeline's; one for whom that has none
    either gets none.

    Args:
        graph: the graph's wide table; None where nobody gets its parts.
        sql: the SQL pipeline's.
        graph_buckets: buckets whose users get the graph's parts, from 0 (nobody) to 10,000 (everybody).
        assigned_buckets: buckets that are assigned to the graph; None: the same. They are more while the kill switch
            keeps the graph's parts from everybody.
        salt: of the hash.

    Returns:
        a table in :data:`SERVING_SCHEMA`, sorted by e-mail; its last columns name the arm that the user received
        and the one that the hash assigned.
    """
    assigned_buckets = graph_buckets if assigned_buckets is None else assigned_buckets
    if not 0 <= graph_buckets <= assigned_buckets <= BUCKETS:
        raise ValueError(
            f"graph_buckets is {graph_buckets} and assigned_buckets {assigned_buckets}; they must be from 0 to "
            f"{BUCKETS}, the first at most the second"
        )
    if graph is None or graph_buckets == 0:
        mixed = _with_arm(sql, SQL_ARM)
    else:
        chosen = graph.filter(pc.less(user_buckets(graph["email_lower"], salt), graph_buckets))
        others = sql.filter(
            pc.invert(pc.is_in(sql["email_lower"], value_set=chosen["email_lower"].combine_chunks()))
        )
        mixed = pa.concat_tables([_with_arm(chosen, GRAPH_ARM), _with_arm(others, SQL_ARM)])
        mixed = mixed.sort_by("email_lower")
    assigned = _assigned_arms(mixed["email_lower"], assigned_buckets, salt)
    return mixed.append_column(SERVING_SCHEMA.field(ASSIGNED_ARM), assigned)


def is_assigned_by(rows: pa.Table, *, assigned_buckets: int, salt: str) -> bool:
    """Whether the assigned arms in ``rows`` of a serving table are those of so many buckets of this salt."""
    arms = rows[ASSIGNED_ARM].cast(pa.string()).combine_chunks()
    return bool(_assigned_arms(rows["email_lower"], assigned_buckets, salt).equals(arms))


def _assigned_arms(email_lower: pa.ChunkedArray, assigned_buckets: int, salt: str) -> pa.StringArray:
    return pc.if_else(pc.less(user_buckets(email_lower, salt), assigned_buckets), GRAPH_ARM, SQL_ARM)


def _with_arm(table: pa.Table, arm: str) -> pa.Table:
    # Makes and models arrive dictionary-encoded.
    plain = table.select(WIDE_SCHEMA.names).cast(WIDE_SCHEMA)
    return plain.append_column(SERVING_SCHEMA.field(ARM), pa.repeat(pa.scalar(arm, pa.string()), len(plain)))
