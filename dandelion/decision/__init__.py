"""From scores to labels, and the thresholds between them."""
