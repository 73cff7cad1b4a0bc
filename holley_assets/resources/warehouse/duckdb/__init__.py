"""The warehouse on this machine."""
