"""The pages rendered from figures."""

import re
from pathlib import Path

import pytest

from benchmarks import figures as stored_format
from benchmarks import plots, report, scaling
from benchmarks.goals import verdicts
from benchmarks.markdown import wrap

from ..conftest import ROOT
from .examples import figures, run, stored_figures

pytestmark = pytest.mark.slow

DOCS = ROOT / "docs"


def test_the_committed_pages_are_rendered_from_the_committed_figures() -> None:
    stored = stored_format.read(DOCS)
    assert (DOCS / report.PAGE).read_text(encoding="utf-8") == report.page(stored)
    assert (DOCS / report.SCALING).read_text(encoding="utf-8") == scaling.page(stored)


def test_the_page_starts_with_the_goals() -> None:
    page = report.page(figures())
    rows = [line for line in page.split("\n## ")[1].splitlines() if line.startswith("| ")]
    assert len(rows) - 2 == len(verdicts(figures()))
    assert "| 3.2 min, 2026-01-01 | yes |" in page
    assert "| ≤ 200 MB | not measured | not measured |" in page


def test_a_quick_run_is_marked() -> None:
    assert "A quick run" not in report.page(figures())
    quick = stored_figures() | {"run": run(quick=True)}
    assert "**A quick run" in report.page(figures(quick))


def test_a_part_of_a_later_run_is_marked_with_its_commit_and_versions() -> None:
    assert "later" not in report.page(figures())
    later = run(date="2026-02-03", commit="1234567", versions={"numpy": "2.5.0"})
    found = figures(stored_figures() | {"remeasured": {"http": later}})
    head, *sections = report.page(found).split("\n## ")
    head = " ".join(head.split())
    assert "(`http`): 2026-02-03, commit 1234567, 3 rounds" in head
    assert "different from the whole run: numpy 2.5.0." in head
    marked = [section for section in sections if "*This section is from a later run:" in section]
    assert [section.splitlines()[0] for section in marked] == ["Over HTTP"]
    assert "2026-02-03, commit 1234567" in marked[0]
    scaled = " ".join(scaling.page(found).split())
    assert "requests and responses (2026-02-03, commit 1234567)" in scaled
    assert "memory of a worker (2026-01-02, commit abcdef0)" in scaled


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All files, written once: plotting takes seconds."""
    path = tmp_path_factory.mktemp("report")
    report.write(figures(), path)
    return path


def test_every_written_plot_is_on_the_page(home: Path) -> None:
    page = (home / report.PAGE).read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\((benchmarks/[^)]*)\)", page))
    written = {str(path.relative_to(home)) for path in home.glob("benchmarks/*")}
    assert shown == written
    assert len(written) == 8


def test_equal_figures_give_equal_files(home: Path, tmp_path: Path) -> None:
    report.write(figures(), tmp_path)
    for path in home.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(home)).read_bytes()


def test_no_point_on_the_frontier_costs_more_and_is_worse_than_another() -> None:
    points = figures().frontier["spam"].points
    names = [point.name for point in plots.on_frontier(points, "average_precision")]
    assert names == ["dice, compiled", "wide, compiled"]


def test_the_cores_for_a_million_messages_follow_from_the_rate() -> None:
    one = scaling.need(figures(), "1 text, 16 connections", 1)
    many = scaling.need(figures(), "256 texts, 16 connections", 256)
    assert one.cores == 186  # 10⁶ / (9,000 × 0.6), rounded up
    assert many.cores == 7  # 10⁶ / (256,000 × 0.6)
    assert (one.requests_per_s, many.requests_per_s) == (1_000_000, 3906.25)
    assert one.memory_gb == 186 * 60 / 1e3  # the larger worker of two
    assert one.gbit_per_s == 1e6 * (100 + 150 + 200) * 8 / 1e9


def test_the_price_is_marked_as_an_assumption() -> None:
    page = scaling.page(figures())
    assert f"**Assumptions, not measurements:** {scaling.USD_PER_CORE_HOUR} USD" in page


def test_prose_is_wrapped_and_tables_are_not() -> None:
    row = f"| {'word ' * 30}|"
    page = wrap(f"# {'title ' * 30}\n\n{'word ' * 30}\n\n{row}\n\n- {'one ' * 40}\n- two")
    title, prose, table, items = page.rstrip().split("\n\n")
    assert "\n" not in title
    assert table == row
    assert max(map(len, prose.splitlines())) <= 100
    assert items.splitlines()[1].startswith("  one")
    assert items.endswith("\n- two")
