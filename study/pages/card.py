"""A model card: what a served model is for, what was measured, and how sure that is."""

from collections.abc import Mapping
from typing import Final

from dandelion.manifest import Manifest
from training import builtin_card
from training.quality.metrics import METRICS
from training.tables import COLUMNS, as_markdown, figure, markdown_table

from ..schema.evaluation import Evaluation
from ..schema.robustness import Count
from . import card_decisions
from .wording import percent, reflow, seeds, with_interval

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
        parts += [
            card_decisions.points(evaluation),
            card_decisions.promises(evaluation),
            card_decisions.base_rates(evaluation),
            card_decisions.needed(evaluation),
        ]
    parts += [
        card_decisions.calibration(evaluation),
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
    note = "\n"
    if not found.of_this_artifact:
        note = """

**These figures are of an earlier state of this variant**, with other data or other code: they do
not describe this artifact exactly. Its own figures are under "On the test fold".
"""
    return f"""\
## Over several seeds

Means over {seeds(found.seeds)}, each its own split and initialisation (protocol {found.protocol}),
at {cut}, with 95 % intervals (corrected resampled t; Nadeau & Bengio 2003).{note}
{markdown_table(["metric", "mean"], lines)}"""


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

How this variant does on a source that it did not learn from, which is the best guess for your
texts: *left out* is a source of training without which the network was fitted again, *measured
only* one that is never learnt from. Recall is at the threshold at which 5 % of the source's
harmless texts are flagged. Intervals are 95 %, of a bootstrap: where no error was seen, the
interval has no width, however few the texts. More, and baselines: `docs/results/transfer.md`.

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
- The labels are those of the collections: their annotators' errors and tastes are learnt, too.
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


def _count(one: Count) -> str:
    return f"{percent(one.count / one.of, 1)} of {one.of:,}" if one.of else ""


def _percent(rate: float | None) -> str:
    return "" if rate is None else percent(rate, 1)
