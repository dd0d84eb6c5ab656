"""Labelled texts: data sets, custom files, and how they are split."""
