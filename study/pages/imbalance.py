"""The page about rare minority classes: when does Dice pay?"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from training.tables import figure, markdown_table

from ..intervals import corrected_interval
from ..schema.studies import Imbalance, ImbalanceCell, SweptMetric
from .wording import reflow, small_percent, title

DICE: Final = "dice"
# Loss → its name on the page.
LOSSES: Final[Mapping[str, str]] = {
    "bce": "BCE",
    "weighted_bce": "weighted BCE",
    DICE: "Dice, both classes",
    "g_mean": "G-mean",
    "auroc_logistic": "AUROC",
}
METRICS: Final[Mapping[SweptMetric, str]] = {
    "macro_f1_at_half": "macro-F1 at 0.5",
    "macro_f1": "macro-F1, fitted",
    "average_precision": "AP",
    "g_mean": "G-mean, fitted",
}
_COMPARED: Final[tuple[SweptMetric, ...]] = ("macro_f1_at_half", "macro_f1", "average_precision")
_OTHERS = ("bce", "weighted_bce")


@dataclass(frozen=True, slots=True)
class _Difference:
    """Dice minus another loss, paired by seed."""

    mean: float
    low: float
    high: float


def page(stored: Imbalance) -> str:
    """Return ``imbalance.md``."""
    figures, differences = [], []
    for model in models_of(stored):
        for share in stored.shares:
            cells = [cell(stored, model, share, loss) for loss in LOSSES]
            place = [title(model), small_percent(share)]
            macro_f1 = [figure(one.metrics["macro_f1"].mean) for one in cells]
            dice = cell(stored, model, share, DICE)
            figures.append([*place, *_rows_of(dice), *macro_f1])
            compared = [
                _write(_compare(stored, model, share, metric, other))
                for metric in _COMPARED
                for other in _OTHERS
            ]
            differences.append([*place, *compared])
    header = ["", "minority", "in training", "in validation", "evaluated at", *LOSSES.values()]
    columns = [f"{METRICS[metric]}, {LOSSES[other]}" for metric in _COMPARED for other in _OTHERS]
    minorities = ", ".join(f"`{label}`" for label in stored.minority_labels.values())
    return reflow(f"""\
# When does Dice pay?

Made by `python -m study imbalance`; every figure is in [imbalance.json](imbalance.json).

{paragraph(stored)}

![macro-F1, average precision and G-mean over the share of the minority class](imbalance.svg)

## How

The minority class ({minorities}) of the training fold is subsampled, validation alike, but never
below 20 texts. The test fold stays whole; its texts are weighted to the share that validation has
(*evaluated at*: where 20 texts are more than the wanted share, it is more). Grouped protocol, seeds
{", ".join(map(str, stored.seeds))}, the plain DAN, one recipe for every loss: batches of 512,
each with every class's share, learning rate .003 for the layers and .009 for the embedding, weight
decay 1, cosine schedule, the last epoch kept. *Fitted*: at the threshold that maximises macro-F1 on
validation. AP ranks the *minority* class first, on Cyberbullying the negative one: AP of the
positives is near 1 in any order. The AUROC loss has no natural threshold and needs the fitted one.

Macro-F1 at the fitted threshold:

{markdown_table(header, figures)}
Dice minus the other loss, paired by seed, with the corrected resampled t interval (95 %), bold
where it does not contain zero:

{markdown_table(["", "minority", *columns], differences)}""")


def paragraph(stored: Imbalance) -> str:
    """Summarise when Dice pays, from the figures."""
    collapsed = {
        loss: sum(one.collapsed for one in stored.cells if one.loss == loss) for loss in LOSSES
    }
    runs = len(models_of(stored)) * len(stored.shares) * len(stored.seeds)
    at_half, fitted, ranking = (_verdict(stored, metric) for metric in _COMPARED)
    return f"""\
At threshold 0.5, Dice (both classes counted, [cured](sensitivity.md)) {at_half}. It predicts one
class in {collapsed[DICE]} of {runs} runs, BCE in {collapsed["bce"]}, weighted BCE in
{collapsed["weighted_bce"]}. With the threshold fitted on validation it {fitted}. In ranking, by the
average precision (AP) of the minority class, it {ranking}."""


def models_of(stored: Imbalance) -> list[str]:
    """Return the models of the sweep, in order."""
    return list(dict.fromkeys(one.model for one in stored.cells))


def cell(stored: Imbalance, model: str, share: float, loss: str) -> ImbalanceCell:
    """Return the figures of one loss at one share."""
    wanted = (model, share, loss)
    return next(one for one in stored.cells if (one.model, one.share, one.loss) == wanted)


def _compare(
    stored: Imbalance, model: str, share: float, metric: SweptMetric, other: str
) -> _Difference:
    ours, theirs = (
        cell(stored, model, share, loss).metrics[metric].per_seed for loss in (DICE, other)
    )
    values = [a - b for a, b in zip(ours, theirs, strict=True)]
    return _Difference(statistics.fmean(values), *corrected_interval(values))


def _verdict(stored: Imbalance, metric: SweptMetric) -> str:
    """Count the points where Dice is ahead of another loss or behind, its interval without zero."""
    counts, balance = [], 0
    models = models_of(stored)
    for other in _OTHERS:
        compared = [
            _compare(stored, model, share, metric, other)
            for model in models
            for share in stored.shares
        ]
        ahead = sum(one.low > 0 for one in compared)
        behind = sum(one.high < 0 for one in compared)
        balance += ahead - behind
        counts.append(f"ahead of {LOSSES[other]} at {ahead} and behind at {behind}")
    word = "pays" if balance > 0 else "does not pay"
    return f"{word}: of {len(models) * len(stored.shares)} points it is {', '.join(counts)}"


def _rows_of(one: ImbalanceCell) -> list[str]:
    counts = (one.train_minority, one.validation_minority)
    return [*(f"{count:.0f}" for count in counts), small_percent(one.evaluated)]


def _write(difference: _Difference) -> str:
    low, high = difference.low, difference.high
    text = f"{difference.mean:+.3f} ({low:+.3f} … {high:+.3f})"
    return text if low <= 0 <= high else f"**{text}**"
