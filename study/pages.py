"""The report in Markdown, from what ``results.json`` holds."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from training.cache import write_whole
from training.data import datasets
from training.quality import slices
from training.quality.metrics import FITTED, FITTED_TO_ACCURACY, HALF
from training.tables import COLUMNS, figure, markdown_table

THRESHOLDS = (FITTED_TO_ACCURACY, FITTED, HALF)

README_START = "<!-- results: made by `make report`, do not edit -->"
README_END = "<!-- end of results -->"

_LOSS_TITLES = {
    "bce": "BCE",
    "weighted_bce": "weighted BCE",
    "mse": "MSE",
    "squared_hinge": "squared hinge",
    "dice": "Dice",
    "dice_bce": "Dice + BCE",
    "log_dice": "log Dice",
    "cross_entropy": "cross-entropy",
    "softmax_dice": "softmax Dice",
}

# What was set out to be reached: at the fitted threshold, grouped protocol.
AIMS = {
    ("spam", "macro_f1"): 0.986,
    ("spam", "mcc"): 0.972,
    ("spam", "auroc"): 0.998,
    ("spam", "average_precision"): 0.993,
    ("cyberbullying", "macro_f1"): 0.795,
    ("cyberbullying", "mcc"): 0.590,
    ("cyberbullying", "accuracy"): 0.886,
    ("cyberbullying", "auroc"): 0.938,
}

_CLASSES_COLUMNS = ("accuracy", "macro_f1", "mcc")
_SHORT_COLUMNS = ("accuracy", "f1", "macro_f1", "mcc", "auroc", "average_precision")

TUNING = Path("docs/results")

Json = Mapping[str, Any]


def update_readme(readme: Path, tables: str) -> None:
    """Put ``tables`` between the two marks in the README.

    Raises:
        ValueError: the marks are missing.
    """
    before, start, rest = readme.read_text(encoding="utf-8").partition(README_START)
    _, end, after = rest.partition(README_END)
    if not end:
        raise ValueError(f"{readme}: the marks {README_START!r} and {README_END!r} are missing")
    write_whole(readme, f"{before}{start}\n\n{tables}\n{end}{after}".encode())


def readme_tables(results: Json) -> str:
    """Return the README's tables: ours beside the peers', and beside the paper's."""
    return f"""\
**Beside what people use today** (near copies kept on one side of the split; mean over seeds on the
test fold, at the threshold fitted to macro-F1 on validation, the same rule for the peers; µs a text
from raw text in a batch of 256, one thread). In bold what is served:

{_grouped(results, [FITTED], _SHORT_COLUMNS, short=True)}
Cyberbullying type, six classes, the one with the highest score:

{_classes(results, short=True)}
**Against the paper** (its random split, seeds 0–9, mean ± standard deviation on the test fold, both
figures at one threshold, fitted to accuracy on validation; the paper states none):

{_table1(results, [FITTED_TO_ACCURACY])}
{_not_beaten(results)}
"""


