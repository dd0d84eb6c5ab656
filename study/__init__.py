"""The questions of the paper and ours, answered by experiments: ``python -m study``."""
