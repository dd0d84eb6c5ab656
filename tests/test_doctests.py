"""The examples in the docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import app
import benchmarks
import dandelion
import study
import training

from .conftest import ROOT

# Programs for environments of their own, which have other libraries.
APART = ("benchmarks.baselines.", "study.baselines.profanity_program")
# The compiled engine is not a Python module; `__main__` runs a command.
MODULES = [
    name
    for package in (dandelion, app, training, study, benchmarks)
    for name in (
        package.__name__,
        *(one.name for one in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")),
    )
    if "._" not in name and not name.startswith(APART)
]


@pytest.mark.parametrize("name", MODULES)
def test_examples_are_correct(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)  # they load the committed artifacts
    result = doctest.testmod(importlib.import_module(name))
    assert not result.failed, capsys.readouterr().out


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder()
    tests = [test for name in MODULES for test in finder.find(importlib.import_module(name))]
    with_examples = {test.name for test in tests if test.examples}
    assert {
        "dandelion.classifier.Classifier",
        "dandelion.text.tokenizer.tokenize",
        "study.pages.wording.percent",
        "training.cache",
    } <= with_examples
