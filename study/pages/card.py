"""A model card: what a served model is for, what was measured, and how sure that is."""

from collections.abc import Mapping
from typing import Final

from dandelion.manifest import Manifest
from training import builtin_card
from training.quality.metrics import METRICS
from training.tables import COLUMNS, as_markdown, figure, markdown_table

from ..schema.evaluation import Evaluation, Needed, PointFigures
from ..schema.robustness import Count
from ..schema.transfer import Interval
from .wording import percent, reflow, seeds, small_percent, with_interval

_LABELS: Final[Mapping[str, str]] = {
    "narrower": "calls less positive than the model",
    "equal": "means the same by positive",
    "broader": "calls more positive than the model",
}

_ACTION: Final = """\
## What to do with a flag

Put the text into a queue that a person reads. The model is not fit

- to remove texts or to punish people by itself: it reads one text, without who wrote it to whom
  and why;
- to find crises, such as self-harm or an emergency: it learnt nothing about them, and what it does
  not flag may be one;
- to protect children: grooming and exploitation are not among its labels;
- for other languages than English: it learnt from English alone, and nothing else was measured."""


def page(evaluation: Evaluation, manifest: Manifest) -> str:
    """Return ``MODEL_CARD.md``."""
    parts = [
        _heading(evaluation, manifest),
        builtin_card.purpose(manifest),
        _ACTION,
        builtin_card.figures(manifest),
        _data(evaluation),
        _over_seeds(evaluation),
    ]
    if manifest.threshold is not None:
        parts += [_points(evaluation), _base_rates(evaluation), _needed(evaluation)]
    parts += [
        _calibration(evaluation),
        _transfer(evaluation),
        _robustness(evaluation),
        _slices(evaluation),
        _limits(evaluation, manifest),
        _reproduce(evaluation),
    ]
    return reflow("\n\n".join(part.strip("\n") for part in parts) + "\n")


def _heading(evaluation: Evaluation, manifest: Manifest) -> str:
    labels = ", ".join(as_markdown(label) for label in manifest.labels)
    return f"""\
# {evaluation.model}

Written by `make cards` from this artifact and `docs/results/*.json`; do not edit it. The figures
are in `evaluation.json`, too. Variant `{evaluation.variant}`, version `{evaluation.version}`.
Labels: {labels}."""


def _data(evaluation: Evaluation) -> str:
    lines = [
        [
            as_markdown(one.title) + (" (generated)" if one.is_generated else ""),
            f"{one.rows:,}",
            " · ".join(percent(share) for share in one.shares),
            as_markdown(one.licence),
            f"`{one.sha256[:12]}`" if one.sha256 else "",
        ]
        for one in evaluation.sources
    ]
    table = markdown_table(["source", "texts", "of each label", "licence", "SHA-256"], lines)
    return f"""\
## Data and protocol

{table}
Data set `{evaluation.data_sha256[:12]}`, {evaluation.rows:,} texts; configuration
`configs/{evaluation.model}/{evaluation.variant}.toml`, with all defaults
`{evaluation.configuration_sha256[:12]}`; protocol {evaluation.protocol}, split
`{evaluation.split_sha256[:12]}`, seed {evaluation.seed}. Under the protocol *grouped*, near copies
stay in one of training, validation and test, 80, 10 and 10 % of the texts."""


def _over_seeds(evaluation: Evaluation) -> str:
    found = evaluation.seeds
    if found is None:
        return """\
## Over several seeds

Not measured: no study in `docs/results` has this variant on more than one split."""
    metrics = [metric for metric in METRICS if metric in found.metrics]
    lines = [[COLUMNS[metric], with_interval(found.metrics[metric])] for metric in metrics]
    cut = "the highest score" if found.threshold is None else "the threshold of best macro-F1"
    note = ""
    if not found.of_this_artifact:
        note = """
**Other data or other code than this artifact's**: the run of its seed has other figures. It is the
same variant by name, as it was reported last."""
    return f"""\
## Over several seeds

Means over {seeds(found.seeds)}, each its own split and initialisation (protocol {found.protocol}),
at {cut}, with 95 % intervals (corrected resampled t; Nadeau & Bengio 2003).
{note}

{markdown_table(["metric", "mean"], lines)}"""


