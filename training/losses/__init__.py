"""Losses, a function each, and their registry."""
