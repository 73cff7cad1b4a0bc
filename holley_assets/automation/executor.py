"""How steps run: two at a time, each in a fresh process."""

from __future__ import annotations

import dagster as dg

# Each step starts as a fork of a server that has imported what all steps need, which saves each a second or
# two. Torch is left out: three steps use it, and its threads do not survive a fork.
PRELOADED_MODULES = ["holley_assets.definitions", "pyarrow.parquet", "duckdb", "sqlglot"]

two_processes = dg.multiprocess_executor.configured(
    {"max_concurrent": 2, "start_method": {"forkserver": {"preload_modules": PRELOADED_MODULES}}}
)
