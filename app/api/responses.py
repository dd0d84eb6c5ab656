"""The answer to a request to classify, written as bytes.

An object a text, validated and serialised again, costs more than the network. So whatever does not
change from text to text is encoded once a model, and only the scores are encoded a request, all of
a piece at once. `ClassifyAnswer` and `MulticlassAnswer` in `schemas` say what comes out.
"""

from collections.abc import Sequence
from itertools import chain
from operator import add
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_json

from dandelion.manifest import Manifest


class Piece(NamedTuple):
    """The decisions on some texts.

    Attributes:
        results: JSON, without the brackets of the list.
        labels: a position in the manifest's ``labels`` a text.
        scores: float32[n]: the positive label's; beyond two labels that of the label given.
    """

    results: bytes
    labels: Sequence[int]
    scores: NDArray[np.float32]


class Writer:
    """Writes the answers of one artifact."""

    def __init__(self, manifest: Manifest) -> None:
        identity = {name: getattr(manifest, name) for name in ("model", "variant", "version")}
        self._head = to_json(identity)[:-1] + b',"threshold":'
        labels = [to_json(label) for label in manifest.labels]
        self._results = [b'{"label":' + label + b',"score":' for label in labels]
        self._keys = [label + b":" for label in labels]

    def piece(self, scores: NDArray[np.float32], threshold: float | None) -> Piece:
        """Decide and write; scores: float32[n], or float32[n, k] beyond two labels."""
        if threshold is None:
            return self._likeliest(scores)
        # In Python's floats, which are float64 as `dandelion.decision.decide` demands: for the
        # usual one text that is cheaper than NumPy's calls.
        values: list[float] = scores.tolist()
        labels = [value >= threshold for value in values]
        heads = [self._results[label] for label in labels]
        return Piece(b"},".join(map(add, heads, _numbers(values))) + b"}", labels, scores)

    def _likeliest(self, scores: NDArray[np.float32]) -> Piece:
        rows: list[list[float]] = scores.tolist()
        best: list[int] = scores.argmax(axis=1).tolist()
        numbers = _numbers(list(chain.from_iterable(rows)))
        width = len(self._keys)
        results = []
        for row, label in enumerate(best):
            of_row = numbers[row * width : (row + 1) * width]
            each = b",".join(map(add, self._keys, of_row))
            results.append(b'%b%b,"scores":{%b}}' % (self._results[label], of_row[label], each))
        return Piece(b",".join(results), best, scores.max(axis=1))

    def answer(self, pieces: Sequence[Piece], threshold: float | None) -> bytes:
        """Put an answer together."""
        results = b",".join([piece.results for piece in pieces])
        return self._head + to_json(threshold) + b',"results":[' + results + b"]}"


def _numbers(values: list[float]) -> list[bytes]:
    """Encode floats, each in the fewest digits that give the same float64 again."""
    return to_json(values)[1:-1].split(b",")
