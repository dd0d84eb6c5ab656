"""Jobs side by side, and the report of their progress."""

import pytest

from training.parallel import progress, run_parallel


def test_the_order_is_kept_and_a_line_per_job_printed(capsys: pytest.CaptureFixture[str]) -> None:
    # A function of Python's own: a process for one of ours would import torch first.
    found = run_parallel(int, ["1", "2", "3"], "Test", "number {}".format, workers=2, done=1)
    assert found == [1, 2, 3]
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition(",")[0] for line in lines] == [f"Test: {n} of 4" for n in (2, 3, 4)]
    assert sorted(line.split(", ")[1].partition(" (")[0] for line in lines) == [
        "number 1",
        "number 2",
        "number 3",
    ]


def test_a_line_is_printed_when_a_job_starts(capsys: pytest.CaptureFixture[str]) -> None:
    found = run_parallel(int, ["1", "2"], "Test", "number {}".format, workers=1, announce=True)
    assert found == [1, 2]
    lines = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert lines == [
        "Test: number 1 started",
        "Test: 1 of 2, number 1",
        "Test: number 2 started",
        "Test: 2 of 2, number 2",
    ]


def test_the_first_failure_ends_the_series() -> None:
    with pytest.raises(ValueError, match="invalid literal for int"):
        run_parallel(int, ["1", "one", "3"], "Test", workers=2)


def test_in_a_terminal_there_is_a_bar(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    with progress("Test", 2, 1) as advance:
        advance("job")
    out = capsys.readouterr().out
    assert "2/2" in out
    assert "job" not in out
