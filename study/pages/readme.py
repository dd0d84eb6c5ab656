"""The result tables of the project's own documentation, between two marks."""

from pathlib import Path
from typing import Final

from training.cache import write_whole
from training.quality.metrics import FITTED, FITTED_TO_ACCURACY

from ..schema.results import Metric
from ..schema.studies import Stored
from . import benchmark, finer_labels, paper
from .results import FASTTEXT_NOTE, ahead_note
from .wording import reflow

START: Final = "<!-- results: made by `make report`, do not edit -->"
END: Final = "<!-- end of results -->"

_COLUMNS: Final[tuple[Metric, ...]] = (
    "accuracy",
    "f1",
    "macro_f1",
    "mcc",
    "auroc",
    "average_precision",
)


def find(root: Path) -> list[Path]:
    """Return the files under ``root`` that hold the marks: the README and the pages of docs/."""
    pages = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    return [page for page in pages if page.is_file() and START in page.read_text(encoding="utf-8")]


def update(page: Path, tables: str) -> None:
    """Put ``tables`` between the two marks of a page.

    Raises:
        ValueError: the marks are missing.
    """
    before, start, rest = page.read_text(encoding="utf-8").partition(START)
    _, end, after = rest.partition(END)
    if not end:
        raise ValueError(f"{page}: the marks {START!r} and {END!r} are missing")
    write_whole(page, f"{before}{start}\n\n{tables}\n{end}{after}".encode())


def tables(stored: Stored) -> str:
    """Return the tables: ours next to the baselines, and next to the paper's."""
    results = stored.results
    finer = "" if stored.finer_labels is None else f"\n\n{finer_labels.note(stored.finer_labels)}"
    notes = f"{ahead_note(results)}{finer}\n\n{FASTTEXT_NOTE}"
    return reflow(f"""\
**Compared with common baselines** (near copies kept on one side of the split; mean over seeds on
the test fold, at the threshold fitted to macro-F1 on validation, the same rule for the baselines;
µs per text from raw text in a batch of 256, one thread). In bold what is served:

{benchmark.two_classes(results, [FITTED], _COLUMNS, short=True)}
{notes}

Cyberbullying type, six classes, the one with the highest score:

{benchmark.six_classes(results, short=True)}
**Compared with the paper** (its random split, seeds 0–9, mean ± standard deviation on the test
fold, both figures at one threshold, fitted to accuracy on validation; the paper states none):

{paper.table1(results, [FITTED_TO_ACCURACY])}
{paper.not_higher(results)}

{paper.DICE_NOTE}
""")
