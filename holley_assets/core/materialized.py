"""The type of what an asset returns."""

from typing import TYPE_CHECKING

import dagster as dg

if TYPE_CHECKING:
    Materialized = dg.MaterializeResult[object]
else:
    # Dagster reads signatures: with a type in brackets it takes an asset with checks for one that returns a tuple.
    Materialized = dg.MaterializeResult
