"""Which texts to label: a sample that is stratified by score.

Where positive texts are rare, a random sample holds hardly any. Strata by score, from each of which
equally many texts are drawn, hold most positive texts of a model that ranks well, and every text
still has a known probability of being drawn, so estimates for all texts stay possible (Cochran
1977, *Sampling Techniques*, ch. 5; for classifiers Bennett & Carvalho 2010, "Online stratified
sampling: evaluating classifiers at web-scale").

The strata are bands of the logit, with ends on the grid of the evidence, chosen by the logits
alone. Of the highest band nearly all texts are drawn, and each following one has a constant factor
more texts, as suits a skewed population (Gunning & Horgan 2004, "A new algorithm for the
construction of stratum boundaries in skewed populations", who let the ends grow by a constant
factor).
"""

import string
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .decision.evidence import CELLS, cells

STRATA: Final = 6
"""Strata at most. Each costs a share of the confidence, see `operating_points`."""

LEAST_PER_STRATUM: Final = 25

_SEPARATOR: Final = "/"


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Texts that were drawn, in random order.

    Attributes:
        rows: int64[n], their positions.
        strata: the letter of each one's stratum; letters do not follow the order of the strata.
        weights: float64[n], how many texts each stands for: those of its stratum by those drawn.
        sizes: letter → texts of the stratum and texts drawn, from the lowest logits to the highest.
    """

    rows: NDArray[np.int64]
    strata: tuple[str, ...]
    weights: NDArray[np.float64]
    sizes: dict[str, tuple[int, int]]


def draw(logits: NDArray[np.floating[Any]], count: int, *, seed: int = 0) -> Sample:
    """Draw texts, without replacement.

    Args:
        logits: float[n], uncalibrated.
        count: texts to draw; all if there are fewer.
        seed: of what is drawn, of its order and of the letters.

    Raises:
        ValueError: ``count`` is less than 1, or there is no text.

    Example:
        >>> import numpy as np
        >>> sample = draw(np.linspace(-8, 4, 10_000), 300)
        >>> len(sample.rows), round(sample.weights.sum())
        (300, 10000)
    """
    if count < 1:
        raise ValueError(f"{count} texts are to be drawn; expected at least 1")
    if not len(logits):
        raise ValueError("there is no text to draw from")
    count = min(count, len(logits))
    rng = np.random.default_rng(seed)
    found = cells(logits)
    bands = np.digitize(found, _ends(np.bincount(found, minlength=CELLS), count))  # 0: the lowest
    sizes = np.bincount(bands)
    drawn = _allocate(sizes, count)
    letters = rng.permutation(list(string.ascii_lowercase[: len(sizes)])).tolist()
    members = [
        rng.choice(np.flatnonzero(bands == band), size, replace=False)
        for band, size in enumerate(drawn)
    ]
    rows = rng.permutation(np.concatenate(members))
    return Sample(
        rows,
        tuple(letters[band] for band in bands[rows]),
        (sizes / drawn)[bands[rows]],
        {
            letter: (int(size), int(part))
            for letter, size, part in zip(letters, sizes, drawn, strict=True)
        },
    )


def _ends(counts: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return the cells at which bands but the lowest begin, ascending.

    Args:
        counts: int64[602], texts in each cell.
        count: texts to draw.
    """
    bands = min(STRATA, max(1, count // LEAST_PER_STRATUM))
    total = int(counts.sum())
    whole = count / bands  # texts of the highest band
    factor = _factor(bands, total / whole)
    wanted = np.cumsum(whole * factor ** np.arange(bands - 1))
    from_above = np.cumsum(counts[::-1])[::-1]  # texts in this cell and above
    starts = {int(np.argmin(np.abs(from_above - size))) for size in wanted}
    # A band without texts is none; nor is what is left below the lowest one.
    kept: list[int] = []
    for start in sorted(starts):
        below = total if not kept else int(from_above[kept[-1]])
        if 0 < from_above[start] < below:
            kept.append(start)
    return np.array(kept, dtype=np.int64)


def _factor(terms: int, total: float) -> float:
    """Return the factor, at least 1, of a geometric series from 1 with a given sum."""
    low, high = 1.0, max(1.0, total)
    for _ in range(100):
        middle = (low + high) / 2
        if float(np.sum(middle ** np.arange(terms))) < total:
            low = middle
        else:
            high = middle
    return low


def _allocate(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many texts to draw from each stratum: equally many, or all it has."""
    drawn = np.zeros(len(sizes), dtype=np.int64)
    left = count
    order = np.argsort(sizes, kind="stable")
    for position, stratum in enumerate(order):
        drawn[stratum] = min(int(sizes[stratum]), -(-left // (len(order) - position)))
        left -= int(drawn[stratum])
    return drawn


def stratum_name(version: str, letter: str) -> str:
    """Return the name of a stratum of scores that an artifact gave.

    Args:
        version: of the artifact.
        letter: of the stratum.

    Example:
        >>> stratum_name("0123456789ab", "c")
        '0123456789ab/c'
    """
    return f"{version}{_SEPARATOR}{letter}"


def is_band(stratum: str, version: str) -> bool:
    """Return whether a stratum is a band of the scores of an artifact."""
    return stratum.startswith(f"{version}{_SEPARATOR}")
