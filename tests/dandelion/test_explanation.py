import math
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion import Classifier
from dandelion.artifact import Artifact
from dandelion.engines.choice import EngineChoice, scorer
from dandelion.engines.library import is_available
from dandelion.engines.network import Network
from dandelion.explanation import Explainer, Explanation
from dandelion.text import grams
from dandelion.text.characters import TextBatch
from dandelion.text.windows import Windows
from tests.dandelion.examples import FEATURES, THREE, make_artifact
from tests.dandelion.strategies import ANY_TEXT, CONFUSING

WINDOWS = Windows(words=4, stride=2, penalty=0.3)
ARTIFACTS = {
    "plain": make_artifact("int8"),
    "wide": make_artifact("int8", features=FEATURES, windows=WINDOWS),
    "float": make_artifact(features=FEATURES),
    "kinds": make_artifact("int8", features=FEATURES, outputs=3),
    "three labels": make_artifact("int8", labels=THREE, features=FEATURES),
}
CLASSIFIERS = {name: Classifier(artifact) for name, artifact in ARTIFACTS.items()}
LONG = "Free prize! Lunch tomorrow, a free lunch, and then some more of it. £1000!"


def total(one: Explanation) -> float:
    spans = sum(span.contribution for span in one.spans)
    return one.base + one.surface + one.penalty + spans + one.rest


def logit_of(artifact: Artifact, text: str) -> float:
    """Return the logit that NumPy's engine gives: that of the chosen label, if it has several."""
    manifest = artifact.manifest
    engine = scorer(
        artifact.vocabulary,
        manifest.wide_features,
        artifact.network,
        windows=manifest.text_windows,
        is_binary=manifest.decision.is_binary,
        engine="numpy",
    )
    logits = engine.logits(engine.encode([text]))[0]
    if manifest.decision.is_binary:
        return float(logits)
    chosen = int(logits.argmax())
    return float(logits[chosen] - np.logaddexp.reduce(np.delete(logits, chosen)))


@given(st.sampled_from(sorted(ARTIFACTS)), ANY_TEXT | CONFUSING, st.integers(1, 12))
def test_the_parts_add_up_to_the_logit(name: str, text: str, top: int) -> None:
    (one,) = CLASSIFIERS[name].explain([text], top)

    assert one.logit == pytest.approx(logit_of(ARTIFACTS[name], text), abs=1e-4)
    assert total(one) == pytest.approx(one.logit, abs=1e-4)
    assert len(one.spans) <= top
    assert all(0 <= span.start < span.end <= len(text) for span in one.spans)
    in_order = sorted(one.spans, key=lambda span: span.start)
    assert all(before.end <= after.start for before, after in pairwise(in_order))


@given(st.sampled_from(sorted(ARTIFACTS)), ANY_TEXT | CONFUSING)
def test_fewer_spans_are_the_first_ones(name: str, text: str) -> None:
    (every,) = CLASSIFIERS[name].explain([text], 10_000)
    (some,) = CLASSIFIERS[name].explain([text], 2)

    assert every.rest == pytest.approx(0, abs=1e-9)
    assert some.spans == every.spans[:2]
    values = [span.contribution for span in every.spans]
    assert values == sorted(values, reverse=True)


@given(st.sampled_from(sorted(ARTIFACTS)), st.lists(ANY_TEXT | CONFUSING | st.just(LONG)))
def test_texts_of_a_batch_are_explained_as_they_are_alone(name: str, texts: list[str]) -> None:
    classifier = CLASSIFIERS[name]
    together = classifier.explain(texts, 10_000)

    for text, one in zip(texts, together, strict=True):
        (alone,) = classifier.explain([text], 10_000)
        assert one.label == alone.label
        for value in ("logit", "base", "surface", "penalty", "rest"):
            assert getattr(one, value) == pytest.approx(getattr(alone, value), abs=1e-5)
        found, expected = (
            {(span.start, span.end): span.contribution for span in each.spans}
            for each in (one, alone)
        )
        assert found == pytest.approx(expected, abs=1e-9)
        assert [(own.start, own.end) for own in one.windows] == [
            (own.start, own.end) for own in alone.windows
        ]


def test_spans_are_words_runs_of_signs_links_and_mentions_of_the_raw_text() -> None:
    text = "F R E E\u200b w0rd!?! it\u2019s @you,www.example.com/a?b caf\u00e9 \ud83d\ude00"
    (one,) = CLASSIFIERS["float"].explain([text], 50)

    assert one.penalty == 0
    assert one.windows == ()
    in_order = sorted(one.spans, key=lambda span: span.start)
    assert [text[span.start : span.end] for span in in_order] == [
        "F R E E\u200b",
        "w0rd",
        "!?!",
        "it\u2019s",
        "@you",
        ",",
        "www.example.com/a?b",
        "caf\u00e9",
        "\ud83d\ude00",
    ]


