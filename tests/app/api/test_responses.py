"""An answer written as bytes, against the objects it stands for."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.api.responses import Writer
from dandelion import Classifier

from ...dandelion.examples import make_artifact

# What a label may hold that means something in JSON or to a formatter.
NAMES = ('a "quoted" one', "für %s {0}\\", "\u2028🌼,")

SCORE = st.floats(0, 1, width=32)


def written(labels: tuple[str, ...], scores: NDArray[np.float32], threshold: float | None) -> Any:
    """Write the scores in two pieces."""
    writer = Writer(make_artifact(labels=labels).manifest)
    half = (len(scores) + 1) // 2
    pieces = [writer.piece(part, threshold) for part in (scores[:half], scores[half:]) if len(part)]
    return json.loads(writer.answer(pieces, threshold)), pieces


@given(st.lists(SCORE, min_size=1, max_size=20), st.floats(0, 1))
def test_two_labels(scores: list[float], threshold: float) -> None:
    answer, pieces = written(NAMES[:2], np.array(scores, np.float32), threshold)
    classifier = Classifier(make_artifact(labels=NAMES[:2]))
    expected = classifier.label(np.array(scores, np.float32), threshold)
    assert answer == {
        "model": "spam",
        "variant": "tiny",
        "version": classifier.manifest.version,
        "threshold": threshold,
        "results": [{"label": one.label, "score": one.score} for one in expected],
    }
    given_labels = [NAMES[label] for piece in pieces for label in piece.labels]
    assert given_labels == [one.label for one in expected]
    assert [score for piece in pieces for score in piece.scores] == scores


@given(st.lists(st.tuples(SCORE, SCORE, SCORE), min_size=1, max_size=20))
def test_more_labels(rows: list[tuple[float, float, float]]) -> None:
    answer, pieces = written(NAMES, np.array(rows, np.float32), None)
    expected = Classifier(make_artifact(labels=NAMES)).label(np.array(rows, np.float32))
    assert answer["threshold"] is None
    assert answer["results"] == [one._asdict() for one in expected]
    for result in answer["results"]:
        assert list(result["scores"]) == list(NAMES)
    given_labels = [NAMES[label] for piece in pieces for label in piece.labels]
    assert given_labels == [one.label for one in expected]
    found = [score for piece in pieces for score in piece.scores]
    assert found == [one.score for one in expected]


@pytest.mark.parametrize("score", [0.0, 1.0, 1e-30, np.finfo(np.float32).smallest_subnormal])
def test_a_score_is_the_float64_of_the_float32(score: float) -> None:
    answer, _ = written(NAMES[:2], np.array([score], np.float32), 0.5)
    assert answer["results"][0]["score"] == float(np.float32(score))


def test_the_comparison_is_in_float64() -> None:
    # In float32 the threshold .9 would equal this score.
    answer, _ = written(NAMES[:2], np.array([0.9], np.float32), 0.9)
    assert answer["results"][0]["score"] < 0.9
    assert answer["results"][0]["label"] == NAMES[0]
