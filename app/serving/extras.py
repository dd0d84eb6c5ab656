"""What a request wants in addition to decisions: explanations, and errors in the place of texts."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, Self

from dandelion import Classifier
from dandelion.explanation import Explanation

from .. import errors
from .pool import Check

# Explained one by one, a text takes some 130 to 150 times as long as its score in a batch
# (benchmarks.explain).
MAX_EXPLAINED_TEXTS: Final = 32
MAX_EXPLAINED_CHARS: Final = 100_000


class Extras(NamedTuple):
    """What a request wants in addition, then what it gets.

    Attributes:
        top: how many spans of each text are listed; 0 for no explanations.
        is_reporting: whether a text with an error is left out, and the others are classified.
        errors: position in the request → what is wrong with the text.
        explanations: of the classified texts, in their order.
    """

    top: int = 0
    is_reporting: bool = False
    errors: Mapping[int, str] = {}
    explanations: Sequence[Explanation] = ()

    def check(self, texts: Sequence[str]) -> None:
        """Check that the texts, as they were sent, can be explained, if that is wanted.

        Raises:
            Problem: 422, there are too many of them or they are too long.
        """
        if not self.top:
            return
        if len(texts) > MAX_EXPLAINED_TEXTS or sum(map(len, texts)) > MAX_EXPLAINED_CHARS:
            raise _too_much()

    def checked(self, chunks: Iterable[Sequence[str]]) -> Iterator[Sequence[str]]:
        """Yield the texts to explain, once normalized; normalization may make them longer.

        Raises:
            Problem: 422, they are too long.
        """
        left = MAX_EXPLAINED_CHARS
        for chunk in chunks:
            left -= sum(map(len, chunk))
            if left < 0:
                raise _too_much()
            yield chunk

    def without(self, failed: Mapping[int, str]) -> Self:
        """Add the errors of texts, by their position among those that had none before."""
        if not failed:
            return self
        missing = set(self.errors)
        found = dict(self.errors)
        position = 0
        for place in range(max(failed) + 1):
            while position in missing:
                position += 1
            if place in failed:
                found[position] = failed[place]
            position += 1
        return self._replace(errors=found)

    def explained(self, classifier: Classifier, texts: Sequence[str], check: Check) -> Self:
        """Add explanations of the classified texts.

        Args:
            classifier: of the model.
            texts: raw, those without an error.
            check: called before each text; may end it.
        """
        found = []
        for text in texts:
            check()
            found += classifier.explain([text], self.top)
        return self._replace(explanations=found)


def _too_much() -> errors.Problem:
    return errors.too_much_to_explain(MAX_EXPLAINED_TEXTS, MAX_EXPLAINED_CHARS)
