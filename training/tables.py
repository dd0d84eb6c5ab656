"""Tables in Markdown, how figures look in them, and where their pages are."""

import re
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

# Of an underscore inside a word, Markdown makes nothing.
_MARKUP: Final = re.compile(r"[\\`*\[\]|~#!]|(?<!\w)_|_(?!\w)")

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


def visible(text: str) -> str:
    """Write a text from a file, such as a label, in one line without control characters.

    Example:
        >>> visible("a\\nb\\x1b[31m")
        'a\\\\nb\\\\x1b[31m'
    """
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def as_markdown(text: str) -> str:
    """Write a text from a file so that Markdown, in a table too, shows it as it is.

    Example:
        >>> as_markdown("<script> a|b `c` not_spam")
        '&lt;script&gt; a\\\\|b \\\\`c\\\\` not_spam'
    """
    escaped = _MARKUP.sub(r"\\\g<0>", visible(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def figure(value: float | None) -> str:
    """Write a figure of quality: four digits, no zero before the point; nothing for None.

    Example:
        >>> figure(0.97365), figure(None)
        ('.9737', '')
    """
    return "" if value is None else f"{value:.4f}".removeprefix("0")
