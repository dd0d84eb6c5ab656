"""What is checked before torch is imported, and Ctrl-C while it is."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import PATIENCE_S, ROOT

HEAVY = ("torch", "pandas", "sklearn", "scipy", "optuna", "pyarrow")
TRAIN = ["train", "--name=mine", "--output=out"]


def program_of(program: str) -> list[str]:
    if program == "python -m training":
        return [sys.executable, "-m", "training"]
    main = "import sys; from training.command import main; main(sys.argv[2:], 'dandelion train')"
    return [sys.executable, "-c", main]


def environment(directory: Path, fakes: dict[str, str]) -> dict[str, str]:
    """Put modules in front of those that are installed."""
    for name, code in fakes.items():
        (directory / f"{name}.py").write_text(code)
    return os.environ | {"PYTHONPATH": f"{directory}{os.pathsep}{ROOT}"}


def write(directory: Path, rows: int = 40) -> None:
    lines = [f"text {'x' * number},{'ab'[number % 2]}" for number in range(rows)]
    (directory / "mine.csv").write_text("\n".join(["text,label", *lines]))


@pytest.mark.parametrize("program", ["python -m training", "dandelion train"])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data=nope.csv"], "nope.csv: cannot be read: No such file or directory"),
        (["--data=mine.xlsx"], "mine.xlsx: spreadsheets are not read"),
        (["--data=mine.csv", "--output=/dev/null"], "--output /dev/null: cannot be written to"),
        (["--data=mine.csv", "--text-column=txt"], "no column 'txt', did you mean 'text'?"),
        (["--data=few.csv"], "too few rows to split, each class needs 10"),
    ],
)
def test_what_is_wrong_with_the_data_is_found_without_torch(
    tmp_path: Path, program: str, arguments: list[str], message: str
) -> None:
    fakes = dict.fromkeys(HEAVY, "raise SystemExit(f'{__name__} was imported')")
    write(tmp_path)
    (tmp_path / "few.csv").write_text("text,label\na,x\nb,y\n")
    command = [*program_of(program), *TRAIN, *arguments]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env=environment(tmp_path, fakes),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_an_interrupt_during_imports_ends_silently(tmp_path: Path, library: str) -> None:
    # As libraries do, it makes another error of an interrupt.
    code = (
        "import os, time\nos.write(1, b'importing')\n"
        "try:\n    time.sleep(600)\n"
        "except BaseException as error:\n    raise ImportError from error\n"
    )
    write(tmp_path)
    process = subprocess.Popen(
        [*program_of("python -m training"), *TRAIN, "--data=mine.csv"],
        cwd=tmp_path,
        env=environment(tmp_path, {library: code}),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        seen = b""
        while b"importing" not in seen:
            piece = os.read(process.stdout.fileno(), 4096)
            assert piece, "ended before the import"
            seen += piece
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode in {-signal.SIGINT, 130}
    assert errors == b""
