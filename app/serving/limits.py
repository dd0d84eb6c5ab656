"""The limits on texts after normalization, which may make a text up to 18 times as long.

The lengths before normalization are validated with the request. What cannot exceed a limit costs
nothing here: ASCII, which normalization (NFKC) leaves as it is, and texts so short that even the
largest expansion keeps them below it. The engine folds the texts afterwards, which lengthens none.
"""

from collections.abc import Iterator, Sequence

from dandelion.chunks import CHUNK_CHARS, CHUNK_TEXTS
from dandelion.text.tokenizer import MAX_EXPANSION, TextTooLongError, to_nfkc

from .. import errors


class TextLimits:
    """Normalizes texts (`dandelion.text.tokenizer.to_nfkc`) up to the first that exceeds a limit.

    Args:
        max_text_chars: characters of a text at most, after normalization.
        max_request_chars: characters of all texts of a request at most, after normalization.
    """

    def __init__(self, max_text_chars: int, max_request_chars: int) -> None:
        self.max_text_chars = max_text_chars
        self.max_request_chars = max_request_chars
        self.always_met = min(max_text_chars, max_request_chars) // MAX_EXPANSION
        """Texts of up to this many characters together are within the limits, whatever they are."""

    def normalize(self, texts: Sequence[str], max_chars: int) -> list[str] | None:
        """Normalize the texts of a short request.

        Args:
            texts: raw.
            max_chars: stop beyond this many characters in all.

        Returns:
            The texts in NFKC; None if they have more than ``max_chars`` characters or exceed a
            limit.
        """
        max_chars = min(max_chars, self.max_request_chars)
        limit = min(max_chars, self.max_text_chars)
        found = []
        chars = 0
        try:
            for text in texts:
                if not text.isascii():
                    text = to_nfkc(text, limit)  # noqa: PLW2901
                found.append(text)
                chars += len(text)
                if chars > max_chars:
                    return None
        except TextTooLongError:
            return None
        return found

    def chunks(
        self, texts: Sequence[str], failed: dict[int, str] | None = None
    ) -> Iterator[list[str]]:
        """Yield the texts in NFKC in chunks, at least one, of bounded size: `classifier.chunks`.

        Args:
            texts: raw.
            failed: where to put the error of a text that exceeds its limit, by its position; the
                text is left out. It counts in all texts with the largest allowed length.

        Raises:
            Problem: 422, names the first text that exceeds a limit; with ``failed``, only that of
                all texts.
        """
        chunk: list[str] = []
        chars, left = 0, self.max_request_chars
        for position, text in enumerate(texts):
            if not text.isascii():
                try:
                    text = self._normalized(position, text, left)  # noqa: PLW2901
                except errors.Problem as problem:
                    if failed is None or left < self.max_text_chars:
                        raise
                    failed[position] = problem.errors[0].detail
                    left -= self.max_text_chars
                    continue
            left -= len(text)
            if left < 0:
                raise errors.texts_too_long(position, self.max_request_chars)
            if chunk and (chars + len(text) > CHUNK_CHARS or len(chunk) == CHUNK_TEXTS):
                yield chunk
                chunk, chars = [], 0
            chunk.append(text)
            chars += len(text)
        yield chunk

    def _normalized(self, position: int, text: str, left: int) -> str:
        try:
            return to_nfkc(text, min(self.max_text_chars, left))
        except TextTooLongError:
            if left < self.max_text_chars:
                raise errors.texts_too_long(position, self.max_request_chars) from None
            raise errors.text_too_long(position, self.max_text_chars) from None
