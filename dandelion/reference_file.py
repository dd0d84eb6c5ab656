"""``reference.json``: of how many words held-out texts consist, without the texts.

Counts of an artifact's test fold, which it did not learn from: in `buckets`, by source and label,
of one text of each group of near copies, without what templates made. With them the service's
traffic is compared. The file lies in the artifact's directory, but is no part of it, as
``evaluation.json`` is not: its content hash does not cover it, and without it an artifact is
complete.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .decision import buckets
from .files import read_bounded
from .json_values import loads
from .manifest import Manifest
from .writing import write_atomically

REFERENCE_FILE: Final = "reference.json"
FORMAT: Final = "dandelion-reference"
FORMAT_VERSION: Final = 1
MAX_BYTES: Final = 2**20

Counts = NDArray[np.int64]

_BOUNDS: Final = {"words": buckets.WORDS, "unknown": buckets.UNKNOWN}


@dataclass(frozen=True, slots=True, eq=False)
class ContentCounts:
    """Counts of texts by their numbers of words.

    Attributes:
        words: source → int64[labels, buckets], by the number of words in `buckets.WORDS`.
        unknown: source → int64[labels, buckets], by the share of unknown words in
            `buckets.UNKNOWN`; of texts with words.
    """

    words: Mapping[str, Counts]
    unknown: Mapping[str, Counts]

    @classmethod
    def of(
        cls,
        word_counts: NDArray[np.int64],
        labels: NDArray[np.int64],
        origins: Sequence[str],
        label_count: int,
    ) -> "ContentCounts":
        """Count texts.

        Args:
            word_counts: int64[n, 2], the words of each text and the known ones.
            labels: int64[n], positions of labels.
            origins: the source of each text.
            label_count: how many labels there are.
        """
        names = np.array(origins)
        words, unknown = {}, {}
        for source in dict.fromkeys(origins):
            of_labels = [
                word_counts[(names == source) & (labels == label)] for label in range(label_count)
            ]
            words[source] = np.stack(
                [buckets.counts(one[:, 0], buckets.WORDS) for one in of_labels]
            )
            unknown[source] = np.stack(
                [buckets.counts(_unknown_shares(one), buckets.UNKNOWN) for one in of_labels]
            )
        return cls(words, unknown)

    def shares(self, label_shares: NDArray[np.float64] | None = None) -> tuple[Any, Any]:
        """Return the shares of the buckets of words and of unknown words, float64[buckets] each.

        Args:
            label_shares: float64[labels], the shares of the labels; None for those of the texts.
        """
        words, unknown = (
            np.sum([*table.values()], axis=0, dtype=np.float64)
            for table in (self.words, self.unknown)
        )
        if label_shares is not None:
            # Of each label's texts, as many have words as in `words`.
            scale = label_shares / np.maximum(words.sum(axis=1), 1)
            words, unknown = words * scale[:, None], unknown * scale[:, None]
        return tuple(
            table.sum(axis=0) / max(table.sum(), np.finfo(np.float64).tiny)
            for table in (words, unknown)
        )


def word_counts(classifier: Any, texts: Sequence[str]) -> NDArray[np.int64]:
    """Count the words of texts, and those that a classifier knows: int64[n, 2].

    A word is a token with a letter that is no link, mention or run of digits. Of a text that is
    cut, the words of all windows count.

    Args:
        classifier: a `dandelion.Classifier`.
        texts: raw.
    """
    found: list[int] = []
    for start in range(0, len(texts), _CHUNK):
        words, _ = classifier.encoded_words(classifier.encode(texts[start : start + _CHUNK]))
        found.extend(words)
    return np.array(found, dtype=np.int64).reshape(-1, 2)


_CHUNK: Final = 1000


def _unknown_shares(word_counts: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return 1 − known / all of the texts with words, as the service computes it."""
    with_words = word_counts[word_counts[:, 0] > 0]
    return 1 - with_words[:, 1] / with_words[:, 0]


def write(counts: ContentCounts, directory: Path, manifest: Manifest) -> Path:
    """Write the file next to an artifact, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    sources = {
        source: [
            {"words": words.tolist(), "unknown": unknown.tolist()}
            for words, unknown in zip(counts.words[source], counts.unknown[source], strict=True)
        ]
        for source in counts.words
    }
    values = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "content_hash": manifest.content_hash,
        "bounds": {name: list(bounds) for name, bounds in _BOUNDS.items()},
        "sources": sources,
    }
    path = directory / REFERENCE_FILE
    write_atomically(path, (json.dumps(values, ensure_ascii=False) + "\n").encode())
    return path


def read(directory: Path, manifest: Manifest) -> ContentCounts | None:
    """Read the counts of an artifact; None if there are none.

    Raises:
        OSError: the file cannot be read, or has more than `MAX_BYTES`.
        ValueError: it is damaged, of another format or other buckets, or about another artifact.
    """
    try:
        data = read_bounded(directory / REFERENCE_FILE, MAX_BYTES)
    except FileNotFoundError:
        return None
    values = loads(data)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"its 'format' is not {FORMAT!r}")
    if values.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"its format version is not {FORMAT_VERSION}")
    if values.get("content_hash") != manifest.content_hash:
        raise ValueError("it is about another artifact; train again, or: python -m study reference")
    if values.get("bounds") != {name: list(bounds) for name, bounds in _BOUNDS.items()}:
        raise ValueError("its buckets are not those of this Dandelion")
    sources = values.get("sources")
    if not isinstance(sources, dict) or not sources:
        raise ValueError("expected that 'sources' is an object with at least one source")
    labels = len(manifest.labels)
    return ContentCounts(
        *(
            {source: _table(source, rows, name, labels) for source, rows in sources.items()}
            for name in _BOUNDS
        )
    )


def _table(source: str, rows: object, name: str, labels: int) -> Counts:
    if not isinstance(rows, list) or len(rows) != labels:
        raise ValueError(f"expected counts of {labels} labels for {source!r}")
    size = len(_BOUNDS[name]) + 1
    for row in rows:
        counts = row.get(name) if isinstance(row, dict) else None
        if (
            not isinstance(counts, list)
            or len(counts) != size
            or not all(type(count) is int and 0 <= count < 2**40 for count in counts)
        ):
            raise ValueError(f"expected {size} counts, none negative, as {name!r} of {source!r}")
    return np.array([row[name] for row in rows], dtype=np.int64)
