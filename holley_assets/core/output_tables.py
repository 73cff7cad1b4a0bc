"""Where the delivered table is, in every warehouse."""

from __future__ import annotations

from holley_assets.settings import WORKING_DATASET

OUTPUT_DATASET = WORKING_DATASET

OUTPUT_TABLE = "recommendations"
