"""Sample data in the shape of the seven source tables, with a known truth behind it."""

from holley_assets.sample_data.generate import SampleSummary, generate_sample
from holley_assets.sample_data.oracle import oracle_scores, oracle_user_scores

__all__ = ["SampleSummary", "generate_sample", "oracle_scores", "oracle_user_scores"]
