"""Classifiers: scores, labels, chunks, refusals."""

import copy
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray

import dandelion
from dandelion import ArtifactError, Classifier, Prediction, ThresholdError
from dandelion import chunks as chunks_module
from dandelion.artifact import Golden, load, save
from dandelion.chunks import chunks
from dandelion.engines import library
from dandelion.engines.choice import EngineChoice
from dandelion.engines.network import binary_logits, sigmoid, softmax
from dandelion.text.tokenizer import clean, to_nfkc

from .examples import FEATURES, THREE, make_artifact
from .strategies import ANY_TEXTS

OLD = Path(__file__).parent / "artifact-v1"

ARTIFACTS = {
    "first format": load(OLD),
    "plain": make_artifact(),
    "wide": make_artifact(features=FEATURES),
    "multiclass": make_artifact(labels=THREE),
    "wide multiclass": make_artifact(labels=THREE, features=FEATURES),
    "binary of three logits": make_artifact(outputs=3, features=FEATURES),
}
KINDS = st.sampled_from(sorted(ARTIFACTS))
ENGINES: list[EngineChoice] = ["numpy", *(["compiled"] if library.is_available() else [])]
SOME = ["Free prize!", "", "Lunch tomorrow? 😂", "xyzzy"]


def scores_of(kind: str, texts: list[str]) -> NDArray[np.float32]:
    """Score texts, and check what holds for every kind."""
    classifier = Classifier(ARTIFACTS[kind], engine="numpy")
    scores = classifier.scores(texts)
    assert scores.dtype == np.float32
    is_binary = classifier.manifest.task == "binary"
    assert scores.shape == ((len(texts),) if is_binary else (len(texts), 3))
    assert ((scores >= 0) & (scores <= 1)).all()
    if not is_binary:
        np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    return scores


def test_public_names() -> None:
    assert dandelion.__all__ == [
        *("ArtifactError", "Classifier", "Decision", "Evaluation", "EvaluationError"),
        *("InfeasibleError", "KernelError", "Notice", "OperatingPointError", "Policy"),
        *("PolicyError", "PolicyFileError", "Prediction", "ServingError", "TableError"),
        *("ThresholdError", "evaluate"),
    ]
    assert all(hasattr(dandelion, name) for name in dandelion.__all__)


@pytest.mark.parametrize("kind", ["plain", "wide multiclass"])
def test_loading_gives_the_same_scores(tmp_path: Path, kind: str) -> None:
    save(ARTIFACTS[kind], tmp_path / "tiny")
    loaded = Classifier.load(tmp_path / "tiny", engine="numpy")
    np.testing.assert_array_equal(loaded.scores(SOME), scores_of(kind, SOME))


def test_a_path_may_be_of_any_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(ARTIFACTS["plain"], tmp_path / "spam" / "tiny")
    monkeypatch.chdir(tmp_path)
    path = Path("spam") / "tiny"
    for given_path in (path, str(path), bytes(path), path.absolute(), f"{path}/"):
        assert Classifier.load(given_path).manifest.variant == "tiny"
    classifier = Classifier.load(path)
    shutil.rmtree(tmp_path / "spam")  # not needed any more
    assert len(classifier.classify(SOME)) == len(SOME)


@pytest.mark.parametrize("path", ["", b""])
def test_an_empty_path_is_refused(path: str | bytes) -> None:
    with pytest.raises(ArtifactError, match="the path is empty"):
        Classifier.load(path)


@pytest.mark.parametrize("kind", ["plain", "wide"])
def test_it_can_be_copied_and_pickled_or_says_why_not(kind: str) -> None:
    for engine in ("numpy", "compiled") if library.is_available() else ("numpy",):
        classifier = Classifier(ARTIFACTS[kind], engine)
        expected = classifier.scores(SOME).tolist()
        assert copy.copy(classifier).scores(SOME).tolist() == expected
        assert copy.deepcopy(classifier).scores(SOME).tolist() == expected
        if engine == "numpy":
            assert pickle.loads(pickle.dumps(classifier)).scores(SOME).tolist() == expected
        else:
            with pytest.raises(TypeError, match=r"cannot be pickled.*load the artifact in"):
                pickle.dumps(classifier)


@pytest.mark.skipif(not library.is_available(), reason="the compiled engine was not built")
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickle.dumps])
def test_a_compiled_batch_has_no_copy_that_would_free_its_memory_again(
    duplicate: Callable[[Any], Any],
) -> None:
    classifier = Classifier(ARTIFACTS["wide"], "compiled")
    batch = classifier.encode(SOME)
    with pytest.raises(TypeError, match="an encoded batch cannot be copied or pickled"):
        duplicate(batch)
    assert classifier.infer(batch).tolist() == classifier.scores(SOME).tolist()


