"""``model.json``: everything known about an artifact, typed and validated."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final, Literal

from .decision.calibration import Calibration
from .decision.rule import Decision
from .files import read_bounded
from .installation import ADVICE
from .json_values import (
    ANYTHING,
    COUNT,
    INTEGER,
    NUMBER,
    OBJECT,
    SHARE,
    STRING,
    Check,
    array,
    is_a,
    loads,
    mapping,
    optional,
    quoted,
    record,
)
from .quantization import PRECISIONS, Precision
from .text.grams import Features
from .text.windows import Windows

FORMAT: Final = "dandelion"
FORMAT_VERSION: Final = 4
MANIFEST_FILE: Final = "model.json"

# Far more than a thousand labels need, whose confusion matrices are the largest part.
MAX_JSON_BYTES: Final = 2**26
_MAX_REASON_CHARS: Final = 400
_MAX_NAME_BYTES: Final = 200  # a file system's limit is 255, and writing adds to a name
_MAX_STRING_CHARS: Final = 200  # of what responses and listings show

# Every text of a response has a label, and every text of a multiclass one has all of them.
MAX_LABELS: Final = 1000
MAX_LABEL_CHARS: Final = 200

Task = Literal["binary", "multiclass"]
SCORE_KINDS: Final[dict[Task, tuple[str, ...]]] = {
    "binary": ("sigmoid", "margin"),
    "multiclass": ("softmax",),
}

# Version → the fields that it added, with the values that they have in older artifacts.
_ADDED: Final[Mapping[int, Mapping[str, Any]]] = {
    2: {"features": None, "sampling": None},
    3: {"windows": None, "threshold_rule": None, "by_source": None},
    4: {"calibration": None, "calibration_fit": None, "operating_point": None},
}


# Criterion of a threshold → the name of the metrics at it.
_CUTS: Final = {"limits": "limits", "operating_point": "operating point"}


class ArtifactError(Exception):
    """An artifact is missing, damaged, of another format or newer than this code.

    The message names the file and what to do.
    """


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of ``model.json``.

    Attributes:
        model: the task served, such as ``spam``; of at most 200 bytes in UTF-8.
        variant: the name of the configuration, such as ``dice``; of at most 200 bytes in UTF-8.
        task: ``binary``, two labels and one score per text; or ``multiclass``, one score per label.
        labels: the negative label, then the positive one; or all, in the order of the scores. At
            most `MAX_LABELS`, each of 1 to `MAX_LABEL_CHARS` characters.
        loss: the training loss; it has 1 to 200 characters.
        threshold: the label is positive at ``score >= threshold``; fitted, see
            ``threshold_rule``. None for ``multiclass``, which chooses the label with the highest
            score.
        score_kind: ``sigmoid`` of the logit; ``margin``, the sigmoid of a margin, which is not a
            probability (0.5 is margin 0); or ``softmax`` of the logits.
        precision: in which embedding, grams and surface are stored.
        features: of the wide path, see `Features`; None without one.
        sampling: how training changed the shares of the classes, if it did: ``method``, and the
            share of each label before (``prior``) and after it (``sampled_prior``); scores follow
            the latter.
        windows: how long texts are cut, see `dandelion.text.windows.Windows`; None for not at all.
            Only for two labels.
        config: the complete configuration of the training run.
        dataset: name, SHA-256 and number of rows of the data set; of several ``sources`` as well.
        protocol: how the data set was split; at most 200 characters.
        split: rows per fold, and the SHA-256 of the assignment of the rows.
        seed: of split and initialization.
        metrics: by fold (``validation`` or ``out_of_fold``, ``test``) and by threshold;
            ``slices``, if there are any, by slice of the test fold.
        threshold_rule: ``criterion``, ``macro_f1`` or ``operating_point`` (``limits`` in older
            artifacts), and what it was ``fitted_on``, ``validation`` or ``out_of_fold``, with the
            details of either; None for ``multiclass``, and for artifacts before format 3, whose
            criterion was macro-F1 on validation.
        by_source: false alarms and recall at the threshold, by fold and source, with the numbers of
            texts; None if they were not measured.
        library_versions: of the libraries used in training.
        calibration: the map from the network's logit to the probability at the reference prior,
            see `dandelion.decision.calibration.Calibration`: its ``method``, ``a``, ``b``, ``c``;
            None if scores are not calibrated, as in older artifacts.
        calibration_fit: what it was ``fitted_on``, ``validation`` or ``out_of_fold``, and how well
            scores match shares before and after it; None without one.
        operating_point: how the threshold was chosen, in the grammar of
            `dandelion.decision.operating_points`; None for ``multiclass`` and older artifacts.
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
    windows: Mapping[str, Any] | None = None
    threshold_rule: Mapping[str, Any] | None = None
    by_source: Mapping[str, Any] | None = None
    calibration: Mapping[str, Any] | None = None
    calibration_fit: Mapping[str, Any] | None = None
    operating_point: str | None = None
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
    def default_cut(self) -> str:
        """The name of the metrics, in each fold, that were computed at ``threshold``."""
        if self.threshold is None:
            return "argmax"
        rule = self.threshold_rule or {}
        return _CUTS.get(rule.get("criterion", ""), "fitted")

    @property
    def score_map(self) -> Calibration | None:
        """How logits become calibrated ones; None if scores are not calibrated."""
        return None if self.calibration is None else Calibration(**self.calibration)

    @property
    def text_windows(self) -> Windows | None:
        """How long texts are cut into windows; None for not at all."""
        return None if self.windows is None else Windows(**self.windows)

    @property
    def wide_features(self) -> Features | None:
        """The features of the wide path; None without one."""
        return None if self.features is None else Features.from_json(self.features)


def is_name(value: object) -> bool:
    """Return whether a value can be the name of a model or a variant, and thus of a directory."""
    return (
        isinstance(value, str)
        and value.isprintable()
        and not value.startswith(".")
        and not {"/", "\\"} & set(value)
        and 0 < len(value.encode()) <= _MAX_NAME_BYTES
    )


def _string(at_least: int, at_most: int) -> Check:
    """Return the check of a string of so many characters."""
    return is_a(
        f"a string of {at_least} to {at_most} characters",
        lambda value: isinstance(value, str) and at_least <= len(value) <= at_most,
    )


_NAME: Final = is_a("a name", is_name)
_SHORT: Final = _string(0, _MAX_STRING_CHARS)
_METRICS: Final = record(
    {"per_class_f1": array(NUMBER), "confusion_matrix": array(array(INTEGER))},
    others=optional(NUMBER),
)
_SOURCE: Final[Mapping[str, Check]] = {
    "name": _SHORT,
    "sha256": _SHORT,
    "rows": COUNT,
    "shares": array(SHARE),
}
_TYPES: Final[Mapping[str, Check]] = {
    "model": _NAME,
    "variant": _NAME,
    "task": is_a(f"one of {', '.join(SCORE_KINDS)}", lambda value: value in tuple(SCORE_KINDS)),
    "labels": array(_string(1, MAX_LABEL_CHARS)),
    "loss": _string(1, _MAX_STRING_CHARS),
    "threshold": optional(SHARE),
    "score_kind": STRING,
    "precision": is_a(f"one of {', '.join(PRECISIONS)}", lambda value: value in PRECISIONS),
    "config": OBJECT,
    "dataset": record({**_SOURCE, "sources": array(record(_SOURCE, ANYTHING))}, ANYTHING),
    "protocol": _SHORT,
    "split": record({"sha256": _SHORT}, others=COUNT),
    "seed": INTEGER,
    "metrics": mapping(mapping(_METRICS)),
    "library_versions": mapping(_SHORT),
    "features": optional(OBJECT),
    "sampling": optional(
        record({"method": _SHORT, "prior": array(SHARE), "sampled_prior": array(SHARE)}, ANYTHING)
    ),
    "windows": optional(
        record({"words": COUNT, "stride": COUNT, "penalty": NUMBER}, others=NUMBER)
    ),
    "threshold_rule": optional(record({"criterion": _SHORT, "fitted_on": _SHORT}, ANYTHING)),
    "by_source": optional(mapping(mapping(mapping(optional(NUMBER))))),
    "calibration": optional(record({"method": STRING}, others=NUMBER)),
    "calibration_fit": optional(record({"fitted_on": _SHORT}, ANYTHING)),
    "operating_point": optional(_SHORT),
    "files": mapping(STRING),
    "content_hash": STRING,
    "timings": record({"trained_at": _SHORT}, others=NUMBER),
    "format": STRING,
    "format_version": INTEGER,
}


def load_manifest(directory: Path) -> Manifest:
    """Read and verify ``model.json`` without the other files.

    Raises:
        ArtifactError: it is missing, damaged, of another format or newer than this code.
    """
    path = directory / MANIFEST_FILE
    _check_directory(directory)
    try:
        values = loads(read_file(path, MAX_JSON_BYTES))
    except ValueError as error:
        raise damaged(path, error) from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ArtifactError(
            f"{path}: not a Dandelion artifact (its 'format' is not {FORMAT!r}). "
            "Choose a directory written by training."
        )
    version = values.get("format_version")
    if type(version) is not int or not 1 <= version <= FORMAT_VERSION:
        raise ArtifactError(
            f"{path}: format version {quoted(version)}, but this Dandelion reads 1 to "
            f"{FORMAT_VERSION}. Upgrade Dandelion, or train the artifact again: {ADVICE.train}"
        )
    missing = {
        name: value
        for added, values_before in _ADDED.items()
        if version < added
        for name, value in values_before.items()
    }
    names = {field.name for field in fields(Manifest)} - set(missing)
    if set(values) != names:
        raise damaged(path, f"its fields differ in {quoted(sorted(set(values) ^ names))}")
    if values["content_hash"] != content_hash(values):
        raise damaged(path, "its content hash does not match its content")
    values = {**missing, **values}
    try:
        check(values)
    except ValueError as error:
        raise damaged(path, error) from error
    return Manifest(**values | {"labels": tuple(values["labels"])})


def check_model(manifest: Manifest, model: str, directory: Path) -> None:
    """Check that an artifact is of the model that it is to serve.

    Raises:
        ArtifactError: it is of another one.
    """
    if manifest.model != model:
        raise ArtifactError(
            f"{directory}: is an artifact of {quoted(manifest.model)}, not of {quoted(model)}. "
            "Choose another one in serving.toml."
        )


def _check_directory(directory: Path) -> None:
    """Check that a directory may be an artifact.

    Raises:
        ArtifactError: there is none, or it contains artifacts.
    """
    if not os.path.isdir(directory):  # noqa: PTH112 - Path.is_dir raises for a name that is too long
        raise ArtifactError(
            f"{directory}: no such directory. Check the path, or train it: {ADVICE.train}"
        )
    try:
        if (directory / MANIFEST_FILE).exists():
            return
        found = [*directory.glob(f"*/{MANIFEST_FILE}")] or [*directory.glob(f"*/*/{MANIFEST_FILE}")]
    except OSError:  # no access, for example: to read the file gives the reason
        return
    if found:
        available = sorted(str(file.parent) for file in found)
        raise ArtifactError(
            f"{directory}: not an artifact, but a directory of artifacts. Choose one of them: "
            f"{', '.join(available)}"
        )


def check(values: Mapping[str, Any]) -> None:
    """Check the fields of a manifest, as JSON values.

    Raises:
        ValueError: one has another type, or they do not fit together; names the field.
    """
    for name, value in values.items():
        _TYPES[name](value, repr(name))
    task: Task = values["task"]
    score_kinds = SCORE_KINDS[task]
    labels, threshold = values["labels"], values["threshold"]
    is_binary = task == "binary"
    checks = {
        f"'score_kind' of a {task} task is one of {', '.join(score_kinds)}": (
            values["score_kind"] in score_kinds
        ),
        "'labels' are distinct strings, two for a binary task, more for another": (
            len(set(labels)) == len(labels) and (len(labels) == 2 if is_binary else len(labels) > 2)
        ),
        f"'labels' are at most {MAX_LABELS}": len(labels) <= MAX_LABELS,
        "'threshold' is a number in [0, 1], or null for more than two labels": (
            (threshold is not None) is is_binary
        ),
    }
    for expectation, holds in checks.items():
        if not holds:
            raise ValueError(f"expected that {expectation}")
    if values["features"] is not None:
        try:
            Features.from_json(values["features"])
        except ValueError as error:
            raise ValueError(f"invalid 'features': {error}") from error
    if values["windows"] is not None:
        if not is_binary:
            raise ValueError("expected that 'windows' is null for more than two labels")
        try:
            names = {field.name for field in fields(Windows)}
            if set(values["windows"]) != names:
                raise ValueError(f"expected {', '.join(sorted(names))}")  # noqa: TRY301
            Windows(**values["windows"])
        except ValueError as error:
            raise ValueError(f"invalid 'windows': {error}") from error
    if values["calibration"] is not None:
        try:
            _check_calibration(values["calibration"], is_binary=is_binary)
        except ValueError as error:
            raise ValueError(f"invalid 'calibration': {error}") from error
    if values["operating_point"] is not None and not is_binary:
        raise ValueError("expected that 'operating_point' is null for more than two labels")


def _check_calibration(values: Mapping[str, Any], *, is_binary: bool) -> None:
    names = {field.name for field in fields(Calibration)}
    if set(values) != names:
        raise ValueError(f"expected {', '.join(sorted(names))}")
    method = Calibration(**values).method
    if method != "temperature" and not is_binary:
        raise ValueError(f"expected temperature for more than two labels, not {method}")


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


def read_file(path: Path, max_bytes: int) -> bytes:
    """Read a file of an artifact.

    Raises:
        ArtifactError: it cannot be read, is no regular file or is larger than ``max_bytes``.
    """
    try:
        return read_bounded(path, max_bytes)
    except OSError as error:
        raise ArtifactError(
            f"{path}: cannot be read ({error.strerror}). {ADVICE.restore}"
        ) from error


def damaged(path: Path, reason: object) -> ArtifactError:
    """Return the error for a file that is not as it was written, in one line."""
    shown = " ".join(f"{reason}".split())
    if len(shown) > _MAX_REASON_CHARS:
        shown = f"{shown[:_MAX_REASON_CHARS]}…"
    return ArtifactError(f"{path}: damaged: {shown}. {ADVICE.restore}")
