"""Which tokens have a row, and where they start."""

import numpy as np

from training.configuration import Configuration
from training.model import vocabulary
from training.model.embeddings import WordVectors

VECTORS = WordVectors(
    "made up",
    ("the", "free", "lunch", "two words", "Upper", "garden"),
    np.arange(12, dtype=np.float32).reshape(6, 2),
)
TEXTS = [["free", "zzz", "zzz", "xyz"], ["free", "lunch", "rare"]]


def build(**changes: int) -> tuple[vocabulary.Vocabulary, np.ndarray]:
    config = Configuration(model="spam", variant="dice", loss="dice", dimensions=2, **changes)
    return vocabulary.build(TEXTS, VECTORS, config)


def test_seen_tokens_come_first_then_the_most_frequent_words_beyond() -> None:
    words, embedding = build(min_count=2, extra_words=10)
    assert words.tokens == ("free", "zzz", "lunch", "the", "garden")
    assert embedding.shape == (6, 2)
    assert embedding.dtype == np.float32
    average = VECTORS.average()
    expected = [average, VECTORS.vectors[1], average, *VECTORS.vectors[[2, 0, 5]]]
    np.testing.assert_array_equal(embedding, expected)


def test_static_vectors_stand_behind_the_word_vectors() -> None:
    words, embedding = build(min_count=2, extra_words=0)  # free, zzz, lunch
    static = WordVectors("made up", ("lunch", "free"), np.array([[1, 2, 3], [4, 5, 6]], np.float32))
    appended = vocabulary.append(words, embedding, static, 0.5)
    np.testing.assert_array_equal(appended[:, :2], embedding)
    expected = [[0, 0, 0], [2, 2.5, 3], [0, 0, 0], [0.5, 1, 1.5]]
    np.testing.assert_array_equal(appended[:, 2:], expected)
    assert appended.dtype == np.float32


def test_limits() -> None:
    assert build(min_count=1, extra_words=0)[0].tokens == ("free", "zzz", "lunch", "rare", "xyz")
    assert build(min_count=3, extra_words=1)[0].tokens == ("free", "lunch", "the")
