"""From encoded text to scores: NumPy defines them, the compiled engine computes the same."""
