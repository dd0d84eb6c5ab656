"""The trainer as a classifier of scikit-learn, see docs/guide/scikit-learn.md."""

from .classifier import DandelionClassifier

__all__ = ["DandelionClassifier"]