def results_page(results: Json, studies: Mapping[str, str]) -> str:
    """Return the whole page of ``docs/results/``.

    Args:
        results: what ``results.json`` holds.
        studies: name of a study → what it found, in a paragraph.
    """
    return f"""\
# Results

Made by `make report`; the figures behind it are in [results.json](results.json). Every metric is
computed from the exported artifact, as it would be served. The test fold is read once; thresholds,
epochs and hyper-parameters are chosen on validation, hyper-parameters on seeds that are not
reported here ({_tuning_links()}). What single features of the networks are worth is in
[ablations](ablations.md).

Thresholds: *0.5* (of a peer's margin: 0); *fitted* maximises macro-F1 on validation and is the one
that is served; *fitted to accuracy* does what it says, on validation too, and stands only in Table
1: accuracy and F1 of the positive class are all that the paper reports, and macro-F1 gives up some
of both where the positives are the majority.

## Beside the peers

Grouped protocol: near copies of a message stay on one side (*grouped*: by form, not by meaning).
Seeds 0–9 on SMS, 0–4 on Cyberbullying. µs per text: in a batch of 256 and alone, from raw text, one
thread. In bold what is served: of the shipped variants the one with the largest mean of macro-F1,
MCC, AUROC and AP on validation.

{_grouped(results, [HALF, FITTED], tuple(COLUMNS))}
### Is it ahead?

What is served against the best peer of each metric; paired by seed, with
the corrected resampled t interval (95 %; Nadeau & Bengio 2003). Where an interval holds zero,
neither is ahead.

{_ahead(results)}
{_aims(results)}
### Six classes

Cyberbullying type; macro-F1 is the mean of the classes' F1.

{_classes(results)}
{_confusion(results)}
## When does Dice collapse, and when does it pay?

{studies["sensitivity"]}

More, with the map: [sensitivity](sensitivity.md).

{studies["imbalance"]}

More, with the plot: [imbalance](imbalance.md).

## Whom it wrongs

False alarms on texts that mention an identity (a faith, an origin, a gender, an orientation, a
disability: {len(slices.IDENTITY_TERMS)} words in `training/quality/slices.py`) against the rest.
Cyberbullying, grouped protocol, fitted threshold, means over seeds:

{_slices(results)}
Where an identity is mentioned, nearly all texts of this data set are labelled as bullying, and
false alarms are about twice as frequent there. Let a person decide on such texts.

## Table 1, beside the paper's

Protocol `paper`: random split, 80/10/10, stratified; seeds 0–9. Copies of test messages sit in
training, as in the paper; the grouped table above is the one to trust.

{_table1(results, THRESHOLDS)}
{_not_beaten(results)}
Where the positives are the majority, weighted BCE makes a positive count for less than a negative,
and so does macro-F1: both give up accuracy and F1 of the positive class for the minority.

On Cyberbullying the larger class is the positive one: answering "cyberbullying" to everything has
accuracy .833 and F1 .909. The paper's Dice row is that constant answer.

## Learning curves

The paper's Figures 1 to 6: accuracy, F1 and loss of Dice on both data sets, threshold 0.5, without
dropout.

![Learning curves of Dice](learning-curves-dice.svg)

The same under the other two losses.

![Learning curves of weighted BCE](learning-curves-weighted_bce.svg)

![Learning curves of MSE](learning-curves-mse.svg)

## One variant against another

Differences of means at the fitted threshold, paired by seed, with the same interval.

{_comparisons(results)}"""


def _is_beaten(entry: Json, threshold: str) -> bool:
    """Tell whether our means pass the paper's accuracy and F1."""
    ours, paper = entry["ours"][threshold], entry["paper"]
    return all(ours[metric]["mean"] > paper[metric] for metric in ("accuracy", "f1"))


def _not_beaten(results: Json) -> str:
    """Name the rows of Table 1 that do not pass the paper's, and their thresholds."""
    found = [
        f"{_title(entry['model'])} under {name_of(entry['name'])} ({', '.join(missed)})"
        for entry in results["table1"]
        if not entry["collapsed"]
        and (missed := [cut for cut in THRESHOLDS if not _is_beaten(entry, cut)])
    ]
    return f"Not beaten, by threshold: {'; '.join(found) or 'none'}."


def _table1(results: Json, thresholds: Sequence[str]) -> str:
    lines = []
    for entry in results["table1"]:
        paper = entry["paper"]
        for threshold in thresholds:
            ours = entry["ours"][threshold]
            beaten = _is_beaten(entry, threshold)
            lines.append(
                [
                    _title(entry["model"]),
                    name_of(entry["name"]),
                    f"{figure(paper['accuracy'])} / {figure(paper['f1'])}",
                    *([threshold] if len(thresholds) > 1 else []),
                    f"{_with_std(ours['accuracy'])} / {_with_std(ours['f1'])}",
                    "collapsed" if entry["collapsed"] else "yes" if beaten else "no",
                ]
            )
    threshold_column = ["threshold"] if len(thresholds) > 1 else []
    header = [
        "",
        "loss",
        "paper: accuracy / F1",
        *threshold_column,
        "ours: accuracy / F1",
        "beaten",
    ]
    return markdown_table(header, lines)


