"""Advice by kind of installation."""

import shlex
import sys
from pathlib import Path

from dandelion.advice import ADVICE, advice_for

from ..conftest import ROOT


def test_a_checkout_has_make(tmp_path: Path) -> None:
    root = tmp_path / "check out"
    root.mkdir()
    (root / "Makefile").touch()
    advice = advice_for(root)
    assert advice.train == "make train-all"
    assert advice.restore.endswith("make train-all")
    command = shlex.split(advice.build_engine)
    assert command == [sys.executable, "-m", "pip", "install", "--editable", str(root)]


def test_a_wheel_has_no_make(tmp_path: Path) -> None:
    advice = advice_for(tmp_path)
    assert advice.train == "dandelion train"
    assert not any("make" in one or "git" in one for one in (advice.restore, advice.build_engine))
    assert shlex.split(advice.build_engine)[-1] == "dandelion-text"


def test_the_tests_run_in_a_checkout() -> None:
    assert advice_for(ROOT) == ADVICE
