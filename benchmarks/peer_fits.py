"""The report's peers, fitted once and kept in the training cache."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from study import baselines
from study.baselines import PEERS, TIMED_SEED, Fitted
from training.data.splits import Protocol

# Peers that read subwords or character n-grams: none of them may lie on the frontier.
SUBWORD_PEERS: Final = (
    "TF-IDF words, characters + LinearSVC",
    "TF-IDF words, characters + LR",
    "fastText subwords",
)
FASTTEXT: Final = tuple(name for name in PEERS if name.startswith("fastText"))

Scorer = Callable[[Sequence[str]], object]


def load(model: str, names: Iterable[str] = PEERS) -> dict[str, Fitted]:
    """Load kept fits of the timed seed; only what is not there is fitted first.

    Raises:
        TrainingError: the data set is missing, damaged or too small.
    """
    kept = files(model)
    return {name: PEERS[name].load(kept[name]) for name in names}


@cache
def files(model: str) -> dict[str, Path]:
    """Name the file of each kept fit; what is not there is fitted first."""
    baselines.run_peers(model, (TIMED_SEED,), Protocol.GROUPED)
    # Private there: the cache is keyed by that module's own bytes, and fitting takes an hour.
    homes = baselines._homes(model, Protocol.GROUPED, TIMED_SEED)
    return {name: baselines._model_file(home) for name, home in homes.items()}


def predict_alone(fitted: Any) -> Scorer:
    """Return a fastText fit's own prediction, of texts as they come.

    The report's fits read texts that Python has cut into tokens; this leaves that out, so it is
    the least that fastText can cost.
    """
    model = fitted.model

    def score(texts: Sequence[str]) -> object:
        return model.predict([text.replace("\n", " ") for text in texts])

    return score