def _points(evaluation: Evaluation) -> str:
    if not evaluation.evidence:
        return """\
## Operating points

None: this artifact has no evidence, that is, no counts of held-out scores to fit them on."""
    texts = [sum(counts[label] for counts in evaluation.evidence.values()) for label in (0, 1)]
    lines = [_point(one, evaluation.default_point) for one in evaluation.points]
    header = ["operating point", "threshold", "promised", "recall", "false-positive rate"]
    problems = "\n".join(
        f"- `{one.point}`: {as_markdown(one.problem)}"
        for one in evaluation.points
        if one.problem is not None
    )
    return f"""\
## Operating points

Fitted on {texts[0]:,} harmless and {texts[1]:,} positive texts that the network of their fold did
not learn from, one of each group of near copies. *Promised*: the constraint holds with a confidence
of 95 % on such texts. The promise is about the procedure, for these are the scores of five networks
on 80 % of the texts, and the served one is a sixth. Intervals are 95 %.

{markdown_table(header, lines)}
{problems}"""


def _point(one: PointFigures, default: str | None) -> list[str]:
    name = f"`{one.point}`" + (" (default)" if one.point == default else "")
    if one.threshold is None:
        return [name, "infeasible", "", "", ""]
    return [
        name,
        f"{one.threshold:.4f}",
        "yes" if one.promised else "no",
        "" if one.recall is None else _shares(one.recall),
        "" if one.fpr is None else _shares(one.fpr),
    ]


def _base_rates(evaluation: Evaluation) -> str:
    found = evaluation.at_base_rates
    if found is None:
        return """\
## Precision at base rates

Not known: there is no count of false alarms at the default threshold in this artifact."""
    basis = {
        "out_of_fold": "held-out texts, out of fold",
        "test": f"the test fold of seed {evaluation.seed}, near copies included",
    }[found.basis]
    lines = [
        [small_percent(one.prior), _shares(one.precision), _numbers(one.alerts)]
        for one in found.rates
    ]
    header = ["positive texts", "precision", "alerts per 10,000"]
    return f"""\
## Precision at base rates

The default threshold flags {_shares(found.recall)} of {found.positives:,} positive and
{_shares(found.fpr)} of {found.negatives:,} harmless texts ({basis}). Where positive texts are rarer
or more frequent than there, and nothing else differs:

{markdown_table(header, lines)}
The bounds are computed from the ends of both 95 % intervals."""


def _needed(evaluation: Evaluation) -> str:
    if not evaluation.needed:
        return """\
## Labelled texts that a promise takes

Not known: this takes evidence."""
    targets = list(dict.fromkeys(one.precision for one in evaluation.needed))
    by_prior: dict[float, dict[float, Needed]] = {}
    for one in evaluation.needed:
        by_prior.setdefault(one.prior, {})[one.precision] = one
    lines = [
        [small_percent(prior), *(_need(row[target]) for target in targets)]
        for prior, row in by_prior.items()
    ]
    header = ["positive texts", *(f"precision ≥ {target:g}" for target in targets)]
    return f"""\
## Labelled texts that a promise takes

What can be promised at 95 % with the evidence, and the recall that is left; otherwise how many
labelled texts it would take in all, if further ones are like these (harmless ones where false
alarms limit it, else see `evaluation.json`).

{markdown_table(header, lines)}"""


def _need(one: Needed) -> str:
    if one.is_promised:
        return f"**recall {percent(one.recall or 0.0)}**"
    return "no number" if one.texts is None else f"{one.texts:,}"


def _calibration(evaluation: Evaluation) -> str:
    found = evaluation.calibration
    if found is None:
        return """\
## Calibration

None: scores of this artifact are not calibrated, so they are no probabilities."""
    parameters = ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else str(value)
        for name, value in found.parameters.items()
    )
    text = f"""\
## Calibration

A score is the probability of the positive label where half of the texts are positive. The map of
logits: {parameters}."""
    if found.before is None or found.after is None:
        return text
    lines = [
        [name, figure(one.log_loss), figure(one.brier), figure(one.ece)]
        for name, one in (("uncalibrated", found.before), ("calibrated", found.after))
    ]
    return f"""\
{text} On the texts of the evidence, which it was fitted on, both classes weighted equally:

{markdown_table(["scores", "log loss", "Brier", "ECE, 15 equally full bins"], lines)}"""


def _transfer(evaluation: Evaluation) -> str:
    if not evaluation.transfer:
        return """\
## Transfer

Not measured."""
    lines = [
        [
            as_markdown(one.source),
            one.use,
            _LABELS.get(one.label, one.label),
            f"{one.texts:,} · {one.positives:,}",
            with_interval(one.auroc),
            with_interval(one.recall),
        ]
        for one in evaluation.transfer
    ]
    header = ["source", "use", "the source", "texts · positive", "AUROC", "recall at 5 % FPR"]
    return f"""\
## Transfer

How this variant does on a source that the fit did not learn from, which is the best guess for your
texts; recall at the threshold where the source itself has 5 % false positives. Intervals are 95 %,
of a bootstrap: where no error was seen, it shows no doubt, however few the texts. More, and
baselines: `docs/results/transfer.md`.

{markdown_table(header, lines)}"""


