"""Texts in batches that the service accepts, encoded once."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self

# Half of a pair, which no UTF-8 can hold.
_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class Batch(NamedTuple):
    """Texts of one request.

    Attributes:
        first: the position of the first text among all those of the call.
        texts: each as a string in JSON.
    """

    first: int
    texts: tuple[bytes, ...]

    @property
    def size(self) -> int:
        """The size in a request, in bytes."""
        return sum(map(len, self.texts)) + len(self.texts)

    def split(self, at: int) -> tuple[Self, Self]:
        """Return the batches before and from a text."""
        return (
            self._replace(texts=self.texts[:at]),
            self._replace(first=self.first + at, texts=self.texts[at:]),
        )


class Limits:
    """How large a batch may be; lowered when the service refuses one.

    Args:
        max_texts: the number of texts at most.
        max_bytes: the size of the texts in JSON at most; a single text may be larger.

    Raises:
        ValueError: one of them is not positive.
    """

    def __init__(self, max_texts: int, max_bytes: int) -> None:
        for name, value in (("max_texts", max_texts), ("max_bytes", max_bytes)):
            if value < 1:
                raise ValueError(f"{name} is {value}; expected at least 1")
        self.max_texts = max_texts
        self.max_bytes = max_bytes

    def excess(self, batch: Batch) -> int | None:
        """Return where to split a batch that is too large; None if it is not."""
        texts = len(batch.texts)
        if texts > self.max_texts:
            return self.max_texts
        return texts // 2 if texts > 1 and batch.size > self.max_bytes else None


class Batcher:
    """Collects texts into batches, in bounded memory: one batch.

    Args:
        limits: on a batch, which may change in the meantime.
        max_texts: the number of texts at most, if it is to be smaller than the limit.
        max_bytes: the size of the texts at most, likewise.
    """

    def __init__(self, limits: Limits, max_texts: int, max_bytes: int) -> None:
        self._limits = limits
        self._max_texts = max_texts
        self._max_bytes = max_bytes
        self._first = 0
        self._texts: list[bytes] = []
        self._size = 0

    def add(self, text: object) -> Batch | None:
        """Add a text; return the batch before it, if that is full.

        Raises:
            TypeError: it is no string.
            ValueError: it has half of a surrogate pair.
        """
        position = self._first + len(self._texts)
        encoded = _encode(text, position)
        size = len(encoded) + 1
        is_full = len(self._texts) >= min(self._limits.max_texts, self._max_texts) or (
            self._size + size > min(self._limits.max_bytes, self._max_bytes)
        )
        batch = self.rest() if is_full else None
        self._texts.append(encoded)
        self._size += size
        return batch

    def rest(self) -> Batch | None:
        """Return what was collected, if anything."""
        if not self._texts:
            return None
        batch = Batch(self._first, tuple(self._texts))
        self._first += len(self._texts)
        self._texts, self._size = [], 0
        return batch


def iterated(texts: Iterable[str]) -> Iterator[str]:
    """Return an iterator over texts.

    Raises:
        TypeError: it is one string, or nothing to iterate over.
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected several: [text]")
    return iter(texts)


def _encode(text: object, position: int) -> bytes:
    if not isinstance(text, str):
        raise TypeError(f"text {position} is {type(text).__name__}; expected str")
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError(f"text {position} has half of a surrogate pair, which UTF-8 cannot hold")
    return json.dumps(text, ensure_ascii=False).encode()
