"""The one place where a score becomes a label."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray


class ThresholdError(ValueError):
    """A threshold is not a number in [0, 1], or is given to a model with more than two labels."""


class Decided(NamedTuple):
    """The decisions on some texts, in their order.

    Attributes:
        positions: of the label in the decision's ``labels``, one per text; of two labels 1 is the
            positive one.
        scores: with two labels the positive label's, else the chosen label's; float32 values.
        by_label: with more than two labels, a score per label for each text; None for two.
    """

    positions: list[int]
    scores: list[float]
    by_label: list[list[float]] | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The rule by which a model's scores become labels.

    With two labels, the positive one is chosen at ``score >= threshold``. With more there is no
    threshold, and the label with the highest score is chosen, the first of equals.

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
        >>> decision.decide(np.array([0.5, 0.25], dtype=np.float32)).positions
        [1, 0]
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
        """Return the decision between two labels without names, as evaluation needs it."""
        return cls(("negative", "positive"), threshold)

    @property
    def is_binary(self) -> bool:
        """Whether there are two labels, and so a threshold."""
        return len(self.labels) == 2

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of one text's scores: () for two labels, else (k,)."""
        return () if self.is_binary else (len(self.labels),)

    def at(self, threshold: float | None) -> "Decision":
        """Return this decision with another threshold; None keeps its own.

        Raises:
            ThresholdError: the threshold is not a number in [0, 1], or there are more than two
                labels.
        """
        return self if threshold is None else replace(self, threshold=threshold)

    def decide(self, scores: NDArray[np.floating[Any]]) -> Decided:
        """Choose a label for each text.

        The comparison is made in float64, as anyone who reads a score and a threshold from a
        response would make it: in float32 the threshold .9 would equal the score .89999998.

        Args:
            scores: float32[n] of the positive label, or float32[n, k] for k > 2 labels.
        """
        if self.threshold is None:
            rows: list[list[float]] = scores.tolist()
            best: list[int] = scores.argmax(axis=1).tolist()
            return Decided(best, [row[at] for row, at in zip(rows, best, strict=True)], rows)
        # Python's floats are float64, and for the usual single text cheaper than NumPy's calls.
        values: list[float] = scores.tolist()
        threshold = float(self.threshold)
        return Decided([value >= threshold for value in values], values)

    def counts(self, positions: Sequence[int]) -> list[int]:
        """Count the texts that each label was chosen for, in the order of ``labels``."""
        return [positions.count(label) for label in range(len(self.labels))]


def _check_threshold(threshold: object) -> None:
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | np.number):
        raise ThresholdError(f"the threshold is {threshold!r}; expected a number in [0, 1]")
    if not 0 <= threshold <= 1:  # NaN is not either
        raise ThresholdError(f"the threshold is {threshold}; expected a number in [0, 1]")
