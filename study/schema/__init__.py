"""The JSON files of ``docs/results/``, typed: what the pages and plots are made of.

A field that does not apply is null and never left out. See `study.storage` for reading and writing.
"""