def _robustness(evaluation: Evaluation) -> str:
    found = evaluation.robustness
    if found is None:
        return """\
## Robustness

Not measured."""
    note = "" if found.of_this_artifact else f" Measured on version `{found.version}`."
    evasions = [one for one in found.changes if one.kind == "evasion" and one.kept.of]
    lines = [[one.change, _count(one.kept), _count(one.flagged)] for one in evasions]
    parts = [
        f"""\
## Robustness

Of the positives that were flagged, how many still are after a change that is meant to evade; and of
the negatives, how many are flagged after it. All changes: `docs/results/robustness.md`.{note}

{markdown_table(["change", "still flagged", "false alarms"], lines)}"""
    ]
    if found.lengths:
        worst = max(found.lengths, key=lambda one: one.flagged.count / one.flagged.of)
        parts.append(
            f"Of harmless texts of 5 to {max(one.words for one in found.lengths)} words that no "
            f"model learns from, {_count(worst.flagged)} are flagged at the worst length, "
            f"{worst.words} words ({as_markdown(worst.corpus)})."
        )
    if found.identity:
        lines = [
            [
                one.group,
                _count(one.harmless),
                _count(one.hateful),
                figure(one.bpsn),
                figure(one.bnsp),
            ]
            for one in found.identity
        ]
        header = ["group", "harmless flagged", "hateful flagged", "BPSN AUROC", "BNSP AUROC"]
        parts.append(
            "Sentences from templates about groups of people (Borkan et al. 2019):\n\n"
            + markdown_table(header, lines)
        )
    return "\n\n".join(part.strip("\n") for part in parts)


def _slices(evaluation: Evaluation) -> str:
    if not evaluation.slices:
        return """\
## Texts that name groups

Not measured."""
    lines = [
        [
            one.slice,
            f"{one.texts:,.0f}",
            f"{one.negatives:,.0f}",
            _percent(one.false_positive_rate),
            _percent(one.false_negative_rate),
        ]
        for one in evaluation.slices
    ]
    header = ["slice", "texts", "harmless", "false-positive rate", "false-negative rate"]
    over = evaluation.seeds
    whose = f"the test fold of seed {evaluation.seed}"
    if over is not None and over.of_this_artifact:
        whose = f"the test folds of {seeds(over.seeds)}, means"
    return f"""\
## Texts that name groups

Errors at the default threshold on {whose}, of texts with and without words for a faith, an
origin, a gender, an orientation or a disability:

{markdown_table(header, lines)}"""


def _limits(evaluation: Evaluation, manifest: Manifest) -> str:
    lines = [
        """\
- The labels are those of the collections: their annotators' errors and tastes are learnt along.
  Such models are known to flag dialects, and swearing among friends, too often.
- Every figure is of texts like the collections'. Yours are others: label a few hundred, and measure
  them (`dandelion evaluate`)."""
    ]
    if any(one.is_generated for one in evaluation.sources):
        lines.append("- Sources made from templates teach, but show nothing about real traffic.")
    if manifest.windows is not None:
        lines.append("- Of a long text the most suspicious part decides, whatever the rest says.")
    if manifest.threshold is not None and evaluation.evidence is None:
        lines.append("- Nothing is promised about the default threshold; its rates are estimates.")
    return "## Limits\n\n" + "\n".join(lines)


def _reproduce(evaluation: Evaluation) -> str:
    return f"""\
## How to reproduce

```console
$ make train-all    # this artifact, from configs/{evaluation.model}/{evaluation.variant}.toml
$ make report transfer robustness    # the studies, hours
$ make cards    # this page
```

Library versions and checksums are in `model.json`."""


def _shares(one: Interval) -> str:
    """Write a share with its interval, in percent.

    Example:
        >>> _shares(Interval(0.0123, 0.01, 0.02))
        '1.23 % (1.00–2.00)'
    """
    return f"{percent(one.value, 2)} ({100 * one.low:.2f}–{100 * one.high:.2f})"


def _numbers(one: Interval) -> str:
    return f"{one.value:,.0f} ({one.low:,.0f}–{one.high:,.0f})"


def _count(one: Count) -> str:
    return f"{percent(one.count / one.of, 1)} of {one.of:,}" if one.of else ""


def _percent(rate: float | None) -> str:
    return "" if rate is None else percent(rate, 1)