def _grouped(
    results: Json, thresholds: Sequence[str], metrics: Sequence[str], *, short: bool = False
) -> str:
    """Lay out the grouped rows of the binary tasks, with what each costs."""
    header = ["", "", *([] if short else ["threshold"]), *(COLUMNS[metric] for metric in metrics)]
    header += ["kB", "µs/text"] if short else ["kB", "s to train", "µs/text", "µs alone"]
    lines = []
    for row in _rows_of(results, "binary"):
        is_majority = row["kind"] == "majority"
        if not (is_majority or row["threshold"] in thresholds):
            continue
        line = [_title(row["model"]), _row_name(results, row)]
        if not short:
            line.append("" if is_majority else row["threshold"])
        line += [_mean(row["metrics"][metric]) for metric in metrics]
        lines.append(line + _costs(row, short=short))
    return markdown_table(header, lines)


def _classes(results: Json, *, short: bool = False) -> str:
    """Lay out the rows of the six-class task."""
    rows = _rows_of(results, "multiclass")
    if not rows:
        return ""
    labels = [] if short else list(rows[0]["metrics"]["per_class_f1"])
    header = ["", *(COLUMNS[metric] for metric in _CLASSES_COLUMNS)]
    header += [f"F1 {label.replace('_', ' ')}" for label in labels]
    header += ["kB", "µs/text"] if short else ["kB", "s to train", "µs/text", "µs alone"]
    lines = []
    for row in rows:
        found = row["metrics"]
        line = [_row_name(results, row), *(_mean(found[metric]) for metric in _CLASSES_COLUMNS)]
        line += [_mean(found["per_class_f1"][label]) for label in labels]
        lines.append(line + _costs(row, short=short))
    return markdown_table(header, lines)


def _confusion(results: Json) -> str:
    """Lay out the confusion matrix of the served six-class variant, shares of each true class."""
    served = [row for row in _rows_of(results, "multiclass") if _is_served(results, row)]
    if not served:
        return ""
    labels = list(served[0]["metrics"]["per_class_f1"])
    lines = [
        [label, *(f"{count / max(sum(counts), 1):.2f}".removeprefix("0") for count in counts)]
        for label, counts in zip(labels, served[0]["metrics"]["confusion_matrix"], strict=True)
    ]
    names = [label.replace("_", " ") for label in labels]
    table = markdown_table(["labelled ↓ answered →", *names], lines)
    return f"Of the texts of each class, the share that is answered as each:\n\n{table}"


def _rows_of(results: Json, task: str) -> list[Json]:
    """Return the grouped rows of a task, data set by data set: majority, peers, ours."""
    kinds = ("majority", "peer", "dan")
    models = [
        model
        for model, source in datasets.SOURCES.items()
        if (len(source.label_names) > 2) == (task == "multiclass")
    ]
    rows = [
        row
        for row in results["rows"]
        if row["protocol"] == "grouped" and row["model"] in models and row["kind"] in kinds
    ]
    rows.sort(key=lambda row: (models.index(row["model"]), kinds.index(row["kind"])))
    return rows


def _row_name(results: Json, row: Json) -> str:
    name = name_of(row["name"]) if row["kind"] == "dan" else row["name"]
    if row["kind"] == "dan" and row["collapsed"]:
        name += " (collapsed)"
    return f"**{name}**" if _is_served(results, row) else name


def _is_served(results: Json, row: Json) -> bool:
    chosen = results["chosen"].get(row["model"])
    return bool(row["kind"] == "dan" and chosen and row["name"] == chosen["variant"])


def _costs(row: Json, *, short: bool) -> list[str]:
    if row["kind"] == "majority":
        return [""] * (2 if short else 4)
    costs = [f"{row['bytes'] / 1000:.0f}", f"{row['us_per_text_256']:.1f}"]
    if not short:
        costs.insert(1, f"{row['train_seconds']:.0f}")
        costs.append(f"{row['us_per_text_1']:.0f}")
    return costs


