"""Tables of the grouped protocol: our variants and the baselines, with their intervals."""

from collections.abc import Sequence
from typing import Final, Literal

from training.data import datasets
from training.quality.metrics import FITTED, Metric
from training.tables import COLUMNS, figure, markdown_table

from ..schema.results import Results, Row, Threshold
from .wording import mean, title, variant_title

# What we aimed at: at the fitted threshold, grouped protocol.
AIMS: Final[dict[tuple[str, Metric], float]] = {
    ("spam", "macro_f1"): 0.986,
    ("spam", "mcc"): 0.972,
    ("spam", "auroc"): 0.998,
    ("spam", "average_precision"): 0.993,
    ("cyberbullying", "macro_f1"): 0.795,
    ("cyberbullying", "mcc"): 0.590,
    ("cyberbullying", "accuracy"): 0.886,
    ("cyberbullying", "auroc"): 0.938,
}

_CLASSES_COLUMNS: Final[tuple[Metric, ...]] = ("accuracy", "macro_f1", "mcc")
_COMPARED: Final[tuple[Metric, ...]] = ("accuracy", "macro_f1", "mcc", "auroc", "average_precision")
_KINDS = ("majority", "peer", "dan")
_COST_HEADER = ("kB", "s to train", "µs/text", "µs alone")
_DIFFERENCE_HEADER = ("", "difference", "metric", "mean", "95 % interval", "ahead")


def two_classes(
    results: Results, thresholds: Sequence[Threshold], metrics: Sequence[Metric]
) -> str:
    """Lay out the rows of the binary tasks, with what each costs."""
    header = ["", "", "threshold", *(COLUMNS[metric] for metric in metrics), *_COST_HEADER]
    lines = []
    for row in _rows_of(results, "binary"):
        is_majority = row.kind == "majority"
        if is_majority or row.threshold in thresholds:
            threshold = "" if is_majority else row.threshold or ""
            figures = [mean(row.metrics.get(metric)) for metric in metrics]
            line = [title(row.model), _row_name(results, row), threshold, *figures]
            lines.append(line + _costs(row))
    return markdown_table(header, lines)


def six_classes(results: Results) -> str:
    """Lay out the rows of the task with more than two classes; empty if there are none."""
    rows = _rows_of(results, "multiclass")
    if not rows:
        return ""
    labels = list(rows[0].metrics.per_class_f1 or {})
    header = ["", *(COLUMNS[metric] for metric in _CLASSES_COLUMNS)]
    header += [f"F1 {label.replace('_', ' ')}" for label in labels]
    lines = []
    for row in rows:
        per_class = row.metrics.per_class_f1 or {}
        line = [_row_name(results, row)]
        line += [mean(row.metrics.get(metric)) for metric in _CLASSES_COLUMNS]
        line += [mean(per_class[label]) for label in labels]
        lines.append(line + _costs(row))
    return markdown_table([*header, *_COST_HEADER], lines)


def confusion(results: Results) -> str:
    """Lay out the confusion matrix of the served six-class variant, as shares of each class."""
    for row in _rows_of(results, "multiclass"):
        matrix, per_class = row.metrics.confusion_matrix, row.metrics.per_class_f1
        if is_served(results, row) and matrix is not None and per_class is not None:
            labels = list(per_class)
            lines = [
                [label, *(f"{count / max(sum(counts), 1):.2f}".lstrip("0") for count in counts)]
                for label, counts in zip(labels, matrix, strict=True)
            ]
            names = [label.replace("_", " ") for label in labels]
            table = markdown_table(["true class ↓ predicted →", *names], lines)
            return f"Of the texts of each class, the share predicted as each class:\n\n{table}"
    return ""


def ahead(results: Results) -> str:
    """Compare what is served with the best baseline of each metric."""
    lines = []
    for model, chosen in results.chosen.items():
        for metric in _COMPARED:
            baselines = [
                (summary.mean, row.name)
                for row in results.rows
                if row.model == model
                and row.kind == "peer"
                and row.threshold in {FITTED, None}
                and (summary := row.metrics.get(metric)) is not None
            ]
            if baselines:
                _, best = max(baselines, key=lambda one: one[0])
                lines += differences(results, model, chosen.variant, best, (metric,))
    return markdown_table(_DIFFERENCE_HEADER, lines)


