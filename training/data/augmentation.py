"""Changed copies of training texts, so that a change of spelling or length decides nothing.

Both labels are copied alike: a change that only abusive texts had would be evidence of abuse.
Copies are made of a training fold after the split, so none is like a text that is judged.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from .datasets import Dataset

Kind = Literal["ordinary_words", "leet", "repeated_letters"]

KINDS: Final[tuple[Kind, ...]] = get_args(Kind)

# As many words of a text as are kept where others are put next to it, and as many as are put there.
_KEPT_WORDS: Final = 40
_ADDED_WORDS: Final = (10, 20, 20, 30)
_CHANGED_WORDS: Final = 0.5  # share of the words of three letters and more

_LEET: Final = str.maketrans("aeiosAEIOS", "4310543105")


def extended(
    dataset: Dataset, train: NDArray[np.int64], kinds: Sequence[Kind], share: float, seed: int
) -> tuple[Dataset, NDArray[np.int64]]:
    """Add changed copies of training texts to a data set.

    A copy is drawn as often as its original; each is changed in one of the kinds.

    Args:
        dataset: texts, labels and, if there are any, origins and weights.
        train: int64, the rows that may be copied.
        kinds: how copies are changed, each equally often.
        share: of the rows that are copied, chosen at random.
        seed: of choice and changes; equal arguments return equal texts.

    Returns:
        The data set with copies behind its own texts, which keep their rows; and the rows to learn
        from, int64.
    """
    rng = random.Random(seed)  # noqa: S311
    chosen = np.array(sorted(rng.sample(train.tolist(), round(share * len(train)))), dtype=np.int64)
    ordinary = [text.split() for text in dataset.take(train[dataset.labels[train] == 0])[0]]
    copies = tuple(
        changed(dataset.texts[row], rng.choice(kinds), ordinary, rng) for row in chosen.tolist()
    )
    origins, weights = dataset.origins, dataset.weights
    added = np.arange(len(dataset.texts), len(dataset.texts) + len(copies))
    grown = replace(
        dataset,
        texts=dataset.texts + copies,
        labels=np.concatenate([dataset.labels, dataset.labels[chosen]]),
        origins=None if origins is None else np.concatenate([origins, origins[chosen]]),
        weights=None if weights is None else np.concatenate([weights, weights[chosen]]),
    )
    return grown, np.concatenate([train, added])


def changed(text: str, kind: Kind, ordinary: Sequence[Sequence[str]], rng: random.Random) -> str:
    """Change a text in one way.

    Args:
        text: any.
        kind: ``ordinary_words`` puts 10 to 30 words of harmless texts behind or before the text,
            of which 40 words stay; ``leet`` writes digits for letters, and ``repeated_letters``
            one letter three times, each in half of the words.
        ordinary: the words of harmless texts.
        rng: of what is drawn.
    """
    if kind == "ordinary_words":
        kept = text.split()[:_KEPT_WORDS]
        added = _drawn(ordinary, rng.choice(_ADDED_WORDS), rng)
        return " ".join(added + kept if rng.random() < 0.4 else kept + added)
    change = _leet if kind == "leet" else _repeated
    return " ".join(
        change(word) if len(word) > 2 and rng.random() < _CHANGED_WORDS else word
        for word in text.split()
    )


def _drawn(ordinary: Sequence[Sequence[str]], count: int, rng: random.Random) -> list[str]:
    drawn: list[str] = []
    for _ in range(count):  # empty texts add nothing
        if len(drawn) >= count or not ordinary:
            break
        drawn += rng.choice(ordinary)
    return drawn[:count]


def _leet(word: str) -> str:
    return word.translate(_LEET)


def _repeated(word: str) -> str:
    return word[:2] + 2 * word[1] + word[2:]
