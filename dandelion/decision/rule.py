"""The one place where scores become labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class ThresholdError(ValueError):
    """A threshold is not a number in [0, 1], or is given to a model with more than two labels."""


class Decided(NamedTuple):
    """The decisions on texts, in their order.

    Attributes:
        positions: the index of each text's label in ``Decision.labels``; with two labels this or
            its truth value: 1 or True is the positive one.
        scores: of the positive label for two labels, otherwise of the chosen one; float32 values.
        by_label: for more than two labels, the scores of all labels for each text; otherwise None.
    """

    positions: list[int]
    scores: list[float]
    by_label: list[list[float]] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule by which the scores of a model become labels.

    With two labels, the positive one is chosen at ``score >= threshold``. With more labels there is
    no threshold: the one with the highest score is chosen, the first one among equals.

    Attributes:
        labels: the negative label, then the positive one; or all of them, in the scores' order.
        threshold: in [0, 1]; None for more than two labels.

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

    def decide(self, scores: NDArray[np.floating[Any]]) -> Decided:
        """Choose a label for each text.

        Scores are compared in float64, as a client compares the numbers of a response; in float32,
        the threshold .9 would equal the score .89999998.

        Args:
            scores: float32[n] of the positive label, or float32[n, k] for k > 2 labels.
        """
        if self.threshold is None:
            rows: list[list[float]] = scores.tolist()
            best: list[int] = scores.argmax(axis=1).tolist()
            return Decided(best, [row[at] for row, at in zip(rows, best, strict=True)], rows)
        # Python's floats are float64, and faster than NumPy for a single text, the usual case.
        values: list[float] = scores.tolist()
        threshold = float(self.threshold)
        return Decided([value >= threshold for value in values], values)

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
