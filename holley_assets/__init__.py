"""Part recommendations on Holley's vehicle fitment graph, as a Dagster asset graph."""
