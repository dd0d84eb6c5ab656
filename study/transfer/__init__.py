"""What a model is worth on a source that it did not learn from, next to the baselines."""
