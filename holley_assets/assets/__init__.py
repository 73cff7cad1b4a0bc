"""The assets, one file a stage, as the data flows."""
