"""The tables of the migration page: thresholds and what they do, of two releases."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from dandelion.decision.calibration import Calibration
from dandelion.decision.policy import score_at
from dandelion.manifest import Manifest
from training.cache import write_atomically
from training.tables import as_markdown, markdown_table

from ..schema.thresholds import Rates, Thresholds
from ..storage import StorageError
from .wording import percent

START: Final = "<!-- thresholds: written by `python -m study migration`, do not edit -->"
END: Final = "<!-- end of thresholds -->"

_SCORES: Final = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)


def update(page: Path, content: str) -> None:
    """Put the tables between the two marks of a page.

    Raises:
        StorageError: the marks are missing.
    """
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise StorageError(f"{page}: the marks {START!r} and {END!r} are missing")
    write_atomically(page, f"{before}{START}\n\n{content}\n{END}{after}".encode())


def tables(before: Thresholds, manifests: Sequence[Manifest]) -> str:
    """Return the tables, in Markdown.

    Args:
        before: of the older release.
        manifests: of the artifacts now, of those variants among others.
    """
    found = {f"{one.model}/{one.variant}": one for one in manifests}
    pairs = [(name, old, found[name]) for name, old in before.variants.items() if name in found]
    header = ["variant", "threshold before", "threshold now", "operating point", "calibration"]
    lines = [
        [
            f"`{name}`",
            f"{old.threshold:.4f}",
            f"{new.threshold:.4f}",
            f"`{new.operating_point}`" if new.operating_point else "",
            "" if new.calibration is None else str(new.calibration["method"]),
        ]
        for name, old, new in pairs
    ]
    parts = [markdown_table(header, lines)]
    rates = [
        line for name, old, new in pairs for line in _rates(name, old.by_source, new.by_source)
    ]
    if rates:
        header = ["variant", "source", "false alarms before", "now", "recall before", "now"]
        parts.append(f"On the test fold, by source:\n\n{markdown_table(header, rates)}")
    header = ["score before", *(f"{score:g}" for score in _SCORES)]
    scales = [_scale(name, new.score_map) for name, _, new in pairs if new.score_map]
    if scales:
        parts.append(f"The same scores on the new scale:\n\n{markdown_table(header, scales)}")
    return "\n".join(parts)


def _rates(
    name: str, old: Mapping[str, Mapping[str, Rates]], new: Mapping[str, Any] | None
) -> list[list[str]]:
    after: Mapping[str, Any] = (new or {}).get("test", {})
    return [
        [
            f"`{name}`",
            as_markdown(source),
            _percent(rates.false_positive_rate),
            _percent(after[source]["false_positive_rate"]),
            _percent(rates.recall),
            _percent(after[source]["recall"]),
        ]
        for source, rates in old.get("test", {}).items()
        if source in after
    ]


def _scale(name: str, calibration: Calibration) -> list[str]:
    """Return what uncalibrated scores become."""
    logits = [math.log(score / (1 - score)) for score in _SCORES]
    return [f"`{name}`", *(f"{score_at(logit, calibration):.4f}" for logit in logits)]


def _percent(rate: float | None) -> str:
    return "" if rate is None else percent(rate, 1)
