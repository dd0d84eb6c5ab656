"""An artifact made callable."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dandelion
from dandelion import ArtifactError, Classifier, Prediction, ThresholdError
from dandelion.artifact import Artifact, Golden, save

MakeArtifact = Callable[..., Artifact]

OLD = Path(__file__).parent / "artifact-v1"
ANY_TEXT = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"]), st.just("\0")))


@pytest.fixture
def classifier(make_artifact: MakeArtifact, tmp_path: Path) -> Classifier:
    save(make_artifact(), tmp_path / "tiny")
    return Classifier.load(tmp_path / "tiny")


def test_public_names() -> None:
    assert dandelion.__all__ == ["ArtifactError", "Classifier", "Prediction", "ThresholdError"]


def test_scores_and_labels_agree(classifier: Classifier) -> None:
    texts = ["Free prize!", "", "Lunch tomorrow? 😂", "xyzzy"]
    scores = classifier.scores(texts)
    assert scores.dtype == np.float32
    assert scores.shape == (4,)
    for threshold in (None, 0.0, float(scores[0]), 1.0):
        cut = classifier.manifest.threshold if threshold is None else threshold
        assert classifier.classify(texts, threshold) == [
            Prediction("spam" if score >= cut else "ham", score) for score in scores.tolist()
        ]


@given(st.lists(ANY_TEXT, max_size=6))
def test_any_texts_have_scores(texts: list[str]) -> None:
    classifier = Classifier.load(OLD)
    scores = classifier.scores(texts)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    for text, score in zip(texts, scores, strict=True):
        assert abs(classifier.scores([text])[0] - score) <= 1e-6


@pytest.mark.parametrize(
    ("texts", "message"), [("one text", "one string"), ([b"bytes"], r"texts\[0\] is bytes")]
)
def test_refuses_what_are_not_texts(classifier: Classifier, texts: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        classifier.scores(texts)


def test_refuses_a_threshold(classifier: Classifier) -> None:
    with pytest.raises(ThresholdError, match="the threshold is 2"):
        classifier.classify(["a"], 2)


def test_golden_scores(make_artifact: MakeArtifact, classifier: Classifier) -> None:
    classifier.check_golden()
    original = make_artifact()
    wrong = replace(original, golden=Golden(("free",), (-1.0,)))
    with pytest.raises(ArtifactError, match=r"golden\.json of spam/tiny: scores differ"):
        Classifier(wrong).check_golden()
