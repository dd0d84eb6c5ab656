"""The guard's judgement; nothing is counted here."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import instructions
from benchmarks.instructions import CountError, Counts, dearer, differences

CONDITIONS = {"Python": "3.11.7", "numpy": "2.4.6"}
ROUTE, FEATURISER = "numpy: route, 1 text", "numpy: featuriser, 1 text"
ACCEPTED = Counts(CONDITIONS, {FEATURISER: 1_000, ROUTE: 40_000})


def counts(featuriser: int = 1_000, route: int = 40_000, **conditions: str) -> Counts:
    return Counts(CONDITIONS | conditions, {FEATURISER: featuriser, ROUTE: route})


@pytest.fixture
def accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of accepted figures, put aside for the test."""
    path = tmp_path / "instructions.json"
    monkeypatch.setattr(instructions, "ACCEPTED", path)
    path.write_text(json.dumps({"conditions": CONDITIONS, "instructions": ACCEPTED.instructions}))
    return path


def found_is(monkeypatch: pytest.MonkeyPatch, found: Counts) -> None:
    monkeypatch.setattr(instructions, "count", lambda: found)


@pytest.mark.parametrize(("now", "fails"), [(1_249, False), (1_250, True), (400, False)])
def test_a_quarter_more_fails(now: int, fails: bool) -> None:
    assert bool(dearer(ACCEPTED, counts(featuriser=now))) is fails


def test_what_became_dearer_is_named_and_nothing_else() -> None:
    first, advice = dearer(ACCEPTED, counts(route=50_000))
    assert first.startswith(f"{ROUTE}: 50,000 instructions, +25% over the accepted 40,000")
    assert "make instructions ACCEPT=1" in advice
    assert FEATURISER not in first + advice


def test_what_is_not_in_both_fails() -> None:
    found = Counts(CONDITIONS, {FEATURISER: 1_000, "new": 1})
    assert dearer(ACCEPTED, found)[:-1] == [f"{ROUTE}: not counted", "new: not accepted yet"]


def test_other_conditions_are_told_not_punished(
    accepted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found_is(monkeypatch, counts(featuriser=1_100, numpy="2.5.0"))
    assert instructions.main([]) == 0
    output = capsys.readouterr().out
    assert "accepted with another numpy: 2.4.6; here: 2.5.0" in output
    assert "+10.0%" in output


def test_other_conditions_stand_beside_a_failure(
    accepted: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found_is(monkeypatch, counts(route=60_000, Python="3.14.0"))
    assert instructions.main([]) == 1
    output = capsys.readouterr().out
    assert "accepted with another Python: 3.11.7; here: 3.14.0" in output
    assert f"{ROUTE}: 60,000 instructions, +50%" in output


def test_the_same_conditions_are_not_mentioned() -> None:
    assert differences(ACCEPTED, counts()) == []


def test_what_is_accepted_passes(accepted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert f"error: {missing}: no such program; on Debian: apt-get" in capsys.readouterr().err


def test_an_engine_that_does_not_run_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    if shutil.which("cc") is None:
        pytest.skip("needs a C compiler: apt-get install gcc libc6-dev")
    monkeypatch.setattr("shutil.which", lambda program: program)
    monkeypatch.setattr(instructions, "_MARKS", "no C at all")
    with pytest.raises(CountError, match=r"cc failed: .*marks\.c"):
        instructions.count()


def test_the_accepted_figures_are_of_every_engine_and_piece() -> None:
    accepted = json.loads(instructions.ACCEPTED.read_text())
    assert set(accepted["instructions"]) == {
        f"{engine}: {work}, {batch}"
        for engine in instructions.ENGINES
        for work in ("featuriser", "forward pass", "route")
        for batch in ("1 text", "256 texts")
    }
    assert len(instructions.TEXTS) == len(set(instructions.TEXTS)) == 256
