"""The examples in the docstrings."""

import doctest
import importlib
import pkgutil

import pytest

import dandelion

from ..conftest import ROOT

MODULES = [
    "dandelion",
    *(
        module.name
        for module in pkgutil.walk_packages(dandelion.__path__, "dandelion.")
        if "._" not in module.name  # the compiled engine is not a Python module
    ),
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
    assert {"dandelion.classifier.Classifier", "dandelion.text.tokenizer.tokenize"} <= with_examples
