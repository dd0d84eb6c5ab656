"""The series of what texts consist of: words, unknown words, or nothing that could be judged."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from dandelion.decision import buckets

from .counters import MANY, Counter, Family, Histogram, Kind, SharedCounters

if TYPE_CHECKING:
    from numpy.typing import NDArray

_UNKNOWN_WORDS: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_unknown_word_ratio",
    "Share of the words of a text that the model does not know, of texts with words.",
    ("model",),
    buckets.UNKNOWN,
)
_WORDS: Final = Family(
    Kind.HISTOGRAM,
    "dandelion_text_words",
    "Words of a text; where windows of a long text overlap, they count in each.",
    ("model",),
    buckets.WORDS,
)
_NO_CONTENT: Final = Family(
    Kind.COUNTER,
    "dandelion_no_content_texts",
    "Classified texts without any word.",
    ("model",),
)
FAMILIES: Final = (_UNKNOWN_WORDS, _WORDS, _NO_CONTENT)


@dataclass(frozen=True, slots=True)
class Content:
    """The series of one model.

    Attributes:
        words: of a text.
        unknown: the share of them that is unknown, of texts with words.
        none: texts without words.
    """

    words: Histogram
    unknown: Histogram
    none: Counter

    @classmethod
    def of(cls, model: str, counters: SharedCounters) -> "Content":
        """Create the series of a model."""
        return cls(
            counters.histogram(_WORDS, model),
            counters.histogram(_UNKNOWN_WORDS, model),
            counters.counter(_NO_CONTENT, model),
        )

    def observe(self, words: Sequence[int]) -> None:
        """Record the texts of one batch.

        Args:
            words: the number of words of each text and of the known ones, in turn.
        """
        numbers: Sequence[float] | NDArray[np.float64] = words[::2]
        shares: Sequence[float] | NDArray[np.float64]
        if len(numbers) < MANY:
            pairs = zip(words[::2], words[1::2], strict=True)
            shares = [1 - known / every for every, known in pairs if every]
        else:
            numbers, known_words = np.asarray(words, dtype=np.float64).reshape(-1, 2).T
            has_words = numbers > 0
            shares = 1 - known_words[has_words] / numbers[has_words]
        self.words.observe_many(numbers)
        self.unknown.observe_many(shares)
        if len(shares) < len(numbers):
            self.none.inc(len(numbers) - len(shares))
