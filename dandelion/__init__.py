"""Dandelion: lightweight text classifiers for imbalanced data.

The library half: text in, probability out. It needs NumPy and safetensors alone.
"""

from .artifact import ArtifactError
from .classifier import Classifier, Prediction
from .decision import ThresholdError
from .kernel import KernelError

__all__ = ["ArtifactError", "Classifier", "KernelError", "Prediction", "ThresholdError"]
