"""The decision on one text, for people who read it in Python or on the command line."""

from collections.abc import Iterable, Mapping
from itertools import repeat
from typing import Literal, NamedTuple

from .rule import Decided, Decision, Verdict


class Prediction(NamedTuple):
    """The decision on one text.

    Attributes:
        label: one of the artifact's labels.
        score: of the positive label; with more than two labels, of ``label``. None for a text
            without content, with two labels.
        scores: label → score for more than two labels; None for two.
        decision: ``positive``, ``review`` or ``negative`` under a policy or an operating point;
            ``none`` for a text without content, always; else None.
        reason: ``no_content`` for a text without content; else None.
        low_evidence: whether few of its words are known.
    """

    label: str
    score: float | None
    scores: Mapping[str, float] | None = None
    decision: Verdict | None = None
    reason: Literal["no_content"] | None = None
    low_evidence: bool = False


def predict(decision: Decision, decided: Decided) -> list[Prediction]:
    """Return the decisions on texts, in their order.

    Args:
        decision: the rule.
        decided: its result.
    """
    names = decision.names(decided)
    by_label: Iterable[dict[str, float] | None] = decision.by_name(decided)
    if decided.by_label is None:
        by_label = repeat(None, len(names))
    if decided.is_plain:
        return list(map(Prediction, names, decided.scores, by_label))
    rows = zip(names, decided.scores, by_label, decided.remarks(), strict=True)
    return [Prediction(label, score, each, *remarks) for label, score, each, remarks in rows]
