"""The report's baselines as fitted models; fits are kept in the training cache."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from study import baselines
from study.baselines import BASELINES, Fitted

# Baselines that read subwords or character n-grams: none of them may be on the frontier.
SUBWORD_BASELINES: Final = (
    "TF-IDF words, characters + LinearSVC",
    "TF-IDF words, characters + LR",
    "fastText subwords",
)
FASTTEXT: Final = tuple(name for name in BASELINES if name.startswith("fastText"))

Scorer = Callable[[Sequence[str]], object]


def load(model: str, names: Iterable[str] = BASELINES) -> dict[str, Fitted]:
    """Load the fits of the timed seed; those that are missing are fitted first.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    return {name: BASELINES[name].load(path) for name, path in files(model, names).items()}


def files(model: str, names: Iterable[str]) -> dict[str, Path]:
    """Return the file of each fit of the timed seed; those that are missing are fitted first.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    kept = baselines.model_files(model)
    return {name: kept[name] for name in names}


def predict_alone(fitted: Any) -> Scorer:
    """Return the ``predict`` of a fastText fit, on raw texts.

    The report's fits read texts that Python has split into tokens. This leaves out the splitting,
    so it is the least that fastText can cost.
    """
    model = fitted.model

    def score(texts: Sequence[str]) -> object:
        return model.predict([text.replace("\n", " ") for text in texts])

    return score
