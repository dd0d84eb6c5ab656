"""The JSON of a response, compared with the decisions that it reports."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.api import responses
from dandelion import Classifier

from ...dandelion.examples import make_artifact

# Characters with a meaning in JSON or to a formatter.
LABELS = ('a "quoted" one', "für %s {0}\\", "\u2028🌼,")

SCORE = st.floats(0, 1, width=32)


def encoded(labels: tuple[str, ...], scores: NDArray[np.float32], threshold: float | None) -> Any:
    manifest = make_artifact(labels=labels).manifest
    decision = manifest.decision.at(threshold)
    return json.loads(responses.encode(manifest, decision, decision.decide(scores)))


@given(st.lists(SCORE, min_size=1, max_size=20), st.floats(0, 1))
def test_two_labels(scores: list[float], threshold: float) -> None:
    classifier = Classifier(make_artifact(labels=LABELS[:2]))
    expected = classifier.label(np.array(scores, np.float32), threshold)
    assert encoded(LABELS[:2], np.array(scores, np.float32), threshold) == {
        "model": "spam",
        "variant": "tiny",
        "version": classifier.manifest.version,
        "threshold": threshold,
        "results": [{"label": one.label, "score": one.score} for one in expected],
    }


@given(st.lists(st.tuples(SCORE, SCORE, SCORE), min_size=1, max_size=20))
def test_more_than_two_labels(rows: list[tuple[float, float, float]]) -> None:
    response = encoded(LABELS, np.array(rows, np.float32), None)
    expected = Classifier(make_artifact(labels=LABELS)).label(np.array(rows, np.float32))
    assert list(response) == ["model", "variant", "version", "threshold", "results"]
    assert response["threshold"] is None
    assert response["results"] == [
        {"label": one.label, "score": one.score, "scores": one.scores} for one in expected
    ]
    for result in response["results"]:
        assert list(result["scores"]) == list(LABELS)


@pytest.mark.parametrize("score", [0.0, 1.0, 1e-30, np.finfo(np.float32).smallest_subnormal])
def test_a_score_is_the_float64_of_the_float32(score: float) -> None:
    response = encoded(LABELS[:2], np.array([score], np.float32), 0.5)
    assert response["results"][0]["score"] == float(np.float32(score))


@given(SCORE)
def test_a_score_has_the_fewest_digits(score: float) -> None:
    manifest = make_artifact().manifest
    scores = np.array([score], np.float32)
    content = responses.encode(manifest, manifest.decision, manifest.decision.decide(scores))
    written = content.decode().rpartition('"score":')[2].removesuffix("}]}")
    assert float(written) == score
    digits = [text.partition("e")[0].replace(".", "").strip("0") for text in (written, repr(score))]
    assert digits[0] == digits[1]  # Python's repr is the shortest


def test_the_comparison_is_in_float64() -> None:
    # In float32 the threshold .9 would equal this score.
    response = encoded(LABELS[:2], np.array([0.9], np.float32), 0.9)
    assert response["results"][0]["score"] < 0.9
    assert response["results"][0]["label"] == LABELS[0]
