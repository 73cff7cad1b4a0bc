"""The warehouse in production."""
