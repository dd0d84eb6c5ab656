"""Tables and sentences of the pages, from figures that a test chooses."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from study.pages import ablations, benchmark, finer_labels, paper, readme, results
from study.pages import scope as scope_page
from study.pages import sensitivity as sensitivity_page
from study.schema.results import (
    Chosen,
    Comparison,
    OurFigures,
    PaperFigures,
    Results,
    Row,
    Table1Row,
)
from study.schema.studies import (
    AblationLine,
    AblationQuestion,
    Ablations,
    FinerLabels,
    FinerLabelsRow,
    Imbalance,
    Sensitivity,
    SensitivityCell,
    Stored,
)
from study.storage import StorageError, read

from ..conftest import ROOT
from .builders import row_metrics, summary

EMPTY = Results([], [], [], {}, [])


def table1_row(accuracy: float, f1: float, *, collapsed: bool = False) -> Table1Row:
    figures = OurFigures(summary(accuracy), summary(f1))
    ours = {"0.5": figures, "fitted": figures, "fitted to accuracy": figures}
    return Table1Row("spam", "dice", "dice", PaperFigures(0.9, 0.8), collapsed, ours)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("accuracy", "f1", "expected"), [(0.95, 0.85, "yes"), (0.95, 0.75, "no"), (0.85, 0.85, "no")]
)
def test_table_1_says_higher_only_where_both_figures_are(
    accuracy: float, f1: float, expected: str
) -> None:
    stored = replace(EMPTY, table1=[table1_row(accuracy, f1)])
    assert paper.table1(stored, ["fitted"]).splitlines()[-1].endswith(f"| {expected} |")
    named = "SMS Spam under Dice (fitted to accuracy, fitted, 0.5)" if expected == "no" else "none"
    assert named in paper.not_higher(stored)


def test_a_collapsed_row_is_marked_and_not_counted() -> None:
    stored = replace(EMPTY, table1=[table1_row(0.95, 0.85, collapsed=True)])
    assert "| collapsed |" in paper.table1(stored, ["fitted"])
    assert "none" in paper.not_higher(stored)


def row(kind: str, name: str, macro_f1: list[float], **more: list[float]) -> Row:
    return Row(
        protocol="grouped",
        model="spam",
        kind=kind,  # type: ignore[arg-type]
        name=name,
        loss=None,
        threshold="0.5" if kind == "majority" else "fitted",
        seeds=[0, 1],
        shipped=kind == "dan",
        metrics=row_metrics(macro_f1=macro_f1, **more),
        collapsed=False,
        train_seconds=1.0,
        bytes=2000,
        us_per_text_1=9.0,
        us_per_text_256=3.0,
    )


def comparison(a: str, b: str, low: float, high: float) -> Comparison:
    middle = (low + high) / 2
    return Comparison("spam", "grouped", "fitted", "macro_f1", a, b, middle, (low, high))


def compared(*comparisons: Comparison) -> Results:
    rows = [
        row("dan", "bce-wide", [0.9, 0.9]),
        row("dan", "dice", [0.8, 0.8]),
        row("peer", "LR", [0.85, 0.85]),
        row("peer", "SVC", [0.7, 0.7]),
    ]
    return Results(rows, list(comparisons), [], {"spam": Chosen("bce-wide", {})}, [])


def test_an_interval_is_reversed_with_its_difference() -> None:
    stored = compared(comparison("dice", "bce-wide", -0.3, -0.1))
    (line,) = benchmark.differences(stored, "spam", "bce-wide", "dice", ("macro_f1",))
    assert line[1:] == [
        "BCE, wide − Dice",
        "macro-F1",
        "+0.2000",
        "+0.1000 … +0.3000",
        "BCE, wide",
    ]


def test_an_interval_with_zero_names_nobody_ahead() -> None:
    stored = compared(comparison("bce-wide", "LR", -0.01, 0.1))
    (line,) = benchmark.differences(stored, "spam", "bce-wide", "LR", ("macro_f1",))
    assert line[-1] == "neither"


def test_what_is_served_is_compared_with_the_best_baseline() -> None:
    stored = compared(
        comparison("bce-wide", "LR", 0.01, 0.1), comparison("bce-wide", "SVC", 0.1, 0.3)
    )
    assert "BCE, wide − LR" in benchmark.ahead(stored)
    assert "SVC" not in benchmark.ahead(stored)


@pytest.mark.parametrize("low", [-0.01, 0.0])
def test_ahead_of_every_baseline_needs_every_interval_above_zero(low: float) -> None:
    clear = compared(
        comparison("bce-wide", "LR", 0.01, 0.1), comparison("bce-wide", "SVC", 0.1, 0.3)
    )
    assert benchmark.ahead_on(clear, "spam") == (["macro_f1"], [])
    assert "On SMS Spam, what is served is ahead of every baseline in macro-F1" in (
        results.ahead_note(clear)
    )
    # Also behind an interval that was stored the other way round; other variants do not count.
    unclear = compared(
        comparison("bce-wide", "LR", 0.01, 0.1),
        comparison("SVC", "bce-wide", -0.1, -low),
        comparison("bce-wide", "dice", 0.1, 0.3),
    )
    assert benchmark.ahead_on(unclear, "spam") == ([], ["macro_f1"])
    assert results.ahead_note(unclear).endswith("ahead of every baseline in no metric.")


def test_served_and_collapsed_rows_are_marked() -> None:
    stored = compared()
    table = benchmark.two_classes(stored, ["fitted"], ["macro_f1"])
    assert "| **BCE, wide** | fitted | .9000 | 2 | 1 | 3.0 | 9 |" in table
    assert table.index("LR") < table.index("BCE, wide")
    collapsed = replace(stored, rows=[replace(stored.rows[1], collapsed=True)])
    assert "Dice (collapsed)" in benchmark.two_classes(collapsed, ["fitted"], ["macro_f1"])


def test_the_readme_shows_the_best_baseline_of_each_family() -> None:
    names = ("TF-IDF + LR", "TF-IDF + SVC", "fastText default", "fastText subwords")
    rows = [row("peer", name, [0.1 * place]) for place, name in enumerate(names)]
    table = readme.table(replace(compared(), rows=[*compared().rows, *rows]))
    assert table.splitlines()[2:] == [
        "| SMS Spam | **BCE, wide** | .9000 |  | 0.0 | 3.0 |",
        "| SMS Spam | TF-IDF + SVC | .1000 |  | 0.0 | 3.0 |",
        "| SMS Spam | fastText subwords | .3000 |  | 0.0 | 3.0 |",
    ]


def with_alerts(accuracy: float, f1: float, positives: float) -> Results:
    rates = {"accuracy": [accuracy], "f1": [f1]}
    larger = {"accuracy": [max(positives, 1 - positives)]}
    f1_of_larger = [2 * positives / (1 + positives) if positives > 0.5 else 0.0]
    rows = [
        row("dan", "dice", [0.8], **rates),
        row("majority", "majority", [0.5], f1=f1_of_larger, **larger),
    ]
    return Results(rows, [], [], {"spam": Chosen("dice", {})}, [])


@pytest.mark.parametrize("positives", [200, 800])
@pytest.mark.parametrize(("missed", "false_alarms"), [(20, 50), (0, 30), (30, 0), (0, 0)])
def test_alerts_follow_from_accuracy_and_f1(positives: int, missed: int, false_alarms: int) -> None:
    right = positives - missed
    accuracy = 1 - (missed + false_alarms) / 1000
    f1 = 2 * right / (2 * right + missed + false_alarms)
    (found,) = scope_page.alerts(with_alerts(accuracy, f1, positives / 1000), "spam")
    recall, false_rate = right / positives, false_alarms / (1000 - positives)
    assert found.true_positive_rate == pytest.approx(recall)
    assert found.false_positive_rate == pytest.approx(false_rate)
    expected = 0.01 * recall / (0.01 * recall + 0.99 * false_rate)
    assert found.precision(0.01) == pytest.approx(expected)


def finer_row(kind: str, name: str, labels: int, value: float) -> FinerLabelsRow:
    metrics = row_metrics(macro_f1=[value], auroc=[value])
    return FinerLabelsRow(kind, name, labels, metrics)  # type: ignore[arg-type]


def test_the_note_on_finer_labels_compares_our_variants_without_them() -> None:
    rows = [
        finer_row("peer", "LR", 6, 0.8),
        finer_row("peer", "LR", 2, 0.7),
        finer_row("dan", "dice-wide", 2, 0.65),
        finer_row("dan", "dice-wide", 6, 0.81),
        finer_row("dan", "bce-wide", 2, 0.66),
    ]
    note = finer_labels.note(FinerLabels("cyberbullying", "grouped", "fitted", [0], rows))
    assert note.startswith("Without the finer labels, Dice, wide is behind BCE, wide. One seed")


def test_an_ablation_is_a_line() -> None:
    line = AblationLine("spam", "dice", "", 0.9, 0.8, 0.7, 0.6, 12_300.0)
    questions = [AblationQuestion("What?", [line]), AblationQuestion("Never asked", [])]
    page = ablations.page(Ablations({"cyberbullying": 12_000}, questions))
    assert "| spam/dice | nothing | 0.9000 | 0.8000 | 0.7000 | 0.6000 | 12 |" in page
    assert "Cyberbullying is learned from a sample of 12,000 rows" in " ".join(page.split())
    assert "Never asked" not in page


def test_the_cost_of_the_cure_is_not_rounded_away() -> None:
    stored = read(Sensitivity, ROOT / "docs" / "results" / "sensitivity.json")

    def cell(part: str, macro_f1: float) -> SensitivityCell:
        return SensitivityCell(part, "cyberbullying", "dice", 0.01, 0, 3, macro_f1, 0.9, 1.0)

    cheap = replace(stored, cells=[cell("naive", 0.7), cell("cured", 0.69567)])
    assert "costs is .0043 of macro-F1" in sensitivity_page.paragraph(cheap)
    free = replace(stored, cells=[cell("naive", 0.7), cell("cured", 0.8)])
    assert "At none of these rates does it cost" in sensitivity_page.paragraph(free)


def test_a_page_is_changed_between_the_marks_alone(tmp_path: Path) -> None:
    page = tmp_path / "README.md"
    page.write_text(f"before {readme.START}old{readme.END} after")
    readme.update(page, "new\n")
    assert page.read_text() == f"before {readme.START}\n\nnew\n\n{readme.END} after"
    page.write_text("no marks")
    with pytest.raises(StorageError, match=r"marks .* are missing"):
        readme.update(page, "new")
    with pytest.raises(StorageError, match=r"no page holds the mark"):
        readme.require(tmp_path)
    page.write_text(readme.START)
    with pytest.raises(StorageError, match=r"marks .* are missing"):
        readme.require(tmp_path)


def test_marks_are_found_wherever_the_documentation_has_them(tmp_path: Path) -> None:
    guide = tmp_path / "docs" / "guide"
    guide.mkdir(parents=True)
    (tmp_path / "README.md").write_text("nothing here")
    assert readme.find(tmp_path) == []
    (guide / "quality.md").write_text(f"{readme.START}{readme.END}")
    assert readme.find(tmp_path) == [guide / "quality.md"]


def test_a_wrong_file_is_named_with_the_place(tmp_path: Path) -> None:
    path = tmp_path / "ablations.json"
    with pytest.raises(StorageError, match=r"ablations.json: no such file"):
        read(Ablations, path)
    path.write_text('{"sample_rows": {}}')
    with pytest.raises(StorageError, match=r"ablations.json: questions: Field required"):
        read(Ablations, path)


def test_the_results_page_needs_neither_finer_labels_nor_robustness() -> None:
    stored = Stored(
        compared(),
        read(Sensitivity, ROOT / "docs" / "results" / "sensitivity.json"),
        read(Imbalance, ROOT / "docs" / "results" / "imbalance.json"),
    )
    text = results.page(stored, ["README.md", "tuning-spam.md"])
    assert "ablations.md" not in text
    assert "robustness.md" not in text
    assert "[spam](tuning-spam.md)" in text
    assert "## Outside the benchmark" not in text
    lines = [line for line in text.splitlines() if not line.startswith(("|", "!", "#"))]
    assert max(map(len, lines)) <= 100
    assert not re.search(r"\bpeers?\b", text)
