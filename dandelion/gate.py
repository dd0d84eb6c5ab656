"""The gate of a promotion: what a new variant must fulfil before it is served.

``[models.spam.gate]`` in ``serving.toml``. Every requirement compares a figure of ``verdict.json``,
or of the running shadow, with a limit; figures are the measured ones, not the ends of intervals.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, NamedTuple

from .json_values import is_number, quoted
from .plural import number_of
from .retraining_file import Comparison, RetrainingVerdict


class GateError(ValueError):
    """A key of a gate is unknown or has a wrong value; ``key`` names it."""

    def __init__(self, key: str, expected: str) -> None:
        super().__init__(expected)
        self.key = key


@dataclass(frozen=True, slots=True)
class Gate:
    """The limits, see `judge` and `judge_shadow`.

    Attributes:
        max_recall_drop: of the recall on held-out evidence, as a share of 1.
        max_fpr_increase: of the false positive rate on held-out evidence.
        min_feedback_gain: by how much the share of held-out feedback that is decided as labelled
            must rise.
        min_shadow_texts: that the variant has scored as the shadow before it is served.
        max_shadow_disagreement: the share of them that it labels otherwise than what is served.
    """

    max_recall_drop: float = 0.01
    max_fpr_increase: float = 0.005
    min_feedback_gain: float = 0.01
    min_shadow_texts: int = 1000
    max_shadow_disagreement: float = 0.05


DEFAULT_GATE: Final = Gate()


class Requirement(NamedTuple):
    """A figure compared with a limit of the gate.

    Attributes:
        key: of the gate.
        value: the figure; None if there is none, which fails.
        limit: of the gate.
        passed: whether the figure keeps it.
        sentence: for people.
    """

    key: str
    value: float | None
    limit: float
    passed: bool
    sentence: str


class ShadowCounts(NamedTuple):
    """Texts that the variant scored as the shadow, and those that it labels otherwise."""

    texts: int
    disagreements: int


def _is_share(value: object) -> bool:
    return is_number(value) and 0 <= float(value) <= 1  # type: ignore[arg-type]


_SHARE: Final = ("a number from 0 to 1", _is_share)
_KEYS: Final[Mapping[str, tuple[str, Callable[[object], bool]]]] = {
    "max_recall_drop": _SHARE,
    "max_fpr_increase": _SHARE,
    "min_feedback_gain": (
        "a number from -1 to 1",
        lambda value: is_number(value) and -1 <= float(value) <= 1,  # type: ignore[arg-type]
    ),
    "min_shadow_texts": (
        "a whole number, 0 or more",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 0,
    ),
    "max_shadow_disagreement": _SHARE,
}


def read_gate(values: Mapping[str, Any]) -> Gate:
    """Return the gate of a table; keys that are absent have their defaults.

    Raises:
        GateError: a key is unknown, or its value is wrong; the message is what was expected.
    """
    for key, value in values.items():
        if key not in _KEYS:
            raise GateError(key, f"one of the keys {', '.join(_KEYS)}")
        expected, is_right = _KEYS[key]
        if not is_right(value):
            raise GateError(key, f"{expected}, not {quoted(value)}")
    return Gate(**values)


def judge(gate: Gate, verdict: RetrainingVerdict) -> tuple[Requirement, ...]:
    """Compare what was measured offline with the gate."""
    held_out = "on the held-out evidence"
    return (
        _at_most(
            "max_recall_drop",
            _change(verdict.evidence, "recall", -1),
            gate.max_recall_drop,
            f"Recall {held_out}",
        ),
        _at_most(
            "max_fpr_increase",
            _change(verdict.evidence, "false_positive_rate", 1),
            gate.max_fpr_increase,
            f"The false positive rate {held_out}",
        ),
        _gain(_change(verdict.feedback, "decided_as_labelled", 1), gate.min_feedback_gain),
    )


def judge_shadow(gate: Gate, counts: ShadowCounts | None) -> tuple[Requirement, ...]:
    """Compare what the running shadow did with the gate.

    Args:
        gate: the limits; with ``min_shadow_texts`` 0, nothing is required of the shadow.
        counts: of the variant as the shadow; None if they are not known.
    """
    if not gate.min_shadow_texts:
        return ()
    texts = None if counts is None else counts.texts
    found = "It is not known how many texts" if texts is None else number_of(texts, "text")
    enough = Requirement(
        "min_shadow_texts",
        texts,
        gate.min_shadow_texts,
        texts is not None and texts >= gate.min_shadow_texts,
        f"{found} were scored as the shadow; at least {gate.min_shadow_texts:,} are required.",
    )
    if counts is None or not counts.texts:
        return (enough,)
    share = counts.disagreements / counts.texts
    agrees = Requirement(
        "max_shadow_disagreement",
        share,
        gate.max_shadow_disagreement,
        share <= gate.max_shadow_disagreement,
        f"As the shadow it labelled {share:.2%} of the texts otherwise than what is served; at "
        f"most {gate.max_shadow_disagreement:.2%} are allowed.",
    )
    return enough, agrees


def limits(gate: Gate) -> dict[str, float]:
    """Return the limits by their keys, in the order of the documentation."""
    return {one.name: getattr(gate, one.name) for one in fields(gate)}


def _change(comparison: Comparison, metric: str, sign: int) -> float | None:
    found = comparison.differences.get(metric)
    return None if found is None else sign * found.estimate


# A difference of shares is a difference of floats.
_TOLERANCE: Final = 1e-9


def _at_most(key: str, change: float | None, limit: float, what: str) -> Requirement:
    verb = "falls" if key == "max_recall_drop" else "rises"
    if change is None:
        return Requirement(key, None, limit, False, f"{what} is not known.")
    if change <= 0:
        sentence = f"{what} does not {verb[:-1]}."
    else:
        sentence = f"{what} {verb} by {_points(change)}; at most {_points(limit)} are allowed."
    return Requirement(key, change, limit, change <= limit + _TOLERANCE, sentence)


def _gain(gain: float | None, limit: float) -> Requirement:
    key = "min_feedback_gain"
    if gain is None:
        return Requirement(key, None, limit, False, "No feedback was held out.")
    sentence = (
        f"The share of held-out feedback that is decided as labelled changes by {gain * 100:+.2f} "
        f"points; at least {limit * 100:+.2f} are required."
    )
    return Requirement(key, gain, limit, gain >= limit - _TOLERANCE, sentence)


def _points(share: float) -> str:
    return f"{share * 100:.2f} points"
