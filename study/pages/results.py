"""The page of ``docs/results/``."""

from collections.abc import Sequence
from pathlib import PurePath
from typing import Final

from training.quality import slices
from training.quality.metrics import FITTED, HALF, Metric
from training.tables import COLUMNS, figure, markdown_table

from ..schema.results import Results
from ..schema.studies import Stored
from . import benchmark, finer_labels, imbalance, paper, scope, sensitivity
from .wording import reflow, title, variant_title

_COLUMNS: Final[tuple[Metric, ...]] = (
    "accuracy",
    "f1",
    "f1_minority",
    "macro_f1",
    "mcc",
    "g_mean",
    "auroc",
    "average_precision",
    "brier",
    "ece",
)


_CURVES: Final = """\
## Learning curves

The paper's Figures 1 to 6: accuracy, F1 and loss of Dice on both data sets, threshold 0.5, without
dropout. The figures are in [learning-curves.json](learning-curves.json).

![Learning curves of Dice](learning-curves-dice.svg)

The same under the other two losses.

![Learning curves of weighted BCE](learning-curves-weighted_bce.svg)

![Learning curves of MSE](learning-curves-mse.svg)"""


def page(stored: Stored, tuning_pages: Sequence[str]) -> str:
    """Return ``README.md`` of the results.

    Args:
        stored: the figures.
        tuning_pages: file names of the pages about tuning, next to this one.
    """
    sections = [
        _introduction(tuning_pages),
        _baselines(stored),
        _dice(stored),
        _identities(stored.results),
        _scope(stored),
        _paper(stored),
        _CURVES,
        _variants(stored.results),
    ]
    return reflow("\n\n".join(section.strip("\n") for section in sections if section) + "\n")


def _introduction(tuning_pages: Sequence[str]) -> str:
    return f"""\
# Results

Made by `make report`; the figures behind it are in [results.json](results.json), and `python -m
study pages` writes every page here from the stored figures alone. Every metric is computed from the
exported artifact, as it would be served. Thresholds, epochs and hyper-parameters are chosen on
validation, hyper-parameters on seeds that are not reported here ({_tuning_links(tuning_pages)}).
The contributions of single features of the networks are in [ablations](ablations.md), texts unlike
these data sets in [scope](scope.md).

In a run, the test fold is read once, at the end. But the test folds of these seeds have been read
by three published versions of this table, and configurations changed in between: differences of a
few units of the third digit may be luck.

Thresholds: *0.5* (of a baseline's margin: 0); *fitted* maximises macro-F1 on validation and is the
one that is served; *fitted to accuracy* maximises accuracy on validation and is used only in Table
1: accuracy and F1 of the positive class are all that the paper reports, and macro-F1 gives up some
of both where the positives are the majority."""


def _baselines(stored: Stored) -> str:
    results = stored.results
    return f"""\
## Compared with the baselines

Grouped protocol: near copies of a message stay on one side (*grouped*: by form, not by meaning).
Seeds 0–9 on SMS, 0–4 on Cyberbullying. µs per text: in a batch of 256 and alone, from raw text, one
thread. fastText's times include splitting the text into tokens in
Python; its `predict` alone takes less ([benchmarks](../benchmarks.md)). In bold what is served: of
the shipped variants the one with the largest mean of macro-F1, MCC, AUROC and AP on validation.

{benchmark.two_classes(results, [HALF, FITTED], _COLUMNS)}
### Is it ahead?

What is served against the best baseline of each metric; paired by seed, with
the corrected resampled t interval (95 %; Nadeau & Bengio 2003). Where an interval contains zero,
neither is ahead.

{benchmark.ahead(results)}
{ahead_note(results)}

{benchmark.aims(results)}
{_finer_labels(stored)}### Six classes

Cyberbullying type; macro-F1 is the mean of the classes' F1.

{benchmark.six_classes(results)}
{benchmark.confusion(results)}"""


def _dice(stored: Stored) -> str:
    return f"""\
## When does Dice collapse, and when does it pay?

{sensitivity.paragraph(stored.sensitivity)}

More, with the map: [sensitivity](sensitivity.md).

{imbalance.paragraph(stored.imbalance)}

More, with the plot: [imbalance](imbalance.md)."""


def _identities(results: Results) -> str:
    return f"""\
## Errors on texts about identities

False positives on texts that mention an identity (a faith, an origin, a gender, an orientation, a
disability: {len(slices.IDENTITY_TERMS)} words in `training/quality/slices.py`) and on the others.
Cyberbullying, grouped protocol, fitted threshold, means over seeds:

{_slices(results)}
Where an identity is mentioned, nearly all texts of this data set are labelled as bullying, and
false positives are about twice as frequent there. Let a person decide on such texts."""


def _paper(stored: Stored) -> str:
    results = stored.results
    return f"""\
## Table 1, next to the paper's

Protocol `paper`: random split, 80/10/10, stratified; seeds 0–9. Copies of test messages sit in
training, as in the paper; the grouped table above is the one to trust.

{paper.table1(results, paper.THRESHOLDS)}
{paper.not_higher(results)}

{paper.DICE_NOTE}

{paper.naive_note(results, stored.sensitivity)}

Where the positives are the majority, weighted BCE weights a positive less than a negative, and so
does macro-F1: both give up accuracy and F1 of the positive class for the minority.

On Cyberbullying the larger class is the positive one: predicting "cyberbullying" for everything has
accuracy .833 and F1 .909. The paper's Dice row is that constant prediction."""


def _variants(results: Results) -> str:
    return f"""\
## One variant against another

Differences of means at the fitted threshold, paired by seed, with the same interval.

{benchmark.variants(results)}"""


def ahead_note(results: Results) -> str:
    """Say, for each data set, on which metrics what is served is ahead, and on which it is not."""
    sentences = []
    for model in results.chosen:
        clear, unclear = benchmark.ahead_on(results, model)
        if not clear and not unclear:
            continue
        sentence = f"On {title(model)}, what is served is ahead of every baseline"
        sentence += (
            f" in {_list(clear)} (every interval is above zero)" if clear else " in no metric"
        )
        if clear and unclear:
            sentence += f"; in {_list(unclear)} it is not"
        sentences.append(f"{sentence}.")
    return "\n\n".join(sentences)


def _list(metrics: Sequence[Metric]) -> str:
    return ", ".join(COLUMNS[metric] for metric in metrics)


def _finer_labels(stored: Stored) -> str:
    if stored.finer_labels is None:
        return ""
    return f"### What the finer labels are worth\n\n{finer_labels.section(stored.finer_labels)}\n\n"


def _scope(stored: Stored) -> str:
    if stored.scope is None:
        return ""
    return f"""\
## Outside the benchmark

{scope.corpus_note(stored.scope)}

{scope.length_table(stored.scope)}
More, with the precision of alerts where positives are rare: [scope](scope.md).

"""


def _slices(results: Results) -> str:
    header = ["", "texts", "texts not bullying", "false positive rate", "false negative rate"]
    lines = [
        [
            f"{variant_title(one.name)}, {one.slice}",
            f"{one.texts:.0f}",
            f"{one.negatives:.0f}",
            _rate(one.false_positive_rate),
            _rate(one.false_negative_rate),
        ]
        for one in results.slices
    ]
    return markdown_table(header, lines)


def _rate(value: float | None) -> str:
    return "" if value is None else figure(value)


def _tuning_links(names: Sequence[str]) -> str:
    return ", ".join(f"[{PurePath(name).stem.removeprefix('tuning-')}]({name})" for name in names)