def ahead_on(results: Results, model: str) -> tuple[list[Metric], list[Metric]]:
    """Return the metrics on which what is served is ahead of every baseline.

    Returns:
        Those where the interval of the difference to the best baseline is above zero, and those
        where it contains zero or is below.
    """
    served = results.chosen[model].variant
    clear: list[Metric] = []
    unclear: list[Metric] = []
    for metric in _COMPARED:
        lows = [
            one.ci95[0] if one.a == served else -one.ci95[1]
            for one in results.comparisons
            if one.model == model
            and one.metric == metric
            and served in {one.a, one.b}
            and not _is_variant(results, model, one.b if one.a == served else one.a)
        ]
        if lows:
            (clear if min(lows) > 0 else unclear).append(metric)
    return clear, unclear


def differences(
    results: Results, model: str, a: str, b: str, metrics: Sequence[Metric]
) -> list[list[str]]:
    """Lay out the comparisons of a with b, whichever of them comes first in the file."""
    lines = []
    for one in results.comparisons:
        if one.model != model or {one.a, one.b} != {a, b} or one.metric not in metrics:
            continue
        sign = 1 if one.a == a else -1
        low, high = sorted(sign * end for end in one.ci95)
        winner = variant_title(a) if low > 0 else variant_title(b) if high < 0 else "neither"
        lines.append(
            [
                title(model),
                f"{variant_title(a)} − {variant_title(b)}",
                COLUMNS[one.metric],
                f"{sign * one.diff:+.4f}",
                f"{low:+.4f} … {high:+.4f}",
                winner,
            ]
        )
    return lines


def variants(results: Results) -> str:
    """Lay out how our own variants compare with each other."""
    lines = []
    for one in results.comparisons:
        if _is_variant(results, one.model, one.b):
            lines += differences(results, one.model, one.a, one.b, (one.metric,))
    return markdown_table(_DIFFERENCE_HEADER, lines)


def aims(results: Results) -> str:
    """Compare what is served with what we aimed at."""
    lines = []
    for (model, metric), aim in AIMS.items():
        row = served_row(results, model)
        summary = None if row is None else row.metrics.get(metric)
        if summary is not None:
            line = [title(model), COLUMNS[metric], f"≥ {figure(aim)}", figure(summary.mean)]
            lines.append([*line, "yes" if summary.mean >= aim else "no"])
    return markdown_table(["aim", "metric", "", "served", "reached"], lines)


def served_row(results: Results, model: str) -> Row | None:
    """Return the row of what is served, grouped protocol, at the fitted threshold."""
    for row in results.rows:
        if (
            row.model == model
            and row.protocol == "grouped"
            and row.threshold in {FITTED, None}
            and is_served(results, row)
        ):
            return row
    return None


def is_served(results: Results, row: Row) -> bool:
    """Return whether a row's variant is the one that serves its model."""
    chosen = results.chosen.get(row.model)
    return row.kind == "dan" and chosen is not None and row.name == chosen.variant


def _is_variant(results: Results, model: str, name: str) -> bool:
    return any(row.kind == "dan" and (row.model, row.name) == (model, name) for row in results.rows)


def _rows_of(results: Results, task: Literal["binary", "multiclass"]) -> list[Row]:
    """Return the grouped rows of a task by data set: majority, baselines, ours."""
    models = [
        model
        for model, source in datasets.SOURCES.items()
        if (len(source.label_names) > 2) == (task == "multiclass")
    ]
    rows = [
        row
        for row in results.rows
        if row.protocol == "grouped" and row.model in models and row.kind in _KINDS
    ]
    rows.sort(key=lambda row: (models.index(row.model), _KINDS.index(row.kind)))
    return rows


def _row_name(results: Results, row: Row) -> str:
    name = variant_title(row.name) if row.kind == "dan" else row.name
    if row.kind == "dan" and row.collapsed:
        name += " (collapsed)"
    return f"**{name}**" if is_served(results, row) else name


def _costs(row: Row) -> list[str]:
    if row.bytes is None:
        return [""] * len(_COST_HEADER)
    return [
        f"{row.bytes / 1000:.0f}",
        f"{row.train_seconds:.0f}",
        f"{row.us_per_text_256:.1f}",
        f"{row.us_per_text_1:.0f}",
    ]
