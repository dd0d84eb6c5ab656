"""Retraining with feedback: read it, check it, learn from it, compare, and write the verdict."""
