"""Dandelion: lightweight text classifiers for imbalanced data.

The library turns texts into scores and labels. It needs only NumPy and safetensors.

Example:
    >>> from dandelion import Classifier
    >>> spam = Classifier.load("artifacts/spam/dice")
    >>> [prediction.label for prediction in spam.classify(["WIN a FREE prize! Call now"])]
    ['spam']
"""

from .classifier import Classifier
from .decision.notices import Notice
from .decision.operating_points import InfeasibleError, OperatingPointError
from .decision.policy import Policy, PolicyError
from .decision.prediction import Prediction
from .decision.rule import Decision, ThresholdError
from .engines.library import KernelError
from .evaluation import Evaluation, evaluate
from .labelled import EvaluationError
from .manifest import ArtifactError
from .policy_file import PolicyFileError
from .serving import ServingError
from .tables import TableError

__all__ = [
    "ArtifactError",
    "Classifier",
    "Decision",
    "Evaluation",
    "EvaluationError",
    "InfeasibleError",
    "KernelError",
    "Notice",
    "OperatingPointError",
    "Policy",
    "PolicyError",
    "PolicyFileError",
    "Prediction",
    "ServingError",
    "TableError",
    "ThresholdError",
    "evaluate",
]
