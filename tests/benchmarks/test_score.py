"""The guide has the figures of scoring files, and the command fails where the goal is missed."""

from pathlib import Path

import pytest

from benchmarks import score
from benchmarks.measure import Spread


def figures(share: float) -> score.Figures:
    """Return figures in which every format reaches a share of scoring in memory."""
    one = score.FormatFigures(Spread.of([1234.0]), Spread.of([share]), Spread.of([share]))
    formats = dict.fromkeys(score.FORMATS.values(), one)
    texts_per_s, start_s = Spread.of([9999.0]), Spread.of([1.0])
    return score.Figures("2026-01-02", "abc", "CPU", 5000, 3, texts_per_s, start_s, formats)


@pytest.mark.parametrize(("share", "code"), [(score.GOAL, 0), (score.GOAL - 0.01, 1)])
def test_figures_are_written_into_the_guide(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, share: float, code: int
) -> None:
    before = score.PAGE.read_text(encoding="utf-8")
    copy = tmp_path / "page.md"
    copy.write_text(before, encoding="utf-8")
    monkeypatch.setattr(score, "PAGE", copy)
    monkeypatch.setattr(score, "measure", lambda *_: figures(share))
    assert score.main(["--print"]) == code
    assert copy.read_text(encoding="utf-8") == before
    assert score.main([]) == code
    written = copy.read_text(encoding="utf-8")
    for title in score.FORMATS.values():
        row = f"| {title} | 1,234 | {share:.0%} ({share:.0%}–{share:.0%}) | {share:.0%} |"
        assert row in written
        assert f"| {title} | " in before
    start, end = "do not edit -->\n", "<!-- end of figures -->"
    for marker, side in ((start, 0), (end, 2)):
        assert before.partition(marker)[side] == written.partition(marker)[side]
