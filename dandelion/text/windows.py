"""Windows of long texts, so that what stands in one place is not diluted by the rest.

A network averages over a text. A harmless page with one abusive sentence, or a fraud followed by a
hundred ordinary words, would average to harmless. A long text is therefore cut into overlapping
windows, each of which is scored like a text:

    logit = max over its k windows of their logits − penalty · log(k)

The penalty is fitted, because the largest of many logits is larger by chance. A text of one window
keeps its logit.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

MAX_WORDS: Final = 1000

# What has more characters between white space counts as several words.
MAX_WORD_CHARS: Final = 40

_WORD = re.compile(rf"\S{{1,{MAX_WORD_CHARS}}}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """How long texts are cut, and how their windows become one logit.

    Attributes:
        words: of a window, which is also the longest text that stays whole.
        stride: words from the start of a window to that of the next; at least half of ``words``, so
            that a text costs at most about twice as much.
        penalty: c, at least 0; subtracted from the largest logit, times the logarithm of the number
            of windows.

    Raises:
        ValueError: a value is out of range.
    """

    words: int = 30
    stride: int = 15
    penalty: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.stride <= self.words <= min(2 * self.stride, MAX_WORDS):
            raise ValueError(
                f"words is {self.words} and stride {self.stride}; expected words of at most "
                f"{MAX_WORDS}, and a stride from half of them to all"
            )
        if not 0 <= self.penalty <= 100:
            raise ValueError(f"penalty is {self.penalty}; expected 0 to 100")

    def cut(self, text: str) -> list[str]:
        """Return the windows of a clean text, at least one; together they cover all its words.

        Example:
            >>> Windows(words=2, stride=1).cut("one two three")
            ['one two', 'two three']
        """
        return [text[start:stop] for start, stop in self.spans(text)]

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Return the start and the stop of each window of a clean text, see `cut`."""
        whole = [(0, len(text))]
        if len(text) <= 2 * self.words:  # a word needs a character and white space
            return whole
        # An upper bound of the number of words, counted in C.
        if len(text.split()) + len(text) // MAX_WORD_CHARS <= self.words:
            return whole
        words = [match.span() for match in _WORD.finditer(text)]
        if len(words) <= self.words:
            return whole
        count = 1 + -(-(len(words) - self.words) // self.stride)
        return [
            (words[start][0], words[min(start + self.words, len(words)) - 1][1])
            for start in range(0, count * self.stride, self.stride)
        ]

    def combine(
        self, logits: NDArray[np.floating[Any]], counts: Sequence[int]
    ) -> NDArray[np.float32]:
        """Return the logit of each text from those of its windows, float32[n].

        Args:
            logits: float32[windows], text by text.
            counts: n numbers of windows, each at least 1.
        """
        sizes = np.asarray(counts)
        starts = np.cumsum(sizes) - sizes
        largest = np.maximum.reduceat(logits, starts) if len(sizes) else logits
        combined: NDArray[np.float32] = (largest - self.penalty * np.log(sizes)).astype(np.float32)
        return combined
