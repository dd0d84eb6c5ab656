"""The program that scores in an environment of its own."""

import sys
from pathlib import Path

import pytest

from study.baselines import profanity
from training.errors import TrainingError

STANDS_IN = """\
import runpy, sys, types
import numpy as np
module = types.ModuleType("profanity_check")
module.predict_prob = lambda texts: np.array([len(text) / 100 for text in texts])
sys.modules["profanity_check"] = module
runpy.run_path(sys.argv[-1], run_name="__main__")
"""


def environment(directory: Path, program: str) -> Path:
    """An environment whose interpreter runs another program."""
    (directory / "bin").mkdir(parents=True)
    (directory / "program.py").write_text(program, encoding="utf-8")
    python = directory / "bin" / "python"
    python.write_text(f'#!/bin/sh\nexec {sys.executable} {directory}/program.py "$@"\n')
    python.chmod(0o755)
    return directory


def test_texts_are_scored_in_order(tmp_path: Path) -> None:
    texts = ["a", "line\nbreak", "é☃", "\ud800", ""] + [
        "b" * (number % 90) for number in range(1500)
    ]
    found = profanity.scores(texts, environment(tmp_path / "env", STANDS_IN))
    assert found.tolist() == [len(text) / 100 for text in texts]


def test_a_missing_environment_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(profanity.MissingEnvironmentError, match=r"`make .*/none/\.profanity`"):
        profanity.scores(["a"], tmp_path / "none")


def test_a_failing_program_is_an_error(tmp_path: Path) -> None:
    broken = environment(tmp_path / "env", "raise SystemExit('no such module')")
    with pytest.raises(TrainingError, match="exit code 1: no such module"):
        profanity.scores(["a"], broken)
