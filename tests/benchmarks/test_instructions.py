"""The comparison with the accepted figures; nothing is counted here."""

import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from benchmarks import callgrind, counted_work, engines, instructions
from benchmarks.callgrind import CountError
from benchmarks.instructions import Counts, differences, increases

CONDITIONS = {"Python": "3.11.7", "numpy": "2.4.6"}
ROUTE, FEATURISER = "numpy: route, 1 text", "numpy: featuriser, 1 text"
ACCEPTED = Counts(CONDITIONS, {FEATURISER: 1_000, ROUTE: 40_000})


def counts(featuriser: int = 1_000, route: int = 40_000, **conditions: str) -> Counts:
    return Counts(CONDITIONS | conditions, {FEATURISER: featuriser, ROUTE: route})


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of accepted figures for one test."""
    path = tmp_path / "instructions.json"
    monkeypatch.setattr(instructions, "ACCEPTED", path)
    path.write_text(json.dumps({"conditions": CONDITIONS, "instructions": ACCEPTED.instructions}))
    return path


def found_is(monkeypatch: pytest.MonkeyPatch, found: Counts) -> None:
    monkeypatch.setattr(instructions, "count", lambda: found)


@pytest.mark.parametrize(("now", "fails"), [(1_249, False), (1_250, True), (400, False)])
def test_an_increase_by_a_quarter_fails(now: int, fails: bool) -> None:
    assert bool(increases(ACCEPTED, counts(featuriser=now))) is fails


def test_only_the_increase_is_reported() -> None:
    first, advice = increases(ACCEPTED, counts(route=50_000))
    assert first.startswith(f"{ROUTE}: 50,000 instructions, +25% over the accepted 40,000")
    assert "make instructions ACCEPT=1" in advice
    assert FEATURISER not in first + advice


def test_work_that_is_not_in_both_fails() -> None:
    found = Counts(CONDITIONS, {FEATURISER: 1_000, "new": 1})
    assert increases(ACCEPTED, found)[:-1] == [f"{ROUTE}: not counted", "new: not accepted yet"]


def test_other_conditions_are_reported_and_do_not_fail(
    accepted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found_is(monkeypatch, counts(featuriser=1_100, numpy="2.5.0"))
    assert instructions.main([]) == 0
    output = capsys.readouterr().out
    assert "accepted with another numpy: 2.4.6; now: 2.5.0" in output
    assert "+10.0%" in output


def test_other_conditions_are_reported_with_a_failure(
    accepted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found_is(monkeypatch, counts(route=60_000, Python="3.14.0"))
    assert instructions.main([]) == 1
    output = capsys.readouterr().out
    assert "accepted with another Python: 3.11.7; now: 3.14.0" in output
    assert f"{ROUTE}: 60,000 instructions, +50%" in output


def test_equal_conditions_are_not_reported() -> None:
    assert differences(ACCEPTED, counts()) == []


def test_accepted_figures_pass(accepted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found_is(monkeypatch, counts(route=90_000))
    assert instructions.main([]) == 1
    assert instructions.main(["--accept"]) == 0
    assert instructions.main([]) == 0
    assert json.loads(accepted.read_text())["instructions"][ROUTE] == 90_000


@pytest.mark.parametrize("missing", ["valgrind", "cc"])
def test_a_missing_program_is_named(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("shutil.which", lambda program: None if program == missing else program)
    assert instructions.main([]) == 2
    assert f"error: {missing}: not found; on Debian: apt-get" in capsys.readouterr().err


def skip_without_callgrind() -> None:
    if not all(map(shutil.which, callgrind.PROGRAMS)):
        pytest.skip("needs valgrind and a C compiler: apt-get install valgrind gcc libc6-dev")


def test_a_failing_program_is_an_error_with_its_output(tmp_path: Path) -> None:
    skip_without_callgrind()
    script = "import sys; sys.exit('no such engine')"
    with pytest.raises(CountError, match=r"valgrind failed: (?s:.*)no such engine"):
        callgrind.count([sys.executable, "-c", script], tmp_path, os.environ)


def test_only_the_work_between_the_marks_is_counted(tmp_path: Path) -> None:
    skip_without_callgrind()
    script = """if True:
        import sys
        from pathlib import Path
        from benchmarks.callgrind import Marks
        marks = Marks(Path(sys.argv[1]))
        marks.count("little", 5, lambda: sum(range(3_000)))
        marks.count("much", 5, lambda: sum(range(30_000)))
    """
    found = callgrind.count([sys.executable, "-c", script, tmp_path], tmp_path, os.environ)
    assert list(found) == ["little", "much"]
    assert 9 < found["much"] / found["little"] < 11
    assert found["little"] < 1_000_000  # starting Python takes tens of millions


def test_the_accepted_figures_are_of_every_engine_and_piece() -> None:
    accepted = json.loads(instructions.ACCEPTED.read_text())
    assert set(accepted["instructions"]) == {
        f"{engine}: {work}, {batch}"
        for engine in engines.ENGINES
        for work in ("featuriser", "forward pass", "route")
        for batch in ("1 text", "256 texts")
    }
    assert len(counted_work.TEXTS) == len(set(counted_work.TEXTS)) == 256
