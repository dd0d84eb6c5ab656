"""Tables in Markdown, how figures look in them, and where their pages are."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

RESULTS: Final = Path("docs/results")
"""The directory of the pages with results."""

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

_RULES: Final = {"left": "---", "right": "---:"}


def markdown_table(
    header: Sequence[str],
    lines: Iterable[Sequence[str]],
    align: Literal["left", "right"] = "left",
) -> str:
    """Lay out a table.

    Example:
        >>> print(markdown_table(["label", "texts"], [["ham", "4827"]]), end="")
        | label | texts |
        | --- | --- |
        | ham | 4827 |
    """
    rule = [_RULES[align]] * len(header)
    return "".join(f"| {' | '.join(line)} |\n" for line in (header, rule, *lines))


def figure(value: float | None) -> str:
    """Write a figure of quality: four digits, no zero before the point; nothing for None.

    Example:
        >>> figure(0.97365), figure(None)
        ('.9737', '')
    """
    return "" if value is None else f"{value:.4f}".removeprefix("0")
