"""Tables in Markdown, and how figures look in them."""

from collections.abc import Iterable, Sequence

COLUMNS = {
    "accuracy": "accuracy",
    "f1": "F1",
    "f1_minority": "F1 minority",
    "macro_f1": "macro-F1",
    "mcc": "MCC",
    "g_mean": "G-mean",
    "auroc": "AUROC",
    "average_precision": "AP",
    "brier": "Brier",
    "ece": "ECE",
}


def markdown_table(header: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    """Lay out a table."""
    rule = ["---"] * len(header)
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *lines))


def figure(value: float) -> str:
    """Write a figure of quality: four digits, no zero before the point."""
    return f"{value:.4f}".removeprefix("0")
