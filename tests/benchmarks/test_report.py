"""The pages, from figures."""

import re
from pathlib import Path

import pytest

from benchmarks import plots, report, scaling
from benchmarks.goals import verdicts
from benchmarks.markdown import filled

from .examples import figures


def test_the_goals_stand_at_the_top_of_the_page() -> None:
    page = report.page(figures())
    rows = [line for line in page.split("\n## ")[1].splitlines() if line.startswith("| ")]
    assert len(rows) - 2 == len(verdicts(figures()))
    assert "| 3.2 min, 2026-01-01 | yes |" in page
    assert "| ≤ 200 MB | not measured | not measured |" in page


def test_a_quick_run_says_so() -> None:
    assert "A quick run" not in report.page(figures())
    assert "**A quick run" in report.page(figures() | {"quick": True})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything written once: the plots take seconds."""
    path = tmp_path_factory.mktemp("report")
    report.write(figures(), path)
    return path


def test_every_plot_that_is_written_is_shown(home: Path) -> None:
    page = (home / report.PAGE).read_text(encoding="utf-8")
    shown = set(re.findall(r"\]\((benchmarks/[^)]*)\)", page))
    written = {str(path.relative_to(home)) for path in home.glob("benchmarks/*")}
    assert shown == written
    assert len(written) == 8


def test_equal_figures_give_equal_files(home: Path, tmp_path: Path) -> None:
    report.write(figures(), tmp_path)
    for path in home.rglob("*.*"):
        assert path.read_bytes() == (tmp_path / path.relative_to(home)).read_bytes()


def test_nobody_on_the_frontier_is_dearer_and_worse_than_another() -> None:
    points = figures()["frontier"]["spam"]["points"]
    names = [point["name"] for point in plots.on_frontier(points, "average_precision")]
    assert names == ["dice, compiled", "wide, compiled"]


def test_a_million_messages_need_so_many_cores() -> None:
    one = scaling.need(figures(), "1 text, 16 connections", 1)
    many = scaling.need(figures(), "256 texts, 16 connections", 256)
    assert one.cores == 186  # 10⁶ / (9,000 × 0.6), rounded up
    assert many.cores == 7  # 10⁶ / (256,000 × 0.6)
    assert (one.requests_per_s, many.requests_per_s) == (1_000_000, 3906.25)
    assert one.memory_gb == 186 * 60 / 1e3  # the larger worker of two
    assert one.gbit_per_s == 1e6 * (100 + 150 + 200) * 8 / 1e9


def test_the_price_is_told_to_be_an_input() -> None:
    page = scaling.page(figures())
    assert f"**Inputs, not facts**, are {scaling.USD_PER_CORE_HOUR} USD" in page


def test_prose_is_broken_and_tables_are_not() -> None:
    row = f"| {'word ' * 30}|"
    page = filled(f"# {'title ' * 30}\n\n{'word ' * 30}\n\n{row}\n\n- {'one ' * 40}\n- two")
    title, prose, table, items = page.rstrip().split("\n\n")
    assert "\n" not in title
    assert table == row
    assert max(map(len, prose.splitlines())) <= 100
    assert items.splitlines()[1].startswith("  one")
    assert items.endswith("\n- two")
