"""Which texts are noticed, by both engines."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion import Classifier, Notice
from dandelion import chunks as chunks_module
from dandelion.decision.notices import LOW_SHARE, notice
from dandelion.engines import library
from dandelion.engines.choice import EngineChoice
from dandelion.text.tokenizer import clean, is_word, split, to_nfkc
from dandelion.text.windows import Windows

from .examples import FEATURES, THREE, make_artifact
from .strategies import ANY_TEXT, ANY_TEXTS

ENGINES: list[EngineChoice] = ["numpy", *(["compiled"] if library.is_available() else [])]
WINDOWS = Windows(words=3, stride=2, penalty=0.5)
ARTIFACTS = {
    "plain": make_artifact(),
    "wide": make_artifact(features=FEATURES),
    "multiclass": make_artifact(labels=THREE),
    "windows": make_artifact(windows=WINDOWS),
}
CLASSIFIERS = {
    (kind, engine): Classifier(artifact, engine)
    for kind, artifact in ARTIFACTS.items()
    for engine in ENGINES
}
NOTHING, LOW = Notice.NO_CONTENT, Notice.LOW_EVIDENCE


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", ARTIFACTS)
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", NOTHING),
        (" \n\0", NOTHING),
        ("?!?! :) ... 😂😂", NOTHING),
        ("12 / 7, 08001234567", NOTHING),
        ("www.free.prize https://lunch.example/free", NOTHING),
        ("@free_prize @lunch!", NOTHING),
        ("\u200b\ufeff_ 12_3", NOTHING),
        ("free", None),
        ("FREE prize!!! www.unknown.example @unknown 123456", None),
        ("unknown", LOW),
        ("free unknown", LOW),
        ("free prize unknown", LOW),  # two of three
        ("free prize lunch free unknown prize", None),  # five of six
        ("free's", LOW),  # a clitic is a word
        ("привет", None),
        ("今晚几点回家", LOW),
        ("今晚几点回家 @you", LOW),
        ("x", LOW),
        ("f.r.e.e", None),  # read as free
    ],
)
def test_a_text_is_noticed(
    kind: str, engine: EngineChoice, text: str, expected: Notice | None
) -> None:
    found = CLASSIFIERS[kind, engine].notices(["free lunch", text, "prize"])
    assert found == ({} if expected is None else {1: expected})


@pytest.mark.parametrize("engine", ENGINES)
def test_all_windows_of_a_text_count_together(engine: EngineChoice) -> None:
    classifier = CLASSIFIERS["windows", engine]
    none, known, unknown = (
        "! ? £ 1 2 3",
        "free prize lunch free prize lunch",
        "a la carte ou la vie",
    )
    assert classifier.notices([none, f"{none} free", known, unknown]) == {0: NOTHING, 3: LOW}
    # No word in the first windows, some in others; each text has windows of its own.
    assert classifier.notices([f"{none} {unknown}", f"{known} {none}", "", known]) == {
        0: LOW,
        2: NOTHING,
    }


def words_of(kind: str, texts: list[str]) -> list[int]:
    artifact = ARTIFACTS[kind]
    windows = artifact.manifest.text_windows
    found = []
    for text in texts:
        parts = [clean(text)] if windows is None else windows.cut(clean(text))
        words = [one for part in parts for one in split(part.lower()) if is_word(one)]
        found += [len(words), sum(word in artifact.vocabulary.tokens for word in words)]
    return found


def expected_notices(counts: list[int]) -> dict[int, Notice]:
    found = {at: notice(*counts[2 * at : 2 * at + 2]) for at in range(len(counts) // 2)}
    return {at: of_text for at, of_text in found.items() if of_text is not None}


PIECES = st.sampled_from(
    [
        "free",
        "prize",
        "lunch",
        "free ",
        " la ",
        " @you ",
        " www.x.y ",
        "£",
        "1 ",
        "'s",
        "привет",
        " ",
    ]
)
TEXTS = st.lists(ANY_TEXT | st.lists(PIECES, max_size=20).map("".join), max_size=5)


@example("windows", ["İ free", "", "ΑΣ " * 9])
@given(st.sampled_from(sorted(ARTIFACTS)), TEXTS)
def test_words_are_counted_and_notices_follow(kind: str, texts: list[str]) -> None:
    counts = words_of(kind, texts)
    expected = expected_notices(counts)
    for engine in ENGINES:
        classifier = CLASSIFIERS[kind, engine]
        assert classifier.notices(texts) == expected
        encoded = classifier.encode(list(map(to_nfkc, texts)), is_nfkc=True)
        assert classifier.encoded_notices(encoded) == expected
        words, notices = classifier.encoded_words(encoded)
        assert ([*words], notices) == (counts, expected)
        for at, text in enumerate(texts):
            words, notices = classifier.encoded_words(classifier.encode([text]))
            assert [*words] == counts[2 * at : 2 * at + 2]
            assert notices == ({0: expected[at]} if at in expected else {})


@given(ANY_TEXTS, st.integers(1, 40), st.integers(1, 4))
def test_notices_and_logits_do_not_depend_on_the_chunks(
    texts: list[str], chunk_chars: int, chunk_texts: int
) -> None:
    texts = [*texts, "", "unknown"]
    for engine in ENGINES:
        classifier = CLASSIFIERS["windows", engine]
        notices, logits = classifier.notices(texts), classifier.logits(texts)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(chunks_module, "CHUNK_CHARS", chunk_chars)
            patch.setattr(chunks_module, "CHUNK_TEXTS", chunk_texts)
            assert classifier.notices(texts) == notices
            np.testing.assert_allclose(classifier.logits(texts), logits, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("engine", ENGINES)
def test_notices_of_a_large_batch(engine: EngineChoice) -> None:
    texts = ["free prize", "", "free", "unknown", "lunch @you"] * 1000
    expected = {at: NOTHING if at % 5 == 1 else LOW for at in range(5000) if at % 5 in (1, 3)}
    assert CLASSIFIERS["wide", engine].notices(texts) == expected
    # The first takes NumPy's path for many characters.
    encoded = CLASSIFIERS["wide", engine].encode(texts)
    assert CLASSIFIERS["wide", engine].encoded_notices(encoded) == expected


@pytest.mark.parametrize(
    ("texts", "message"), [("one text", "one string"), ([b"bytes"], r"texts\[0\] is bytes")]
)
def test_refuses_anything_but_texts(texts: Any, message: str) -> None:
    classifier = CLASSIFIERS["plain", "numpy"]
    for function in (classifier.notices, classifier.logits):
        with pytest.raises(TypeError, match=message):
            function(texts)


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_known_words_are_never_less_evidence(words: int, known: int) -> None:
    known = min(words, known)
    found = notice(words, known)
    assert (found == NOTHING) == (words == 0)
    if words:
        assert (found == LOW) == (known < LOW_SHARE * words)
        assert notice(words, words) is None
        assert notice(words, 0) == LOW
    if found is None and known < words:
        assert notice(words, known + 1) is None


def test_old_artifacts_have_notices_too() -> None:
    for version in (1, 2, 3):
        path = Path(__file__).parent / f"artifact-v{version}"
        for engine in ENGINES:
            found = Classifier.load(path, engine).notices(["free", "unknown", "!"])
            assert found == {1: LOW, 2: NOTHING}
