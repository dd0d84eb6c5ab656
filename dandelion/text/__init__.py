"""From text to tokens, ids, grams and surface."""
