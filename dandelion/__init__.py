"""Dandelion: lightweight text classifiers for imbalanced data.

The library half: text in, probability out. It needs NumPy and safetensors alone.
"""

from .classifier import Classifier, Prediction
from .decision.rule import ThresholdError
from .engines.library import KernelError
from .manifest import ArtifactError

__all__ = ["ArtifactError", "Classifier", "KernelError", "Prediction", "ThresholdError"]
