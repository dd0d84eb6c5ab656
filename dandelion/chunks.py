"""Batches of texts in chunks that bound the memory of their encoding."""

from collections.abc import Iterator, Sequence
from typing import Final

# The grams of a text take tens of bytes per character. Large batches are split into chunks that fit
# the processor's cache.
CHUNK_CHARS: Final = 2**17
CHUNK_TEXTS: Final = 256


def chunks(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Split a batch into chunks, at least one, that bound the memory of their encoding."""
    if is_one_chunk(texts):
        yield texts
        return
    start, chars = 0, 0
    for stop, text in enumerate(texts):
        if stop > start and (chars + len(text) > CHUNK_CHARS or stop - start == CHUNK_TEXTS):
            yield texts[start:stop]
            start, chars = stop, 0
        chars += len(text)
    yield texts[start:]


def is_one_chunk(texts: Sequence[str]) -> bool:
    """Return whether a batch need not be split."""
    return len(texts) <= CHUNK_TEXTS and sum(map(len, texts)) <= CHUNK_CHARS


def placed_chunks(texts: Sequence[str]) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the chunks of a batch with their place in it."""
    start = 0
    for chunk in chunks(texts):
        yield start, chunk
        start += len(chunk)


def check_texts(texts: Sequence[str]) -> None:
    """Check that a batch is a sequence of strings.

    Raises:
        TypeError: it is one string, or an item is not a string.
    """
    if isinstance(texts, str):
        raise TypeError("texts is one string; expected a sequence of strings: [text]")
    if set(map(type, texts)) <= {str}:
        return
    for position, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"texts[{position}] is {type(text).__name__}; expected str")
