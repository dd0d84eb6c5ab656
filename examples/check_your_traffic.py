"""Measure a model on your own labelled texts before you act on its labels.

Shows: what a threshold means on your traffic. If a model was trained on other texts, with another
share of positives, few of its alerts may be correct; measure it, then move the threshold or train
on your own texts.

Run (the base install is enough)::

    python examples/check_your_traffic.py                # a few texts made up by this program
    python examples/check_your_traffic.py mine.csv       # a file with columns text and label
    python examples/check_your_traffic.py mine.csv abuse/bce-wide

Prints a table: at each threshold, how many texts raise an alert, the share of alerts that are
correct (precision) and the share of positives that are found (recall).
"""

import sys
from pathlib import Path

import numpy as np

from dandelion import Classifier, TableError, tables
from dandelion.installation import default_artifacts

MADE_UP = [
    ("Are you coming to practice tomorrow?", "ham"),
    ("The council approved the budget for the new library on Tuesday evening", "ham"),
    ("Your parcel has arrived, show this code at the counter: 4471", "ham"),
    ("Call me when you get home, I have free tickets for Saturday", "ham"),
    ("URGENT! You have won a £2000 prize, call 09061701461 to claim", "spam"),
    ("Txt WIN to 80086 for your free ringtone, 150p/msg", "spam"),
]


def read(path: Path) -> list[tuple[str, str]]:
    """Read (text, label) pairs from a file with these two columns: CSV, JSON Lines, Parquet, …"""
    try:
        # encoding="cp1252" and delimiter=";", for example, if they are not recognized.
        table = tables.read(path)
        texts, labels = table.column("text"), table.column("label")
    except TableError as error:
        sys.exit(str(error))
    if table.bad_rows:
        left_out = "; ".join(tables.describe_bad_rows(table.bad_rows, limit=3))
        print(f"left out: {left_out}", file=sys.stderr)
    return [(str(text), str(label).strip()) for text, label in zip(texts, labels, strict=True)]


def main(rows: list[tuple[str, str]], artifact: str) -> None:
    """Print precision and recall at a few thresholds, the model's own among them."""
    classifier = Classifier.load(default_artifacts() / artifact)
    own = classifier.manifest.threshold
    if own is None:
        sys.exit(f"{artifact} has more than two labels, so there is no threshold to choose")
    negative, positive = classifier.manifest.labels
    unknown = {label for _, label in rows} - {negative, positive}
    if unknown:
        sys.exit(f"labels are {negative!r} and {positive!r}, not {tables.listed(sorted(unknown))}")
    scores = classifier.scores([text for text, _ in rows])
    is_positive = np.array([label == positive for _, label in rows])
    if not is_positive.any():
        sys.exit(f"no row has the label {positive!r}, so there is nothing to find")

    print(f"{artifact}: {len(rows)} texts, {is_positive.sum()} of them {positive}")
    print("threshold  alerts  precision  recall")
    for threshold in sorted({0.1, 0.3, own, 0.7, 0.9}):
        alerts = scores >= threshold
        hits = (alerts & is_positive).sum()
        precision = f"{hits / alerts.sum():.2f}" if alerts.any() else "-"
        mark = "  <- the model's own" if threshold == own else ""
        recall = hits / is_positive.sum()
        print(f"{threshold:9.3f}  {alerts.sum():6}  {precision:>9}  {recall:6.2f}{mark}")


if __name__ == "__main__":
    arguments = sys.argv[1:]
    main(
        read(Path(arguments[0])) if arguments else MADE_UP,
        arguments[1] if len(arguments) > 1 else "spam/squared_hinge-wide",
    )
