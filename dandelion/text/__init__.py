"""From text to token ids, grams and surface features."""
