"""Weights and bands of evidence, in JSON."""

import json
from typing import Any

import numpy as np
import pytest

from dandelion.decision.evidence import Evidence, from_json, to_json

FACTS: dict[str, Any] = {
    "weights": {"low": 40.0, "high": 1.5},
    "bands": {"low": (-1e9, 0.0), "high": (0.0, 1e9)},
}


def stratified(**facts: Any) -> Evidence:
    logits = np.array([-3.0, -1.0, 2.0, 5.0])
    return Evidence.of(
        logits, np.array([0, 1, 0, 1]), (logits > 0).astype(np.int64), ["low", "high"], **facts
    )


def test_weights_and_bands_are_written_and_read() -> None:
    read = from_json(json.loads(json.dumps(to_json(stratified(**FACTS)))))
    assert (read.weights, read.bands) == (FACTS["weights"], FACTS["bands"])


def test_evidence_without_them_is_as_before() -> None:
    values = to_json(stratified())
    assert not {"weights", "bands"} & set(values)
    read = from_json(values)
    assert (read.weights, read.bands) == (None, None)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"weights": {"low": 1.0}}, "one number for each source"),
        ({"weights": [1.0, 2.0]}, "one number for each source"),
        ({"weights": {"low": 0, "high": 1}}, "each weight is a number"),
        ({"weights": {"low": True, "high": 1}}, "each weight is a number"),
        ({"weights": {"low": "1", "high": 1}}, "each weight is a number"),
        ({"weights": {"low": float("inf"), "high": 1}}, "each weight is a number"),
        ({"bands": [1]}, "'bands' is an object"),
        ({"bands": {"elsewhere": [0, 1]}}, "'bands' is an object with sources"),
        ({"bands": {"low": [0]}}, "two numbers for the band of 'low'"),
        ({"bands": {"low": [-9, float("nan")]}}, "two numbers for the band of 'low'"),
        ({"bands": {"low": [0.0, -9.0]}}, "'low' are within its band"),
        ({"bands": {"low": [-9.0, -2.0]}}, "'low' are within its band"),
        ({"bands": {"high": [3.0, 9.0]}}, "'high' are within its band"),
        ({"more": 1}, "expected an object"),
    ],
)
def test_what_is_damaged_is_refused(changed: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        from_json(to_json(stratified(**FACTS)) | changed)