@pytest.mark.parametrize("kind", ["plain", "wide", "binary of three logits"])
def test_scores_and_labels_agree(kind: str) -> None:
    classifier = Classifier(ARTIFACTS[kind])
    known = ["Free prize!", "Lunch tomorrow? 😂", "prize"]  # the others have notices
    scores = classifier.scores(known)
    for threshold in (None, 0.0, float(scores[0]), 1.0):
        cut = classifier.manifest.threshold if threshold is None else threshold
        assert classifier.classify(known, threshold) == [
            Prediction("spam" if score >= cut else "ham", score) for score in scores.tolist()
        ]


def test_predictions_have_the_notices_of_each_chunk() -> None:
    predictions = Classifier(ARTIFACTS["plain"]).classify(SOME * 200)
    assert predictions == predictions[:4] * 200
    assert predictions[1] == Prediction("ham", None, None, "none", "no_content")
    assert [one.reason for one in predictions[:4]] == [None, "no_content", None, None]
    assert [one.low_evidence for one in predictions[:4]] == [False, False, False, True]


@pytest.mark.parametrize("kind", ["multiclass", "wide multiclass"])
def test_the_most_likely_of_many_labels_is_chosen(kind: str) -> None:
    classifier = Classifier(ARTIFACTS[kind])
    scores = classifier.scores(SOME)
    predictions = classifier.classify(SOME)
    for prediction, row in zip(predictions, scores.tolist(), strict=True):
        assert prediction.scores == dict(zip(THREE, row, strict=True))
        assert prediction.score == prediction.scores[prediction.label] == max(row)


def test_of_equal_scores_the_first_label_is_chosen() -> None:
    scores = np.array([[0.2, 0.4, 0.4], [0.4, 0.2, 0.4]], dtype=np.float32)
    labels = [one.label for one in Classifier(ARTIFACTS["multiclass"]).label(scores)]
    assert labels == ["glad", "calm"]


def test_scores_are_those_of_the_logits() -> None:
    for kind, score in (
        ("wide", lambda logits: sigmoid(logits[:, 0])),
        ("wide multiclass", softmax),
        ("binary of three logits", lambda logits: sigmoid(binary_logits(logits))),
    ):
        encoded = Classifier(ARTIFACTS[kind], engine="numpy").encode(SOME)
        assert encoded.grams is not None
        assert encoded.surface is not None
        logits = ARTIFACTS[kind].network.logits(encoded)
        np.testing.assert_array_equal(scores_of(kind, SOME), score(logits))


@pytest.mark.parametrize("kind", sorted(ARTIFACTS))
def test_logits_are_those_of_the_scores(kind: str) -> None:
    for engine in ENGINES:
        classifier = Classifier(ARTIFACTS[kind], engine)
        logits = classifier.logits(SOME * 100, workers=2)
        is_binary = classifier.manifest.task == "binary"
        assert (logits.shape, logits.dtype) == ((400,) if is_binary else (400, 3), np.float32)
        scores = sigmoid(logits) if is_binary else softmax(logits)
        np.testing.assert_allclose(classifier.scores(SOME * 100), scores, rtol=0, atol=1e-7)
        encoded = classifier.encode(SOME)
        np.testing.assert_allclose(classifier.encoded_logits(encoded), logits[:4], atol=1e-5)


def test_only_what_the_network_reads_is_encoded() -> None:
    plain = Classifier(ARTIFACTS["plain"], engine="numpy").encode(SOME)
    assert (plain.grams, plain.surface) == (None, None)
    artifact = make_artifact(features=replace(FEATURES, surface=False))
    without = Classifier(artifact, engine="numpy").encode(SOME)
    assert without.grams is not None
    assert without.surface is None


@example("wide multiclass", [])
@example("binary of three logits", [])
@given(KINDS, ANY_TEXTS)
def test_any_texts_have_scores(kind: str, texts: list[str]) -> None:
    scores_of(kind, texts)
    assert len(Classifier(ARTIFACTS[kind]).classify(texts)) == len(texts)


@given(KINDS, ANY_TEXTS)
def test_a_score_does_not_depend_on_the_other_texts(kind: str, texts: list[str]) -> None:
    together = scores_of(kind, texts)
    for text, score in zip(texts, together, strict=True):
        assert np.abs(scores_of(kind, [text])[0] - score).max() <= 1e-6


@given(KINDS, ANY_TEXTS, st.integers(1, 40), st.integers(1, 4))
def test_a_score_does_not_depend_on_the_chunks(
    kind: str, texts: list[str], chunk_chars: int, chunk_texts: int
) -> None:
    whole = scores_of(kind, texts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks_module, "CHUNK_CHARS", chunk_chars)
        patch.setattr(chunks_module, "CHUNK_TEXTS", chunk_texts)
        np.testing.assert_allclose(scores_of(kind, texts), whole, atol=1e-6)


