"""Policy files: what `dandelion evaluate` found on a user's own labelled texts.

A policy file has the evidence and the calibration of one artifact on these texts, as counts: no
text is in it. `serving.toml` names it in a policy, whose operating points are then fitted on this
evidence instead of the artifact's. It is JSON, read strictly and within a bound.
"""

import datetime
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final, Self

from .decision import evidence as evidence_module
from .decision.calibration import Calibration
from .decision.evidence import Evidence
from .decision.operating_points import FittedPoint, Interval
from .files import read_bounded
from .json_values import (
    COUNT,
    INTEGER,
    NUMBER,
    SHARE,
    STRING,
    Check,
    is_a,
    loads,
    quoted,
)
from .manifest import is_name
from .writing import write_atomically

POLICY_FORMAT: Final = "dandelion-policy"
POLICY_FORMAT_VERSION: Final = 1
MAX_POLICY_BYTES: Final = 2**23
_MAX_POINTS: Final = 1000
_MAX_REASON_CHARS: Final = 400


class PolicyFileError(Exception):
    """A policy file is missing, damaged, too large, of another format, or of another artifact.

    The message is one sentence that names the file.
    """


@dataclass(frozen=True, slots=True)
class RecordedPoint:
    """An operating point as it was fitted on the evidence, for people.

    Attributes:
        point: in the grammar.
        logit: the threshold, uncalibrated.
        promised: whether its constraints hold with a confidence of 95 %.
        prior: the share of positive texts that precision and rate are for.
        recall: share of the positive texts that are flagged.
        fpr: share of the harmless texts that are flagged.
        precision: share of the flagged texts that are positive.
        rate: share of all texts that are flagged.
    """

    point: str
    logit: float
    promised: bool
    prior: float
    recall: Interval
    fpr: Interval
    precision: Interval
    rate: Interval

    @classmethod
    def of(cls, fitted: FittedPoint) -> Self:
        """Record a fitted point."""
        return cls(**{field.name: getattr(fitted, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """The content of a policy file.

    Attributes:
        model: the model that was evaluated, such as ``abuse``.
        variant: the variant of it.
        artifact: SHA-256 of the artifact, its whole ``content_hash``.
        created: date and time, ISO 8601 with an offset from UTC.
        texts: labelled texts that were evaluated; near copies count in ``evidence`` once.
        calibration: fitted on these texts; None where they were too few: the artifact's.
        evidence: the logits of these texts, uncalibrated.
        points: operating points as fitted on the evidence then, for people: a service fits those
            of its own configuration.
    """

    model: str
    variant: str
    artifact: str
    created: str
    texts: int
    calibration: Calibration | None
    evidence: Evidence
    points: tuple[RecordedPoint, ...] = ()

    def check_artifact(self, content_hash: str, path: Path) -> None:
        """Check that the file was made with an artifact: logits of another one differ.

        Args:
            content_hash: the artifact's, whole.
            path: of this file, for the message.

        Raises:
            PolicyFileError: it was made with another one.
        """
        if self.artifact != content_hash:
            raise PolicyFileError(
                f"{path}: was made with version {self.artifact[:12]} of "
                f"{self.model}/{self.variant}, not with {content_hash[:12]}, whose scores differ; "
                f"make it again: dandelion evaluate {self.model} --output {path.name}"
            )

    def write(self, path: Path) -> None:
        """Write the file whole, or not at all.

        Raises:
            OSError: it cannot be written.
            PolicyFileError: see `content`.
            ValueError: see `content`.
        """
        write_atomically(path, self.content(path))

    def content(self, path: Path) -> bytes:
        """Return what the file holds.

        Args:
            path: of the file, for the message.

        Raises:
            PolicyFileError: it would have more than `MAX_POLICY_BYTES`.
            ValueError: a field is not as `read_policy_file` expects it.
        """
        values = {
            "format": POLICY_FORMAT,
            "format_version": POLICY_FORMAT_VERSION,
            "model": self.model,
            "variant": self.variant,
            "artifact": self.artifact,
            "created": self.created,
            "texts": self.texts,
            "calibration": None if self.calibration is None else asdict(self.calibration),
            "points": [asdict(point) for point in self.points],
            "evidence": evidence_module.to_json(self.evidence),
        }
        data = (json.dumps(values, ensure_ascii=False, allow_nan=False) + "\n").encode()
        if len(data) > MAX_POLICY_BYTES:
            raise PolicyFileError(
                f"{path}: not written: a policy file has at most {MAX_POLICY_BYTES:,} bytes, and "
                f"this one would have {len(data):,}; its evidence has too many sources"
            )
        _parse(data)  # nothing is written that reading would refuse
        return data


def read_policy_file(path: Path) -> PolicyFile:
    """Read and verify a policy file.

    Raises:
        PolicyFileError: it cannot be read, has more than `MAX_POLICY_BYTES`, or is not what
            `PolicyFile.write` writes.
    """
    try:
        data = read_bounded(path, MAX_POLICY_BYTES)
    except OSError as error:
        raise PolicyFileError(f"{path}: cannot be read ({error.strerror})") from error
    try:
        return _parse(data)
    except ValueError as error:
        reason = " ".join(f"{error}".split())
        if len(reason) > _MAX_REASON_CHARS:
            reason = f"{reason[:_MAX_REASON_CHARS]}…"
        raise PolicyFileError(f"{path}: not a valid policy file: {reason}") from error


def _parse(data: bytes) -> PolicyFile:
    values = loads(data)
    if not isinstance(values, dict) or values.get("format") != POLICY_FORMAT:
        raise ValueError(f"expected that its 'format' is {POLICY_FORMAT!r}")
    version = values.get("format_version")
    if type(version) is not int or version != POLICY_FORMAT_VERSION:
        raise ValueError(
            f"its format version is {quoted(version)}, but this Dandelion reads "
            f"{POLICY_FORMAT_VERSION}"
        )
    _check_names(values, set(_TYPES), "the file")
    for name, check in _TYPES.items():
        check(values[name], repr(name))
    return PolicyFile(
        values["model"],
        values["variant"],
        values["artifact"],
        values["created"],
        values["texts"],
        _calibration(values["calibration"]),
        evidence_module.from_json(values["evidence"]),
        tuple(map(_point, values["points"])),
    )


def _check_names(values: Mapping[str, Any], expected: set[str], place: str) -> None:
    if set(values) != expected:
        raise ValueError(f"the names of {place} differ in {quoted(sorted(set(values) ^ expected))}")


def _calibration(values: object) -> Calibration | None:
    if values is None:
        return None
    names = {field.name for field in fields(Calibration)}
    if not isinstance(values, dict) or set(values) != names:
        raise ValueError(f"expected that 'calibration' is null or has {', '.join(sorted(names))}")
    for name in names - {"method"}:
        NUMBER(values[name], f"'calibration' → {name!r}")
    return Calibration(**values)


_INTERVALS: Final = {"recall", "fpr", "precision", "rate"}


def _point(values: Mapping[str, Any]) -> RecordedPoint:
    _check_names(values, {field.name for field in fields(RecordedPoint)}, "a point")
    found = dict(values)
    for name, value in values.items():
        place = f"'points' → {name!r}"
        if name not in _INTERVALS:
            _POINT_TYPES[name](value, place)
            continue
        if not isinstance(value, dict):
            raise ValueError(f"expected that {place} is an object")  # noqa: TRY004 - see `_parse`
        _check_names(value, {"estimate", "lower", "upper"}, place)
        for share in value.values():
            SHARE(share, place)
        found[name] = Interval(**value)
    return RecordedPoint(**found)


_POINT_TYPES: Final[Mapping[str, Check]] = {
    "point": STRING,
    "logit": NUMBER,
    "promised": is_a("true or false", lambda value: isinstance(value, bool)),
    "prior": SHARE,
}


def _is_date(value: object) -> bool:
    try:
        return datetime.datetime.fromisoformat(f"{value}").tzinfo is not None
    except ValueError:
        return False


_NAME: Final = is_a("a name", is_name)
_TYPES: Final[Mapping[str, Check]] = {
    "format": STRING,
    "format_version": INTEGER,
    "model": _NAME,
    "variant": _NAME,
    "artifact": is_a(
        "a SHA-256 in hexadecimal",
        lambda value: isinstance(value, str) and bool(re.fullmatch("[0-9a-f]{64}", value)),
    ),
    "created": is_a("a date and time with an offset from UTC", _is_date),
    "texts": COUNT,
    "calibration": is_a(
        "an object or null", lambda value: value is None or isinstance(value, dict)
    ),
    "evidence": is_a("an object", lambda value: isinstance(value, dict)),
    "points": is_a(
        f"an array of at most {_MAX_POINTS} objects",
        lambda value: (
            isinstance(value, list)
            and len(value) <= _MAX_POINTS
            and all(isinstance(one, dict) for one in value)
        ),
    ),
}
