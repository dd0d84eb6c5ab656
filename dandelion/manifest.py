"""``model.json``: everything known about an artifact, typed and validated."""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from .decision.rule import Decision
from .installation import ADVICE
from .quantization import PRECISIONS, Precision
from .text.grams import Features

FORMAT: Final = "dandelion"
FORMAT_VERSION: Final = 2
MANIFEST_FILE: Final = "model.json"

Task = Literal["binary", "multiclass"]
SCORE_KINDS: Final[dict[Task, tuple[str, ...]]] = {
    "binary": ("sigmoid", "margin"),
    "multiclass": ("softmax",),
}

# The fields that version 1 did not have, and the values that it implied.
_ADDED_IN_2: Final[Mapping[str, Any]] = {"features": None, "sampling": None}


class ArtifactError(Exception):
    """An artifact is missing, damaged, of another format or newer than this code.

    The message names the file and what to do.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``model.json``.

    Attributes:
        model: the task served, such as ``spam``.
        variant: the name of the configuration, such as ``dice``.
        task: ``binary``, two labels and one score per text; or ``multiclass``, one score per label.
        labels: the negative label, then the positive one; or all, in the order of the scores.
        loss: the training loss.
        threshold: the label is positive at ``score >= threshold``; fitted on validation. None for
            ``multiclass``, which chooses the label with the highest score.
        score_kind: ``sigmoid`` of the logit; ``margin``, the sigmoid of a margin, which is not a
            probability (0.5 is margin 0); or ``softmax`` of the logits.
        precision: in which embedding, grams and surface are stored.
        features: of the wide path, see `Features`; None without one.
        sampling: how training changed the shares of the classes, if it did: ``method``, and the
            share of each label before (``prior``) and after it (``sampled_prior``); scores follow
            the latter.
        config: the complete configuration of the training run.
        dataset: name, SHA-256 and number of rows of the data set.
        protocol: how the data set was split.
        split: rows per fold, and the SHA-256 of the assignment of the rows.
        seed: of split and initialization.
        metrics: by fold (``validation``, ``test``) and by threshold; ``slices``, if there are any,
            by slice of the test fold.
        library_versions: of the libraries used in training.
        files: SHA-256 of each other file.
        content_hash: SHA-256 over all other fields but ``timings``.
        timings: when and how long it was trained; differs between otherwise equal runs.
    """

    model: str
    variant: str
    task: str
    labels: tuple[str, ...]
    loss: str
    threshold: float | None
    score_kind: str
    precision: Precision
    config: Mapping[str, Any]
    dataset: Mapping[str, Any]
    protocol: str
    split: Mapping[str, Any]
    seed: int
    metrics: Mapping[str, Any]
    library_versions: Mapping[str, str]
    features: Mapping[str, Any] | None = None
    sampling: Mapping[str, Any] | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    content_hash: str = ""
    timings: Mapping[str, Any] = field(default_factory=dict)
    format: str = FORMAT
    format_version: int = FORMAT_VERSION

    @property
    def version(self) -> str:
        """The first twelve digits of the content hash, enough to distinguish artifacts."""
        return self.content_hash[:12]

    @property
    def decision(self) -> Decision:
        """How scores become labels, at the threshold of the artifact."""
        return Decision(self.labels, self.threshold)

    @property
    def wide_features(self) -> Features | None:
        """The features of the wide path; None without one."""
        return None if self.features is None else Features.from_json(self.features)


def load_manifest(directory: Path) -> Manifest:
    """Read and verify ``model.json`` without the other files.

    Raises:
        ArtifactError: it is missing, damaged, of another format or newer than this code.
    """
    path = directory / MANIFEST_FILE
    if not directory.is_dir():
        raise ArtifactError(
            f"{directory}: no such directory. Check the path, or train it: {ADVICE.train}"
        )
    try:
        values = json.loads(read_file(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path, error) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ArtifactError(
            f"{path}: not a Dandelion artifact (its 'format' is not {FORMAT!r}). "
            "Choose a directory written by training."
        )
    version = values.get("format_version")
    if version not in range(1, FORMAT_VERSION + 1):
        raise ArtifactError(
            f"{path}: format version {version!r}, but this Dandelion reads 1 to {FORMAT_VERSION}. "
            f"Upgrade Dandelion, or train the artifact again: {ADVICE.train}"
        )
    names = {field.name for field in fields(Manifest)}
    if version == 1:
        names -= set(_ADDED_IN_2)
    if set(values) != names:
        raise damaged(path, f"its fields differ in {sorted(set(values) ^ names)}")
    try:
        expected = content_hash(values)
    except (ValueError, RecursionError) as error:  # half a surrogate pair; nested too deep
        raise damaged(path, error) from error
    if values["content_hash"] != expected:
        raise damaged(path, "its content hash does not match its content")
    values = {**_ADDED_IN_2, **values}
    _check_manifest(path, values)
    return Manifest(**values | {"labels": tuple(values["labels"])})


def _check_manifest(path: Path, values: Mapping[str, Any]) -> None:
    """Refuse a manifest that is intact but cannot be served by this code."""
    task = values["task"]
    if task not in (*SCORE_KINDS,):  # a tuple, because a list is not hashable
        raise damaged(path, f"expected that 'task' is one of {', '.join(SCORE_KINDS)}")
    score_kinds = SCORE_KINDS[task]
    labels = values["labels"]
    threshold = values["threshold"]
    is_binary = task == "binary"
    checks = {
        f"'score_kind' of a {task} task is one of {', '.join(score_kinds)}": (
            values["score_kind"] in score_kinds
        ),
        "'labels' are distinct strings, two for a binary task, more for another": (
            isinstance(labels, list)
            and all(isinstance(label, str) for label in labels)
            and len(set(labels)) == len(labels)
            and (len(labels) == 2 if is_binary else len(labels) > 2)
        ),
        "'threshold' is a number in [0, 1], or null for more than two labels": (
            is_number(threshold) and 0 <= threshold <= 1 if is_binary else threshold is None
        ),
        f"'precision' is one of {', '.join(PRECISIONS)}": values["precision"] in PRECISIONS,
        "'files' is an object": isinstance(values["files"], dict),
        "'sampling' is an object or null": isinstance(values["sampling"], dict | None),
    }
    for expectation, holds in checks.items():
        if not holds:
            raise damaged(path, f"expected that {expectation}")
    if values["features"] is not None:
        try:
            Features.from_json(values["features"])
        except ValueError as error:
            raise damaged(path, f"invalid 'features': {error}") from error


def is_number(value: object) -> bool:
    """Return whether a JSON value is a finite number, and not a boolean."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer beyond float64
        return False


def content_hash(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 over the fields of a manifest but ``content_hash`` and ``timings``."""
    hashed = {
        name: value for name, value in values.items() if name not in ("content_hash", "timings")
    }
    return sha256(json.dumps(hashed, sort_keys=True, ensure_ascii=False).encode())


def to_json(values: Mapping[str, Any]) -> bytes:
    """Return values as JSON in the style of an artifact's files: indented, UTF-8, without NaN."""
    return (json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256(data: bytes) -> str:
    """Return the SHA-256 of bytes, hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def read_file(path: Path) -> bytes:
    """Read a file of an artifact.

    Raises:
        ArtifactError: it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror}). {ADVICE.restore}"
        ) from error


def damaged(path: Path, reason: object) -> ArtifactError:
    """Return the error for a file that is not as it was written."""
    return ArtifactError(f"{path}: damaged: {reason}. {ADVICE.restore}")