@given(st.lists(st.text(max_size=12), max_size=12), st.integers(1, 20), st.integers(1, 5))
def test_chunks_are_as_large_as_possible(
    texts: list[str], chunk_chars: int, chunk_texts: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chunks_module, "CHUNK_CHARS", chunk_chars)
        patch.setattr(chunks_module, "CHUNK_TEXTS", chunk_texts)
        pieces = list(chunks(texts))

    def fits(piece: list[str]) -> bool:
        return len(piece) == 1 or (
            len(piece) <= chunk_texts and sum(map(len, piece)) <= chunk_chars
        )

    assert [text for piece in pieces for text in piece] == texts
    if not texts:
        assert pieces == [[]]
        return
    assert all(map(fits, pieces))
    for piece, following in pairwise(pieces):
        assert not fits([*piece, following[0]])


@pytest.mark.parametrize("kind", ["wide", "wide multiclass"])
def test_workers_share_the_texts(kind: str) -> None:
    classifier = Classifier(ARTIFACTS[kind])
    texts = SOME * 500
    np.testing.assert_array_equal(classifier.scores(texts, workers=3), classifier.scores(texts))


@pytest.mark.parametrize("workers", [1, 2])
def test_an_array_of_texts_is_a_sequence_too(workers: int) -> None:
    classifier = Classifier(make_artifact())
    texts = [f"free lunch {number}" for number in range(300)]
    array: Any = np.array(texts, dtype=object)
    found = classifier.scores(array, workers)
    assert found.tolist() == classifier.scores(texts).tolist()


def test_no_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="workers is 0; expected at least 1"):
        Classifier(ARTIFACTS["wide"]).scores(SOME, workers=0)


def test_a_large_batch_is_split() -> None:
    assert [len(piece) for piece in chunks(["a"] * 2500)] == [*[256] * 9, 196]
    long = ("a" * 50_000, "b" * 90_000, "c" * 200_000, "")
    assert [len(piece) for piece in chunks(long)] == [1, 1, 1, 1]


@pytest.mark.parametrize("kind", ["plain", "wide multiclass"])
@pytest.mark.parametrize(
    ("texts", "message"), [("one text", "one string"), ([b"bytes"], r"texts\[0\] is bytes")]
)
def test_refuses_anything_but_texts(kind: str, texts: Any, message: str) -> None:
    classifier = Classifier(ARTIFACTS[kind])
    for function in (classifier.scores, classifier.encode, classifier.classify):
        with pytest.raises(TypeError, match=message):
            function(texts)


def test_refuses_a_threshold() -> None:
    with pytest.raises(ThresholdError, match="the threshold is 2"):
        Classifier(ARTIFACTS["plain"]).classify(["a"], 2)


@pytest.mark.parametrize("threshold", [0, 0.5, 2])
def test_refuses_any_threshold_for_many_labels(threshold: float) -> None:
    with pytest.raises(ThresholdError, match="3 labels has no threshold"):
        Classifier(ARTIFACTS["multiclass"]).classify(["a"], threshold)


@pytest.mark.parametrize("kind", sorted(ARTIFACTS))
def test_golden_scores(kind: str) -> None:
    original = ARTIFACTS[kind]
    Classifier(original).check_golden()
    scores = np.array(original.golden.scores)
    scores[-1] += 2e-4
    wrong = replace(original, golden=Golden(original.golden.texts, tuple(scores.tolist())))
    with pytest.raises(ArtifactError, match=r"golden\.json of .*/tiny: scores differ by up to"):
        Classifier(wrong).check_golden()


@pytest.mark.parametrize("engine", ENGINES)
def test_texts_in_nfkc_are_only_folded(engine: EngineChoice) -> None:
    classifier = Classifier(make_artifact(features=FEATURES), engine)
    texts = ["ﬁve ½ \ufdfa", "plain!!!!!!!!!", "е\u0301 f r e e" * 9, "\u2460 £1000"]
    raw = classifier.infer(classifier.encode(texts))
    given = classifier.infer(classifier.encode([to_nfkc(text) for text in texts], is_nfkc=True))
    np.testing.assert_array_equal(given, raw)
    clean_already = classifier.infer(classifier.encode([clean(text) for text in texts]))
    np.testing.assert_array_equal(clean_already, raw)
    not_normalized = classifier.infer(classifier.encode(texts, is_nfkc=True))
    assert (not_normalized != raw).tolist() == [True, False, False, True]
