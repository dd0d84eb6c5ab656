"""Texts that occur more than once, and those under more than one label."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from dandelion.text.tokenizer import clean


@dataclass(frozen=True, slots=True)
class Contradiction:
    """A text that has more than one label.

    Attributes:
        lines: of its rows, in the order of the files.
        labels: of its rows, each once, in the same order.
    """

    lines: tuple[int | str, ...]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Duplicates:
    """The texts of files that occur more than once. None of them is left out.

    Attributes:
        repeated: rows whose text occurs in an earlier row.
        contradictions: texts with more than one label, in the order of the files.
    """

    repeated: int = 0
    contradictions: tuple[Contradiction, ...] = ()

    def describe(self, unit: str) -> list[str]:
        """Return a sentence for each kind that there is.

        Args:
            unit: what the lines are, ``line`` or ``row``.
        """
        found = []
        if self.contradictions:
            number = len(self.contradictions)
            texts = "1 text appears" if number == 1 else f"{number:,} texts appear"
            first = _joined(self.contradictions[0].lines, unit)
            found.append(
                f"{texts} under more than one label (first: {first}); all rows are kept, but no "
                "model can learn both"
            )
        if self.repeated:
            rows = "1 row repeats" if self.repeated == 1 else f"{self.repeated:,} rows repeat"
            found.append(f"{rows} the text of an earlier row; all are kept")
        return found

    def listed(self, unit: str, limit: int) -> list[str]:
        """Describe the first ``limit`` contradictions, one line each, and count the others."""
        lines = [
            f"{_joined(one.lines, unit)}: {', '.join(one.labels)}"
            for one in self.contradictions[:limit]
        ]
        more = len(self.contradictions) - limit
        return [*lines, f"and {more:,} more"] if more > 0 else lines


def find(texts: Sequence[str], labels: Sequence[str], lines: Sequence[int | str]) -> Duplicates:
    """Find texts that occur more than once.

    Two texts are the same if they are equal for a model: in Unicode form NFKC, without invisible
    characters, with any white space as one space. Near copies, which differ in digits or signs,
    count as different here; the split keeps them in one fold.

    Args:
        texts: n texts.
        labels: n labels.
        lines: n, where each text starts: the line, or ``file:line``.
    """
    rows = defaultdict(list)
    for row, text in enumerate(texts):
        rows[" ".join(clean(text).split())].append(row)
    contradictions = []
    for same in rows.values():
        found = tuple(dict.fromkeys(labels[row] for row in same))
        if len(found) > 1:
            contradictions.append(Contradiction(tuple(lines[row] for row in same), found))
    return Duplicates(len(texts) - len(rows), tuple(contradictions))


def _joined(lines: Sequence[int | str], unit: str) -> str:
    shown = [str(line) for line in lines[:4]]
    if len(lines) > 4:
        return f"{unit}s {', '.join(shown)} and {len(lines) - 4:,} more"
    return f"{unit}s {', '.join(shown[:-1])} and {shown[-1]}"
