"""Artifacts that were not written by training, or not from the data set that is here."""

from dataclasses import replace
from typing import Any

import pytest

from training.data import datasets
from training.errors import DatasetError
from training.evaluation import read_test_fold

from ..dandelion.examples import make_artifact


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "spam/tiny: its data set has SHA-256 None, but the one here"),
        ({"dataset": {"sha256": "0"}}, "its data set has SHA-256 0, but the one here"),
        ({"protocol": "random"}, "its protocol is 'random'; expected one of paper, grouped"),
    ],
)
def test_an_artifact_of_other_data_is_refused(changes: dict[str, Any], message: str) -> None:
    manifest = replace(make_artifact().manifest, **changes)
    with pytest.raises(DatasetError, match=message):
        read_test_fold(manifest, datasets.load("tiny"))
