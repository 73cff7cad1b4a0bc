"""What runs the queries and holds the output tables: one interface, DuckDB on this machine, BigQuery in production."""
