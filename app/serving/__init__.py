"""The served models, and running them."""