def _ahead(results: Json) -> str:
    """Compare what is served with the best peer of each metric."""
    lines = []
    for model, chosen in results["chosen"].items():
        ours = chosen["variant"]
        for metric in ("accuracy", "macro_f1", "mcc", "auroc", "average_precision"):
            peers = [
                row
                for row in results["rows"]
                if row["model"] == model
                and row["kind"] == "peer"
                and row["threshold"] in {FITTED, None}
                and row["metrics"][metric] is not None
            ]
            if peers:
                best = max(peers, key=lambda row: row["metrics"][metric]["mean"])
                lines += _differences(results, model, ours, best["name"], (metric,))
    return markdown_table(_DIFFERENCE_HEADER, lines)


_DIFFERENCE_HEADER = ("", "difference", "metric", "mean", "95 % interval", "ahead")


def _differences(
    results: Json, model: str, a: str, b: str, metrics: Sequence[str]
) -> list[list[str]]:
    """Lay out the comparisons of a with b, whichever way round they were made."""
    lines = []
    for one in results["comparisons"]:
        if one["model"] != model or {one["a"], one["b"]} != {a, b} or one["metric"] not in metrics:
            continue
        sign = 1 if one["a"] == a else -1
        low, high = sorted(sign * end for end in one["ci95"])
        ahead = name_of(a) if low > 0 else name_of(b) if high < 0 else "neither"
        lines.append(
            [
                _title(model),
                f"{name_of(a)} − {name_of(b)}",
                COLUMNS[one["metric"]],
                f"{sign * one['diff']:+.4f}",
                f"{low:+.4f} … {high:+.4f}",
                ahead,
            ]
        )
    return lines


def _aims(results: Json) -> str:
    """Set what is served beside what was aimed at."""
    lines = []
    for (model, metric), aim in AIMS.items():
        chosen = results["chosen"].get(model)
        for row in results["rows"]:
            if (
                chosen
                and row["model"] == model
                and row["protocol"] == "grouped"
                and row["threshold"] == FITTED
                and _is_served(results, row)
            ):
                mean = row["metrics"][metric]["mean"]
                reached = "yes" if mean >= aim else "no"
                lines.append(
                    [_title(model), COLUMNS[metric], f"≥ {figure(aim)}", figure(mean), reached]
                )
    return markdown_table(["aim", "metric", "", "served", "reached"], lines)


def _slices(results: Json) -> str:
    header = ["", "texts", "texts not bullying", "false alarms", "missed"]
    lines = [
        [
            f"{name_of(one['name'])}, {one['slice']}",
            f"{one['texts']:.0f}",
            f"{one['negatives']:.0f}",
            figure(one["false_positive_rate"]),
            figure(one["false_negative_rate"]),
        ]
        for one in results["slices"]
    ]
    return markdown_table(header, lines)


def _comparisons(results: Json) -> str:
    """Lay out how our own variants compare."""
    ours = {(row["model"], row["name"]) for row in results["rows"] if row["kind"] == "dan"}
    lines = []
    for one in results["comparisons"]:
        if (one["model"], one["b"]) in ours:
            lines += _differences(results, one["model"], one["a"], one["b"], (one["metric"],))
    return markdown_table(_DIFFERENCE_HEADER, lines)


def _tuning_links() -> str:
    pages = sorted(TUNING.glob("tuning-*.md"))
    return ", ".join(f"[{page.stem.removeprefix('tuning-')}]({page.name})" for page in pages)


def _title(model: str) -> str:
    return datasets.SOURCES[model].title


def name_of(variant: str) -> str:
    """Write a variant's name for a reader: ``dice-wide`` is "Dice, wide"."""
    loss, wide, _ = variant.partition("-wide")
    title = _LOSS_TITLES.get(loss, loss)
    return f"{title}, wide" if wide else title


def _mean(summary: Json | None) -> str:
    return "" if summary is None else figure(summary["mean"])


def _with_std(summary: Json) -> str:
    spread = "" if summary["std"] is None else f" ± {figure(summary['std'])}"  # of a single seed
    return figure(summary["mean"]) + spread
