"""The choice of a trial: of all within one standard error of the best, the cheapest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .estimates import Draws, Values, mean_of


@dataclass(frozen=True, slots=True)
class Judged:
    """A trial's criterion: mean of AUROC and of recall at 5 % false positives, over sources."""

    value: float
    standard_error: float


def criterion(drawn: Draws, logits: Values) -> Values:
    """Return a trial's criterion on one source in each sample, float64[samples + 1].

    Args:
        drawn: the source.
        logits: float64[n], of the trial.
    """
    return (drawn.auroc(logits) + drawn.recall(logits)) / 2


def judge(units: Sequence[Sequence[Values]]) -> Judged:
    """Judge a trial on sources, those of a unit averaged first.

    Args:
        units: of each source of each unit the trial's `criterion`.
    """
    samples = mean_of([mean_of(sources) for sources in units])
    return Judged(float(samples[0]), float(samples[1:].std(ddof=1)))


def choose(judged: Mapping[str, Judged]) -> str:
    """Return the first trial that is at most one standard error of the best one below it.

    Args:
        judged: trial → its criterion, the cheapest first.

    Example:
        >>> choose({"small": Judged(0.70, 0.02), "large": Judged(0.71, 0.02)})
        'small'
    """
    best = max(judged.values(), key=lambda one: one.value)
    return next(
        name for name, one in judged.items() if one.value >= best.value - best.standard_error
    )