def test_tokens_and_grams_count_where_they_stand() -> None:
    """One token and one gram have weights, of which the parts are known."""
    artifact = ARTIFACTS["float"]
    network = artifact.network
    silent = {name: np.zeros_like(weight) for name, weight in network.weights().items()}
    text = "lunch free prize"
    features = replace(FEATURES, bits=18, chars=None, words=2, signs=False, shapes=False)
    found = grams.encode(TextBatch([text]), features).ids.tolist()
    pair = found[4]  # three words, then the pairs; this one is "free prize"
    weights = np.zeros((2**18, 1), np.float32)
    weights[pair] = 3
    explainer = Explainer(
        artifact.vocabulary,
        features,
        Network.from_weights(silent | {"grams": weights}),
        None,
        artifact.manifest.decision,
    )

    one = explainer.explain(text)

    assert {text[span.start : span.end]: span.contribution for span in one.spans} == pytest.approx(
        {"free": 1.5 / 5**0.5, "prize": 1.5 / 5**0.5, "lunch": 0}
    )
    assert one.logit == pytest.approx(3 / 5**0.5)


def test_a_text_without_words_has_no_spans() -> None:
    for text in ("", " \n", "\u200b"):
        (one,) = CLASSIFIERS["wide"].explain([text])
        assert one.spans == ()
        assert one.rest == 0
    (empty,) = CLASSIFIERS["wide"].explain([""])
    assert empty.surface == 0
    assert empty.base == pytest.approx(empty.logit, abs=1e-5)


def test_of_several_windows_the_one_with_the_largest_logit_is_explained() -> None:
    text = "  " + LONG.replace("prize", "prіze")  # a Cyrillic letter
    (one,) = CLASSIFIERS["wide"].explain([text], 50)

    assert len(one.windows) > 1
    assert text[one.windows[0].start : one.windows[0].end] == "Free prіze! Lunch tomorrow,"
    assert one.windows[-1].end == len(text)
    largest = max(one.windows, key=lambda window: window.logit)
    assert one.penalty == pytest.approx(-0.3 * math.log(len(one.windows)))
    assert one.logit == pytest.approx(largest.logit + one.penalty)
    assert all(largest.start <= span.start < span.end <= largest.end for span in one.spans)
    assert one.logit == pytest.approx(logit_of(ARTIFACTS["wide"], text), abs=1e-4)


def test_the_label_is_the_positive_or_the_chosen_one() -> None:
    classifier = CLASSIFIERS["three labels"]
    labels = [one.label for one in classifier.explain([LONG, "привет", ""])]

    assert [one.label for one in CLASSIFIERS["wide"].explain([LONG, ""])] == ["spam", "spam"]
    assert labels == [one.label for one in classifier.classify([LONG, "привет", ""])]


@pytest.mark.parametrize("name", sorted(ARTIFACTS))
@pytest.mark.skipif(not is_available(), reason="the compiled engine was not built")
def test_every_engine_explains_alike(name: str) -> None:
    engines: tuple[EngineChoice, ...] = ("compiled", "numpy")
    compiled, numpy = (Classifier(ARTIFACTS[name], engine).explain([LONG])[0] for engine in engines)

    assert total(compiled) == pytest.approx(total(numpy), abs=1e-5)
    assert [(span.start, span.end) for span in compiled.spans] == [
        (span.start, span.end) for span in numpy.spans
    ]
    np.testing.assert_allclose(
        [span.contribution for span in compiled.spans],
        [span.contribution for span in numpy.spans],
        atol=1e-6,
    )


def test_threads_share_a_classifier_that_was_not_asked_before() -> None:
    classifier = Classifier(ARTIFACTS["wide"])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: classifier.explain([LONG])[0], range(8)))

    assert all(one == found[0] for one in found)


def test_a_classifier_that_explained_can_still_be_pickled() -> None:
    classifier = Classifier(ARTIFACTS["wide"], "numpy")
    expected = classifier.explain([LONG])

    assert pickle.loads(pickle.dumps(classifier)).explain([LONG]) == expected


def test_refuses() -> None:
    with pytest.raises(ValueError, match="top is 0; expected at least 1"):
        CLASSIFIERS["wide"].explain([], 0)
    with pytest.raises(TypeError, match="texts is one string"):
        CLASSIFIERS["wide"].explain("text")
    with pytest.raises(TypeError, match=r"texts\[1\] is int"):
        CLASSIFIERS["wide"].explain(["a", 1])  # type: ignore[list-item]
