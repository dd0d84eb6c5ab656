"""The one place where scores become labels."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Literal, NamedTuple, Self, get_args

import numpy as np
from numpy.typing import NDArray

from .notices import Notice
from .policy import Policy

Verdict = Literal["positive", "review", "negative", "none"]
VERDICTS: Final[tuple[Verdict, ...]] = get_args(Verdict)

_NO_NOTICES: Final[Mapping[int, Notice]] = MappingProxyType({})


class ThresholdError(ValueError):
    """A threshold is not a number in [0, 1], or is given to a model with more than two labels."""


class Decided(NamedTuple):
    """The decisions on texts, in their order.

    Attributes:
        positions: the index of each text's label in ``Decision.labels``; with two labels this or
            its truth value: 1 or True is the positive one.
        scores: of the positive label for two labels, otherwise of the chosen one; float32 values.
            None for a text without content, with two labels.
        by_label: for more than two labels, the scores of all labels for each text; otherwise None.
        verdicts: with a policy or an operating point in force, the decision on each text;
            otherwise None.
        notices: position → what is said about that text; most have none.
    """

    positions: list[int]
    scores: Sequence[float | None]
    by_label: list[list[float]] | None = None
    verdicts: list[Verdict] | None = None
    notices: Mapping[int, Notice] = _NO_NOTICES

    @property
    def is_plain(self) -> bool:
        """Whether a label and a score say everything about each text."""
        return self.verdicts is None and not self.notices

    @property
    def given_scores(self) -> Sequence[float]:
        """The scores of the texts that have one."""
        if self.notices:
            return [score for score in self.scores if score is not None]
        return self.scores  # type: ignore[return-value]

    def remarks(self) -> Iterator[tuple[Verdict | None, Literal["no_content"] | None, bool]]:
        """Yield decision, reason and low evidence of each text.

        The decision is None unless a policy or an operating point is in force, or there is nothing
        to decide on.
        """
        notices, verdicts = self.notices, self.verdicts
        for at in range(len(self.positions)):
            notice = notices.get(at)
            verdict = None if verdicts is None else verdicts[at]
            if notice == Notice.NO_CONTENT:
                is_binary = self.by_label is None
                yield "none" if is_binary else verdict, "no_content", False
            else:
                yield verdict, None, notice == Notice.LOW_EVIDENCE


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule by which the scores of a model become labels.

    With two labels, the positive one is chosen at ``score >= threshold``. With more labels there is
    no threshold: the one with the highest score is chosen, the first one among equals.

    Attributes:
        labels: the negative label, then the positive one; or all of them, in the scores' order.
        threshold: in [0, 1]; None for more than two labels.
        policy: what the threshold is from, and which scores it is for; None for the scores and the
            threshold of the artifact, or a threshold of the caller.

    Raises:
        ThresholdError: the threshold is not a number in [0, 1], or is given for more than two
            labels.
        ValueError: there are fewer than two labels.

    Example:
        >>> import numpy as np
        >>> decision = Decision(("ham", "spam"), threshold=0.5)
        >>> decided = decision.decide(np.array([0.5, 0.25], dtype=np.float32))
        >>> [decision.labels[position] for position in decided.positions]
        ['spam', 'ham']
        >>> decision.at(0.75).threshold
        0.75
    """

    labels: tuple[str, ...]
    threshold: float | None
    policy: Policy | None = None

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"a decision needs at least two labels, but has {len(self.labels)}")
        if self.is_binary:
            _check_threshold(self.threshold)
        elif self.threshold is not None:
            raise ThresholdError(
                f"a model with {len(self.labels)} labels has no threshold: it chooses the label "
                "with the highest score"
            )

    @classmethod
    def binary(cls, threshold: float) -> Self:
        """Return the decision between two generic labels, for evaluations that need no names."""
        return cls(("negative", "positive"), threshold)

    @classmethod
    def of_classes(cls, count: int) -> Self:
        """Return the decision between more than two labels that are named by their positions."""
        return cls(tuple(map(str, range(count))), None)

    @property
    def is_binary(self) -> bool:
        """Whether there are two labels, and therefore a threshold."""
        return len(self.labels) == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one text's scores: () for two labels, else (k,)."""
        return () if self.is_binary else (len(self.labels),)

    def at(self, threshold: float | None) -> "Decision":
        """Return this decision at another threshold; None keeps the present one.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or there are more than two
                labels.
        """
        return self if threshold is None else replace(self, threshold=threshold)

    def under(self, policy: Policy) -> "Decision":
        """Return this decision under a policy; its threshold is for the policy's scores.

        Raises:
            ThresholdError: there are more than two labels.
        """
        return replace(self, threshold=policy.threshold, policy=policy)

    def decide(
        self, scores: NDArray[np.floating[Any]], notices: Mapping[int, Notice] = _NO_NOTICES
    ) -> Decided:
        """Choose a label for each text.

        With two labels, a text without content gets the negative one and no score.

        Scores are compared in float64, as a client compares the numbers of a response; in float32,
        the threshold .9 would equal the score .89999998.

        Args:
            scores: float32[n] of the positive label, or float32[n, k] for k > 2 labels; with a
                policy, those of `Policy.scores`.
            notices: position → what is said about that text.
        """
        if self.threshold is None:
            rows: list[list[float]] = scores.tolist()
            best: list[int] = scores.argmax(axis=1).tolist()
            chosen = [row[at] for row, at in zip(rows, best, strict=True)]
            return Decided(best, chosen, rows, notices=notices)
        # Python's floats are float64, and faster than NumPy for a single text, the usual case.
        values: list[float] = scores.tolist()
        threshold = float(self.threshold)
        positions: list[int] = [value >= threshold for value in values]
        if self.policy is None and not notices:
            return Decided(positions, values)
        return self._with_remarks(positions, values, notices)

    def _with_remarks(
        self, positions: list[int], values: list[float], notices: Mapping[int, Notice]
    ) -> Decided:
        scores: list[float | None] = [*values]
        verdicts: list[Verdict] | None = None
        if self.policy is not None and self.policy.names_decisions:
            review = self.threshold if self.policy.review is None else self.policy.review
            assert review is not None  # noqa: S101 - for two labels there is a threshold # nosec B101
            verdicts = [
                "positive" if positive else "review" if value >= review else "negative"
                for positive, value in zip(positions, values, strict=True)
            ]
        for at, notice in notices.items():
            if notice == Notice.NO_CONTENT:
                positions[at], scores[at] = False, None
                if verdicts is not None:
                    verdicts[at] = "none"
        return Decided(positions, scores, None, verdicts, notices)

    def names(self, decided: Decided) -> list[str]:
        """Return the name of the label that each text got."""
        labels = self.labels
        return [labels[position] for position in decided.positions]

    def by_name(self, decided: Decided) -> list[dict[str, float]]:
        """Return label → score for each text; nothing for two labels."""
        return [dict(zip(self.labels, row, strict=True)) for row in decided.by_label or ()]

    def counts(self, positions: Sequence[int]) -> list[int]:
        """Count the texts that each label was chosen for, in the order of ``labels``."""
        return [positions.count(label) for label in range(len(self.labels))]


def _check_threshold(threshold: object) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise ThresholdError(f"the threshold is {threshold!r}; expected a number in [0, 1]")
    if not 0 <= threshold <= 1:  # NaN is not either
        raise ThresholdError(f"the threshold is {threshold}; expected a number in [0, 1]")
