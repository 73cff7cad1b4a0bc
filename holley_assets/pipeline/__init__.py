"""What a run computes from its settings, without Dagster: assets, the console and the benchmarks call it."""
