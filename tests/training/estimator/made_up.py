"""Made-up texts that a small network learns in a moment."""

from typing import Any, Final

import numpy as np

from training import DandelionClassifier

WORDS: Final = {
    "ham": ["lunch", "home", "mum", "later"],
    "news": ["vote", "court", "storm", "goal"],
    "spam": ["prize", "win", "free", "claim"],
}

# A small network, no vectors to read, and few updates.
SMALL: Final[dict[str, Any]] = {
    "embeddings": "random",
    "hidden": 8,
    "wide": {"bits": 10},
    "layer_rate": 0.01,
    "epochs": 6,
    "batch_size": 16,
    "random_state": 0,
}


def small(**params: Any) -> DandelionClassifier:
    return DandelionClassifier(**SMALL | params)


def made_up(
    noise: float = 0.0, seed: int = 0, **counts: int
) -> tuple[list[str], np.ndarray[Any, np.dtype[np.str_]]]:
    """Return texts and their classes, shuffled; of the share ``noise`` the words are of another."""
    rng = np.random.default_rng(seed)
    classes = rng.permutation(np.repeat(list(counts), list(counts.values())))
    texts = []
    for one in classes.tolist():
        of = str(rng.choice(list(counts))) if rng.random() < noise else one
        fill = rng.choice(list("abcdefghij"), 3).tolist()
        texts.append(" ".join([*rng.choice(WORDS[of], 4).tolist(), *fill]))
    return texts, classes
