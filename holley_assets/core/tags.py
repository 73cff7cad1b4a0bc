"""Tags of runs by which a person or a schedule tells a run something."""

from __future__ import annotations

# The run's day, an ISO date. Schedules set it, so that a late run gives the result of its day.
AS_OF_TAG = "holley/as_of"
# A run that trains from nothing, whatever day it is; and what a run started from.
FULL_REBUILD_TAG = "holley/full_rebuild"
STARTED_FROM_TAG = "holley/started_from"
