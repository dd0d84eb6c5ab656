"""``verdict.json``: how a retrained variant compares with the one that was served.

It lies in the new artifact's directory, but is no part of it, as ``evaluation.json`` is not. It has
the content hashes of both artifacts, so that nothing can be concluded from it about others, and no
text. ``VERDICT.md`` next to it has the same for people.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

from .files import read_bounded
from .json_values import (
    COUNT,
    NUMBER,
    SHARE,
    STRING,
    array,
    loads,
    mapping,
    optional,
    record,
)
from .writing import write_atomically

VERDICT_FILE: Final = "verdict.json"
PAGE_FILE: Final = "VERDICT.md"

FORMAT: Final = "dandelion-retraining"
FORMAT_VERSION: Final = 1
MAX_BYTES: Final = 2**20

_METRICS: Final = (
    *("recall", "false_positive_rate", "precision"),
    *("decided_as_labelled", "auroc", "average_precision"),
)


class RetrainingFileError(ValueError):
    """A ``verdict.json`` is missing, damaged or about other artifacts."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A metric of the new variant minus that of the served one, with its 95 % interval."""

    estimate: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class Figures:
    """How a variant decides texts, at its operating point in force; None if it is not defined.

    Attributes:
        recall: the share of positive texts that are flagged.
        false_positive_rate: the share of negative texts that are flagged.
        precision: the share of flagged texts that are positive.
        decided_as_labelled: the share of texts that are flagged if and only if they are positive.
        auroc: the area under the ROC curve, of the scores.
        average_precision: of the scores.
    """

    recall: float | None
    false_positive_rate: float | None
    precision: float | None
    decided_as_labelled: float | None
    auroc: float | None = None
    average_precision: float | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two variants on the same texts, one of each group of near copies.

    Attributes:
        negatives: texts with the negative label.
        positives: texts with the positive label.
        serving: of the variant that was served.
        candidate: of the new one.
        differences: metric → candidate − serving; metrics that are not defined are absent.
    """

    negatives: int
    positives: int
    serving: Figures
    candidate: Figures
    differences: Mapping[str, Difference]


@dataclass(frozen=True, slots=True)
class Compared:
    """One of the two artifacts.

    Attributes:
        variant: its name.
        content_hash: of the artifact.
        decides: how it decided here, for people, such as ``policy teens``.
        threshold: of its scores.
    """

    variant: str
    content_hash: str
    decides: str
    threshold: float


@dataclass(frozen=True, slots=True)
class FeedbackFile:
    """A file that was added: its name without directories, and its SHA-256."""

    name: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RetrainingVerdict:
    """The content of ``verdict.json``.

    Attributes:
        model: the task.
        created: when, as RFC 3339 in UTC.
        candidate: the new artifact.
        serving: the one that was served.
        files: what was added.
        counts: what became of the rows of the files, by kind.
        warnings: sentences for people.
        forced: checks that were overridden, each a sentence.
        evidence: on the held-out texts of the served version.
        feedback: on the held-out part of the feedback.
        sources: source of held-out texts → the same; without AUROC and average precision.
    """

    model: str
    created: str
    candidate: Compared
    serving: Compared
    files: tuple[FeedbackFile, ...]
    counts: Mapping[str, int]
    warnings: tuple[str, ...]
    forced: tuple[str, ...]
    evidence: Comparison
    feedback: Comparison
    sources: Mapping[str, Comparison]


_FIGURES: Final = record(dict.fromkeys(_METRICS, optional(SHARE)), others=NUMBER)
_COMPARISON: Final = record(
    {
        "negatives": COUNT,
        "positives": COUNT,
        "serving": _FIGURES,
        "candidate": _FIGURES,
        "differences": mapping(mapping(NUMBER)),
    },
    others=NUMBER,
)
_COMPARED: Final = record({"threshold": SHARE}, others=STRING)
_CHECK: Final = record(
    {
        "candidate": _COMPARED,
        "serving": _COMPARED,
        "files": array(mapping(STRING)),
        "counts": mapping(COUNT),
        "warnings": array(STRING),
        "forced": array(STRING),
        "evidence": _COMPARISON,
        "feedback": _COMPARISON,
        "sources": mapping(_COMPARISON),
    },
    others=STRING,
)


def write(verdict: RetrainingVerdict, directory: Path) -> Path:
    """Write the file into the directory of the new artifact, and return its path.

    Raises:
        OSError: it cannot be written.
    """
    values = {"format": FORMAT, "format_version": FORMAT_VERSION} | asdict(verdict)
    path = directory / VERDICT_FILE
    write_atomically(path, (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode())
    return path


def read(directory: Path) -> RetrainingVerdict:
    """Read the file of an artifact.

    Raises:
        RetrainingFileError: it is missing, cannot be read, is damaged or of another format.
    """
    return _parse(directory / VERDICT_FILE, _data(directory))


def _data(directory: Path) -> bytes:
    path = directory / VERDICT_FILE
    try:
        return read_bounded(path, MAX_BYTES)
    except FileNotFoundError as error:
        raise RetrainingFileError(
            f"{path}: there is none, so nothing is known of how {directory.name} compares with "
            "what is served; `dandelion retrain` writes it"
        ) from error
    except OSError as error:
        raise RetrainingFileError(f"{path}: cannot be read ({error.strerror})") from error


def _parse(path: Path, data: bytes) -> RetrainingVerdict:
    try:
        return _verdict(_checked(data))
    except (ValueError, TypeError, KeyError) as error:
        raise RetrainingFileError(f"{path}: damaged: {error}. Retrain again.") from error


def _checked(data: bytes) -> dict[str, Any]:
    """Return the values of `RetrainingVerdict`.

    Raises:
        ValueError: the file is not such a file.
    """
    values = loads(data)
    if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
        raise ValueError(f"its 'format' is not {FORMAT!r}")
    if values.pop("format_version", None) != FORMAT_VERSION:
        raise ValueError(f"its format version is not {FORMAT_VERSION}")
    _CHECK(values, "the file")
    names = {field.name for field in fields(RetrainingVerdict)}
    if set(values) != names:
        raise ValueError(f"its fields differ in {sorted(set(values) ^ names)}")
    return values


def _verdict(values: Mapping[str, Any]) -> RetrainingVerdict:
    made = {
        "candidate": Compared(**values["candidate"]),
        "serving": Compared(**values["serving"]),
        "files": tuple(FeedbackFile(**one) for one in values["files"]),
        "warnings": tuple(values["warnings"]),
        "forced": tuple(values["forced"]),
        "evidence": _comparison(values["evidence"]),
        "feedback": _comparison(values["feedback"]),
        "sources": {name: _comparison(one) for name, one in values["sources"].items()},
    }
    return RetrainingVerdict(**{**values, **made})


def _comparison(values: Mapping[str, Any]) -> Comparison:
    made = {
        "serving": Figures(**values["serving"]),
        "candidate": Figures(**values["candidate"]),
        "differences": {name: Difference(**one) for name, one in values["differences"].items()},
    }
    return Comparison(**{**values, **made})
