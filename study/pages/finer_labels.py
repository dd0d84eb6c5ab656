"""The section about the six finer labels: what learning them is worth, and to whom."""

from training.quality.metrics import Metric
from training.tables import COLUMNS, figure, markdown_table

from ..schema.studies import FinerLabels, FinerLabelsRow
from .wording import mean, seeds, title, variant_title

_METRICS: tuple[Metric, ...] = ("accuracy", "macro_f1", "mcc", "auroc", "average_precision")
_SHOWN: tuple[Metric, ...] = ("macro_f1", "auroc")


def section(stored: FinerLabels) -> str:
    """Return the section of the results page, without its heading."""
    header = ["", "labels learned", *(COLUMNS[metric] for metric in _METRICS)]
    lines = [
        [_name(row), str(row.labels), *(mean(row.metrics.get(metric)) for metric in _METRICS)]
        for row in stored.rows
    ]
    return f"""\
On {title(stored.model)} the wide variants learn the six finer labels as well (`types_weight`). The
baselines of the tables above do not get these labels. The table below gives them to two baselines,
and takes them from ours: a baseline learns the six classes and its score is that of "not the
negative class"; every row is evaluated on the two labels, at the threshold fitted to macro-F1 on
validation, on the test fold of {seeds(stored.seeds)} of the grouped protocol. Made by `python -m
study finer-labels`; the figures are in [finer-labels.json](finer-labels.json).

{markdown_table(header, lines)}
{note(stored)}"""


def note(stored: FinerLabels) -> str:
    """Summarise the table in a few sentences."""
    counts = sorted({row.labels for row in stored.rows})
    names = dict.fromkeys(_name(row) for row in stored.rows)
    pairs = "; ".join(
        f"{name} {' → '.join(_figures(row) for row in _by_labels(stored, name))}" for name in names
    )
    fewest = [row for row in stored.rows if row.kind == "dan" and row.labels == counts[0]]
    first, *others = sorted(fewest, key=lambda row: row.metrics.mean("macro_f1"), reverse=True)
    behind = " and ".join(_name(row) for row in others)
    single = " One seed has no interval." if len(stored.seeds) == 1 else ""
    return f"""\
The wide variants of {title(stored.model)} learn the {counts[-1]} finer labels as well, which the
baselines above do not get. Macro-F1 / AUROC of the two labels, without → with the finer ones
({seeds(stored.seeds)}): {pairs}. Without them, {behind} is behind {_name(first)}.{single}"""


def _by_labels(stored: FinerLabels, name: str) -> list[FinerLabelsRow]:
    return sorted((row for row in stored.rows if _name(row) == name), key=lambda row: row.labels)


def _figures(row: FinerLabelsRow) -> str:
    return " / ".join(figure(row.metrics.mean(metric)) for metric in _SHOWN)


def _name(row: FinerLabelsRow) -> str:
    return variant_title(row.name) if row.kind == "dan" else row.name
