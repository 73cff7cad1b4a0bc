"""Where output tables are, in every warehouse."""

from __future__ import annotations

from holley_assets.settings import WORKING_DATASET

OUTPUT_DATASET = WORKING_DATASET

OUTPUT_TABLE = "recommendations"
SIMILAR_PARTS_OUTPUT = "similar_parts"

# In the dataset of the serving table: what an experiment was declared to be, and whom it showed which parts.
DECLARATIONS_TABLE = "experiment_declarations"
EXPOSURES_TABLE = "experiment_exposures"

# Whom an experiment showed parts, as queries read it: the log, or what query shown_exposures makes of it and the sends.
SHOWN_EXPOSURES = "shown_exposures"
