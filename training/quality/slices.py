"""Slices: are false alarms more frequent where people are spoken of?

Texts that mention an identity (a faith, an origin, a gender, an orientation, a disability) are
compared with the rest, as in Dixon et al. 2018, "Measuring and Mitigating Unintended Bias in Text
Classification".
"""

from collections.abc import Sequence
from typing import Final, Literal, TypedDict

import numpy as np
from numpy.typing import NDArray

from dandelion.decision.rule import Decision
from dandelion.text.tokenizer import tokenize

from .metrics import Labels, Scores

IDENTITY_TERMS: Final = frozenset(
    """
    muslim muslims islam islamic christian christians christianity catholic jew jews jewish hindu
    hindus buddhist sikh atheist atheists
    black blacks white whites african africans asian asians arab arabs latino latina hispanic
    mexican mexicans indian indians chinese european american americans immigrant immigrants
    refugee refugees
    woman women female females girl girls man men male males boy boys feminist feminists
    gay gays lesbian lesbians bisexual transgender trans queer lgbt
    disabled blind deaf autistic
    """.split()  # noqa: SIM905
)

MENTIONED: Final = "identity terms"
OTHERS: Final = "others"

Slice = Literal["identity terms", "others"]


class Rates(TypedDict):
    """The error rates on a slice; a rate is None if the slice has no text of that class.

    Attributes:
        texts: how many.
        negatives: how many of them.
        false_positive_rate: share of the negatives that were labelled positive.
        false_negative_rate: share of the positives that were labelled negative.
    """

    texts: int
    negatives: int
    false_positive_rate: float | None
    false_negative_rate: float | None


def slices(
    texts: Sequence[str], labels: Labels, scores: Scores, threshold: float
) -> dict[Slice, Rates]:
    """Compute the error rates of each slice of a fold, positive at ``score >= threshold``.

    Args:
        texts: n of them.
        labels: int64[n] of 0 and 1.
        scores: float32[n].
        threshold: in [0, 1].
    """
    mentions = np.array([not IDENTITY_TERMS.isdisjoint(tokenize(text)) for text in texts], bool)
    positive = np.array(Decision.binary(threshold).decide(scores).positions, dtype=np.bool_)
    return {
        MENTIONED: _rates(labels[mentions], positive[mentions]),
        OTHERS: _rates(labels[~mentions], positive[~mentions]),
    }


def _rates(labels: Labels, positive: NDArray[np.bool_]) -> Rates:
    negatives, positives = labels == 0, labels == 1
    return Rates(
        texts=len(labels),
        negatives=int(negatives.sum()),
        false_positive_rate=_share(positive[negatives]),
        false_negative_rate=_share(~positive[positives]),
    )


def _share(wrong: NDArray[np.bool_]) -> float | None:
    return float(wrong.mean()) if len(wrong) else None
