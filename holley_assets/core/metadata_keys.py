"""Keys of the metadata by which steps and runs tell one another something."""

from __future__ import annotations

# Dagster plots this one, and calls the next one the time of a table's last change.
ROW_COUNT = "dagster/row_count"
LAST_UPDATED = "dagster/last_updated_timestamp"
# Runs of one kind of source may be compared by their row counts.
SOURCE_KIND = "source_kind"
# SHA-256 of the file that an asset was written to.
CHECKSUM = "sha256"
# Of the time windows that an asset was made in: most assets depend on them through others alone.
WINDOWS_CHECKSUM = "time_windows_sha256"
MODEL_VERSION = "model_version"
# On the materialization of a table that a rollback put in place: the model that it took away.
ROLLED_BACK_FROM = "rolled_back_from"
# Of 10,000 hash buckets, how many get the graph's parts.
GRAPH_BUCKETS = "graph_buckets"
# As many that the hash assigns to them, whether or not the kill switch keeps them from everybody.
ASSIGNED_BUCKETS = "assigned_buckets"
# Digest of what is hashed before the address: who is in which bucket.
BUCKETS_OF = "buckets_of"
KILL_SWITCH = "kill_switch"
# Of a staged table and of the verdicts on it: the day that its rows are of.
AS_OF = "as_of"
# Why a check that the daemon evaluates has its verdict, in a few words.
REASON = "reason"
# On the event of a run that waits for another's lease: who holds it, and for how long it waits.
WAITS_FOR = "waits_for"
