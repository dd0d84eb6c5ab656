"""Made-up out-of-fold logits of three sources."""

import numpy as np

from training.data.datasets import Dataset
from training.out_of_fold import LONG_WORDS, LongTexts, OutOfFold

NAMES = ("chat", "forum", "scams")


def held_out(penalty: float = 0.0, texts: int = 4000) -> OutOfFold:
    """Return logits, and long texts whose largest logits grow by ``penalty`` · log(windows)."""
    rng = np.random.default_rng(0)
    origins = np.arange(texts) % 3
    labels = ((origins == 2) | (rng.random(texts) < 0.1)).astype(np.int64)
    logits = rng.normal(labels * 4.0 - 2 + 0.5 * (origins == 1), 1).astype(np.float32)
    kinds = [(words, origin) for words in LONG_WORDS for origin in (0, 1) for _ in range(500)]
    words, its = np.array(kinds).T
    windows = 1 + -(-(words - 30) // 15)
    # As the short harmless texts, each source for itself, but for the growth.
    steps = (np.arange(len(words)) % 500 + 0.5) / 500
    short = [np.quantile(logits[(origins == one) & (labels == 0)], steps) for one in (0, 1)]
    base = np.where(its == 0, *[np.resize(values, len(words)) for values in short])
    return OutOfFold(
        rows=np.arange(texts),
        labels=labels,
        origins=origins,
        source_names=NAMES,
        logits=logits,
        windows=np.ones(texts, dtype=np.int64),
        folds=np.arange(texts) % 5,
        epochs=(3, 4, 3, 6, 3),
        long_texts=LongTexts(
            words, its, (base + penalty * np.log(windows)).astype(np.float32), windows
        ),
    )


def dataset_of(found: OutOfFold, *, generated: frozenset[str] = frozenset()) -> Dataset:
    """Return a data set of those texts, all different."""
    return Dataset(
        "made up",
        tuple(f"text {row}" for row in found.rows.tolist()),
        found.labels,
        ("no", "yes"),
        "",
        origins=found.origins,
        source_names=found.source_names,
        generated=generated,
    )
