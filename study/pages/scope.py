"""The page about what follows from the results for a user whose texts are others."""

import statistics
from dataclasses import dataclass
from typing import Final

from training.quality import slices
from training.quality.metrics import FITTED
from training.tables import markdown_table

from ..schema.results import Results, Row, SliceRow
from .benchmark import served_row
from .wording import percent, reflow, title

# The rate of positives that alerts are computed for.
BASE_RATE: Final = 0.01


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


def page(results: Results) -> str:
    """Return ``scope.md``."""
    return reflow(f"""\
# Outside the benchmark

The tables of [the results](README.md) hold for texts like those of the data sets: English text
messages of about 2011, and tweets of one collection. This page shows, from the figures recorded for
version 0.5.0, how far they carry. What is served since 0.6.0 is measured in
[transfer](transfer.md) and [robustness](robustness.md). Try your own labelled traffic first.

## Texts that mention an identity

Cyberbullying, test fold, grouped protocol, fitted threshold, means over seeds: of the harmless
texts that mention an identity ({len(slices.IDENTITY_TERMS)} words in `training/quality/slices.py`),
{identity_note(results)}.

## Few alerts are right where positives are rare

{_positives(results)}Where {percent(BASE_RATE)} of the texts are positive, a false positive rate
that looks small produces most of the alerts. From the recorded figures of the variants that 0.5.0
served, on the test fold, at the default threshold (precision = π TPR / (π TPR + (1 − π) FPR), π =
{percent(BASE_RATE)}):

{alerts_table(results)}
A test fold without false positives determines no precision (–): a few hundred harmless texts cannot
show how rare they are. The mean over seeds is the better estimate.
""")


def identity_slices(results: Results) -> tuple[SliceRow, SliceRow] | None:
    """Return the served variant's rows: texts that mention an identity, and the others."""
    found = {
        one.slice: one for one in results.slices if results.chosen[one.model].variant == one.name
    }
    mentioned, others = found.get(slices.MENTIONED), found.get(slices.OTHERS)
    return None if mentioned is None or others is None else (mentioned, others)


def identity_note(results: Results) -> str:
    """Compare the false positive rates of the served variant in both slices."""
    found = identity_slices(results)
    if found is None:
        return "nothing was measured"
    mentioned, others = found
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
            lines.append([title(model), "seed 0", *_alerts(per_seed[0])])
            lines.append([title(model), f"mean over {len(per_seed)} seeds", *_alerts(mean)])
    header = ["", "", "recall (TPR)", "false positive rate (FPR)"]
    return markdown_table([*header, f"precision at {percent(BASE_RATE)}"], lines)


def _alerts(one: Alerts) -> list[str]:
    rates = [percent(rate, 1) for rate in (one.true_positive_rate, one.false_positive_rate)]
    return [*rates, percent(one.precision(BASE_RATE), 1) if one.false_positive_rate else "–"]


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


def _positives(results: Results) -> str:
    """Report the share of positives in the test folds of the tweets."""
    served = served_row(results, "cyberbullying")
    if served is None:
        return ""
    share = statistics.fmean(_positive_shares(results, served))
    return f"In the data set {percent(share)} of the tweets are bullying. "


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
