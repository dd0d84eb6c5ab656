"""The fixtures of training, for the study stands on it."""

from ..training.conftest import cache, data_dir, quick_folds, tiny, tiny_type

__all__ = ["cache", "data_dir", "quick_folds", "tiny", "tiny_type"]
