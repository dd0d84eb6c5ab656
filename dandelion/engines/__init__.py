"""From encoded text to scores: NumPy defines them, the compiled engine equals it."""
