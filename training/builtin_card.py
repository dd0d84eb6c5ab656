"""The model card of a served built-in variant, as far as its manifest goes.

``make cards`` writes it again with what the studies measured.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dandelion.evaluation_file import CARD_FILE
from dandelion.manifest import Manifest

from .cache import write_atomically
from .quality.metrics import METRICS
from .tables import COLUMNS, as_markdown, figure, markdown_table

QUEUE_RECALL: Final = 0.2
"""A model that finds a smaller share is for queues that people read, not for removal."""

_FOLDS: Final = {
    "out_of_fold": "out of fold",
    "validation": "validation",
    "test": "test fold",
}


def write(manifest: Manifest, directory: Path) -> Path:
    """Write the card of an artifact next to it, and return its path."""
    path = directory / CARD_FILE
    write_atomically(path, page(manifest).encode())
    return path


def has_card(manifest: Manifest) -> bool:
    """Return whether an artifact's configuration says what it is for."""
    return bool(manifest.config.get("about"))


def page(manifest: Manifest) -> str:
    """Return the card of an artifact, in Markdown."""
    return "\n".join([_heading(manifest), purpose(manifest), figures(manifest)])


def figures(manifest: Manifest) -> str:
    """Return the sections about its threshold, quality and training."""
    parts = []
    if manifest.threshold is not None:
        parts += [_threshold(manifest), _by_source(manifest), _long_texts(manifest)]
    parts += [_quality(manifest), _training(manifest)]
    return "\n".join(part for part in parts if part)


def _heading(manifest: Manifest) -> str:
    labels = ", ".join(as_markdown(label) for label in manifest.labels)
    return f"""\
# {manifest.model}

Written by `make train-all` from `model.json`; do not edit it. `make cards` adds what the studies
measured. Variant `{manifest.variant}`, version `{manifest.version}`. Labels: {labels}.
"""


def purpose(manifest: Manifest) -> str:
    """Return the sections on what it is for, and what it is not for."""
    parts = [f"## What it is for\n\n{manifest.config['about'].strip()}\n"]
    if queues := list(_low_recalls(manifest)):
        listed = "; ".join(queues)
        parts.append(
            f"**For queues, not for removal**: at the default threshold it finds {listed}. What it "
            "flags, a person should read; what it does not flag is not harmless.\n"
        )
    if not_for := manifest.config.get("not_for", "").strip():
        parts.append(f"## What it is not for\n\n{not_for}\n")
    return "\n".join(parts)


def _low_recalls(manifest: Manifest) -> Iterator[str]:
    for fold, sources in (manifest.by_source or {}).items():
        for source, rates in sources.items():
            recall = rates["recall"]
            if recall is not None and recall < QUEUE_RECALL:
                name = as_markdown(source)
                yield f"{recall:.1%} of the positive texts of {name} ({_FOLDS.get(fold, fold)})"


def _threshold(manifest: Manifest) -> str:
    rule: Mapping[str, Any] = manifest.threshold_rule or {}
    where = "on validation"
    if rule.get("fitted_on") == "out_of_fold":
        where = (
            f"on {rule['folds']} folds of training and validation, each text scored by a network "
            "that did not learn from it; the network itself learnt from all of them"
        )
    head = f"## The default threshold\n\nA text is flagged at a score of {manifest.threshold:.4f} "
    if rule.get("criterion") == "limits":  # of artifacts before format 4
        return f"{head}or more: the lowest one within limits on false alarms, {where}.\n"
    if rule.get("criterion") != "operating_point":
        return f"{head}or more: the threshold that maximises macro-F1 {where}.\n"
    lines = [
        [
            f"`{one['constraint']}`",
            "all" if one["source"] is None else as_markdown(one["source"]),
            f"{one['texts']:,}",
            "" if one["value"] is None else f"{one['value']:.2%}",
        ]
        for one in rule["constraints"]
    ]
    table = markdown_table(["constraint", "source", "texts", "measured"], lines)
    promise = "each promised with" if rule["promised"] else "none of them promised at"
    return (
        f"{head}or more: the lowest threshold that meets these constraints, {promise} "
        f"{rule['confidence']:.0%} confidence, {where}. One text of each group of near copies "
        f"counts.\n\n{table}"
    )


def _by_source(manifest: Manifest) -> str:
    folds: Mapping[str, Any] = manifest.by_source or {}
    if not folds:
        return ""
    lines = [
        [
            as_markdown(source),
            _FOLDS.get(fold, fold),
            f"{rates['negatives']:,}",
            _percent(rates["false_positive_rate"]),
            f"{rates['positives']:,}",
            _percent(rates["recall"]),
        ]
        for source in next(iter(folds.values()))
        for fold, sources in folds.items()
        if (rates := sources.get(source)) is not None
    ]
    header = ["source", "texts of", "harmless", "flagged", "positive", "found (recall)"]
    return f"## Recall and false alarms by source\n\n{markdown_table(header, lines)}"


def _long_texts(manifest: Manifest) -> str:
    rule: Mapping[str, Any] = manifest.threshold_rule or {}
    if manifest.windows is None or "long_texts" not in rule:
        return ""
    lines = [
        [
            _names(one["sources"]),
            str(one["words"]),
            f"{one['texts']:,}",
            f"{one['false_positive_rate']:.1%}",
        ]
        for one in rule["long_texts"]
    ]
    windows = manifest.windows
    return f"""\
## Long texts

A longer text is read in windows of {windows["words"]} words; its logit is that of the highest
window − {windows["penalty"]:.2f} · log(number of windows). Harmless texts, joined to a length,
out of fold:

{markdown_table(["texts of", "words", "texts", "flagged"], lines)}"""


def _quality(manifest: Manifest) -> str:
    metrics: Mapping[str, Any] = manifest.metrics.get("test", {}).get(manifest.default_cut, {})
    shown = [metric for metric in METRICS if metrics.get(metric) is not None]
    if not shown:
        return ""
    table = markdown_table(
        [COLUMNS[metric] for metric in shown], [[figure(metrics[metric]) for metric in shown]]
    )
    rows = manifest.split.get("test", 0)
    how = "at the default threshold" if manifest.threshold is not None else "at the highest score"
    return f"""\
## On the test fold

{rows:,} texts of the same sources, {how}. One split and one seed; other texts give other figures.

{table}"""


def _training(manifest: Manifest) -> str:
    sources: Sequence[Mapping[str, Any]] = manifest.config.get("sources") or ()
    drawn = "".join(f"- {as_markdown(one['name'])}{_draw(one)}\n" for one in sources)
    listed = f"\nIt learnt from:\n\n{drawn}" if drawn else ""
    return f"""\
## Training

{manifest.dataset["rows"]:,} texts, loss `{manifest.loss}`, protocol `{manifest.protocol}`, seed
{manifest.seed}. Configuration, checksums and library versions are in `model.json`.
{listed}"""


def _draw(source: Mapping[str, Any]) -> str:
    parts = []
    if source.get("weight", 1.0) != 1.0:
        parts.append(f"weight {source['weight']:g}")
    if source.get("balanced"):
        parts.append("both classes equally often")
    if source.get("rows"):
        parts.append(f"{source['rows']:,} texts at most")
    return f" ({', '.join(parts)})" if parts else ""


def _names(sources: Sequence[str]) -> str:
    return ", ".join(as_markdown(source) for source in sources)


def _percent(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.1%}"
