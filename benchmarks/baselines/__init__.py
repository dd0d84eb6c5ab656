"""Programs of the baselines, run in a separate environment (``baselines.txt``)."""
