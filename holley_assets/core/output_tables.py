"""Where output tables are, in every warehouse."""

from __future__ import annotations

from holley_assets.settings import LOG_TABLES, WORKING_DATASET

OUTPUT_DATASET = WORKING_DATASET

OUTPUT_TABLE = "recommendations"
SIMILAR_PARTS_OUTPUT = "similar_parts"

# In the dataset of the serving table.
DECLARATIONS_TABLE, EXPOSURES_TABLE = LOG_TABLES

# Whom an experiment showed parts, as queries read it: the log, or what query shown_exposures makes of it and the sends.
SHOWN_EXPOSURES = "shown_exposures"
