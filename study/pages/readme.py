"""The result table of the project's own documentation, between two marks."""

from pathlib import Path
from typing import Final

from training.cache import write_atomically
from training.data import datasets
from training.quality.metrics import FITTED, Metric
from training.tables import COLUMNS, markdown_table

from ..schema.results import Results, Row
from ..storage import StorageError
from .benchmark import served_row
from .wording import mean, title, variant_title

START: Final = "<!-- results: made by `make report`, do not edit -->"
END: Final = "<!-- end of results -->"

_COLUMNS: Final[tuple[Metric, ...]] = ("macro_f1", "average_precision")
# How the names of the baselines begin.
_FAMILIES: Final = ("TF-IDF", "fastText")


def find(root: Path) -> list[Path]:
    """Return the files under ``root`` that hold the marks: the README and the pages of docs/."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [page for page in pages if page.is_file() and START in page.read_text(encoding="utf-8")]


def require(root: Path) -> list[Path]:
    """Return the files under ``root`` that hold the marks, see `find`.

    Raises:
        StorageError: there is none, or one lacks the second mark.
    """
    found = find(root)
    if not found:
        raise StorageError(f"{root.resolve()}: no page holds the mark {START!r}")
    for page in found:
        _around(page)
    return found


def update(page: Path, table: str) -> None:
    """Put a table between the two marks of a page.

    Raises:
        StorageError: the marks are missing.
    """
    before, after = _around(page)
    write_atomically(page, f"{before}{START}\n\n{table}\n{END}{after}".encode())


def _around(page: Path) -> tuple[str, str]:
    """Return what stands before and after the marks."""
    before, _, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise StorageError(f"{page}: the marks {START!r} and {END!r} are missing")
    return before, after


def table(results: Results) -> str:
    """Return the table: for each data set what is served and the best of each baseline family."""
    lines = []
    for model in datasets.SOURCES:
        for row in _rows(results, model):
            name = variant_title(row.name) if row.kind == "dan" else row.name
            metrics = [mean(row.metrics.get(metric)) for metric in _COLUMNS]
            costs = [f"{(row.bytes or 0) / 1e6:.1f}", f"{row.us_per_text_256:.1f}"]
            bold = f"**{name}**" if row.kind == "dan" else name
            lines.append([title(model), bold, *metrics, *costs])
    columns = [COLUMNS[metric] for metric in _COLUMNS]
    return markdown_table(["test fold", "model", *columns, "MB", "µs/text"], lines)


def _rows(results: Results, model: str) -> list[Row]:
    served = served_row(results, model)
    found = [] if served is None else [served]
    for family in _FAMILIES:
        rows = [
            row
            for row in results.rows
            if (row.model, row.kind) == (model, "peer")
            and row.threshold in {FITTED, None}
            and row.name.startswith(family)
        ]
        if rows:
            found.append(max(rows, key=lambda row: row.metrics.mean("macro_f1")))
    return found
