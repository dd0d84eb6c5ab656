"""The page about texts outside the benchmark, and what follows from it for a user."""

import statistics
from dataclasses import dataclass
from math import sqrt
from typing import Final

from training.quality import slices
from training.quality.metrics import FITTED
from training.tables import figure, markdown_table

from ..schema.results import Results, Row, SliceRow
from ..schema.studies import LengthRow, Scope
from .benchmark import served_row
from .wording import percent, reflow, title, variant_title

# The rate of positives that alerts are computed for.
BASE_RATE: Final = 0.01

_Z = 1.959963984540054  # of a 95 % interval


@dataclass(frozen=True, slots=True)
class Alerts:
    """How a classifier's alerts turn out.

    Attributes:
        true_positive_rate: flagged positives, of all positives.
        false_positive_rate: flagged negatives, of all negatives.
    """

    true_positive_rate: float
    false_positive_rate: float

    def precision(self, base_rate: float) -> float:
        """Return the share of alerts that are right where positives have this share."""
        right = base_rate * self.true_positive_rate
        flagged = right + (1 - base_rate) * self.false_positive_rate
        return right / flagged if flagged else 1.0


def page(stored: Scope, results: Results) -> str:
    """Return ``scope.md``."""
    lengths = ", ".join(
        f"{figure(one.length_auroc)} on {title(one.model)}" for one in stored.models
    )
    return reflow(f"""\
# Outside the benchmark

The tables of [the results](README.md) hold for texts like those of the two data sets: English text
messages of about 2011, and tweets of one collection. This page shows how far that carries. It is
small; it is not a study of transfer. Try your own labelled traffic first.

## Long harmless texts are flagged

{corpus_note(stored)}

{length_table(stored)}
Made by `python -m study scope`; the counts are in [scope.json](scope.json). The scores depend on
the length of a text, which is a defect. The data sets invite it: the number of words alone ranks
their texts with an AUROC of {lengths}.

## Texts that mention an identity

Cyberbullying, test fold, grouped protocol, fitted threshold, means over seeds: of the harmless
texts that mention an identity ({len(slices.IDENTITY_TERMS)} words in `training/quality/slices.py`),
{identity_note(results)}.

## Few alerts are right where positives are rare

In the data set 83 % of the tweets are bullying. Where 1 % of the texts are, a false positive rate
that looks small produces most of the alerts. From the recorded figures of the served variants on
the test fold, at the default threshold (precision = π TPR / (π TPR + (1 − π) FPR), π =
{percent(BASE_RATE)}):

{alerts_table(results)}
A false positive rate of 0 is that of one test fold, with a few hundred harmless text messages; the
mean over seeds is the better estimate.
""")


def corpus_note(stored: Scope) -> str:
    """Say which texts were scored."""
    texts = stored.models[0].lengths[0].texts
    return f"""\
The share of harmless texts that the served artifacts flag at their default thresholds, with a 95 %
interval (Wilson): {texts} pieces per length, cut at random without overlap from {stored.corpus}
({stored.source}, {stored.licence}). No model learned from these texts. Words are what white space
separates."""


def length_table(stored: Scope) -> str:
    """Lay out the flagged share by length."""
    header = [
        "words",
        *(f"{title(one.model)}, {variant_title(one.variant)}" for one in stored.models),
    ]
    lines = [
        [str(rows[0].words), *(_flagged(row) for row in rows)]
        for rows in zip(*(one.lengths for one in stored.models), strict=True)
    ]
    return markdown_table(header, lines)


def identity_note(results: Results) -> str:
    """Compare the false positive rates of the served variant in both slices."""
    found: dict[str, SliceRow] = {
        one.slice: one for one in results.slices if results.chosen[one.model].variant == one.name
    }
    mentioned, others = found.get(slices.MENTIONED), found.get(slices.OTHERS)
    if mentioned is None or others is None:
        return "nothing was measured"
    return (
        f"{percent(mentioned.false_positive_rate or 0)} are flagged; of the other harmless texts, "
        f"{percent(others.false_positive_rate or 0)}. A fold holds {mentioned.negatives:.0f} such "
        "texts"
    )


def alerts_table(results: Results) -> str:
    """Lay out the precision of alerts of each served binary variant."""
    lines = []
    for model in results.chosen:
        per_seed = alerts(results, model)
        if per_seed:
            mean = Alerts(
                statistics.fmean(one.true_positive_rate for one in per_seed),
                statistics.fmean(one.false_positive_rate for one in per_seed),
            )
            lines.append([title(model), "the served artifact (seed 0)", *_alerts(per_seed[0])])
            lines.append([title(model), f"mean over {len(per_seed)} seeds", *_alerts(mean)])
    header = ["", "", "recall (TPR)", "false positive rate (FPR)"]
    return markdown_table([*header, f"precision at {percent(BASE_RATE)}"], lines)


def _alerts(one: Alerts) -> list[str]:
    rates = (one.true_positive_rate, one.false_positive_rate, one.precision(BASE_RATE))
    return [percent(value, 1) for value in rates]


def alerts(results: Results, model: str) -> list[Alerts]:
    """Compute the rates of what is served, for each seed, from its recorded figures.

    Accuracy and F1 on a fold with a known share of positives determine its confusion matrix.

    Returns:
        Nothing beyond two labels.
    """
    served = served_row(results, model)
    if served is None or served.threshold != FITTED:
        return []
    per_seed = zip(
        served.metrics.per_seed("accuracy"),
        served.metrics.per_seed("f1"),
        _positive_shares(results, served),
        strict=True,
    )
    return [Alerts(*_rates(accuracy, f1, share)) for accuracy, f1, share in per_seed]


def _positive_shares(results: Results, served: Row) -> list[float]:
    """Return the share of positives in each seed's test fold, by the row of the majority."""
    majority = next(
        row
        for row in results.rows
        if (row.kind, row.model, row.protocol) == ("majority", served.model, served.protocol)
    )
    pairs = zip(majority.metrics.per_seed("accuracy"), majority.metrics.per_seed("f1"), strict=True)
    return [accuracy if f1 > 0 else 1 - accuracy for accuracy, f1 in pairs]


def _rates(accuracy: float, f1: float, positives: float) -> tuple[float, float]:
    """Return true and false positive rate."""
    errors = 1 - accuracy
    if errors == 0:
        return 1.0, 0.0
    true_positives = f1 * errors / (2 * (1 - f1))  # F1 = 2 TP / (2 TP + errors)
    false_positives = max(0.0, 1 - positives - (accuracy - true_positives))
    return true_positives / positives, false_positives / (1 - positives)


def _flagged(row: LengthRow) -> str:
    low, high = _wilson(row.flagged, row.texts)
    return f"{percent(row.flagged / row.texts)} ({100 * low:.0f}–{100 * high:.0f})"


def _wilson(count: int, of: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share (Wilson 1927)."""
    share, square = count / of, _Z**2 / of
    centre = (share + square / 2) / (1 + square)
    half = _Z * sqrt(share * (1 - share) / of + square / (4 * of)) / (1 + square)
    return max(centre - half, 0.0), min(centre + half, 1.0)
