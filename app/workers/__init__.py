"""The processes that serve."""
