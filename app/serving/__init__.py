"""The served models, and classifying with them."""
