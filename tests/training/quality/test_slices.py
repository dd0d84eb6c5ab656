"""Slices."""

from typing import Any

import numpy as np
import pytest

from dandelion.text.tokenizer import tokenize
from training.quality.slices import IDENTITY_TERMS, MENTIONED, OTHERS, slices

# text, label, score
TEXTS = [
    ("Muslim neighbours brought soup", 0, 0.9),
    ("my sister is GAY and happy", 0, 0.2),
    ("The blind man, next door", 0, 0.5),
    ("she is an immigrant!", 1, 0.4),
    ("a woman like that", 1, 0.8),
    ("see you at lunch", 0, 0.6),
    ("see you at dinner", 0, 0.1),
    ("see you never", 0, 0.49),
    ("mankind is blinded by blackmail", 0, 0.3),  # no term but parts of words
    ("you are awful", 1, 0.7),
]


def by_hand(threshold: float) -> dict[str, dict[str, Any]]:
    texts, labels, scores = zip(*TEXTS, strict=True)
    return slices(texts, np.array(labels), np.array(scores, dtype=np.float32), threshold)


def test_by_hand() -> None:
    found = by_hand(0.5)
    assert list(found) == [MENTIONED, OTHERS]
    assert found[MENTIONED] == {
        "texts": 5,
        "negatives": 3,
        "false_positive_rate": pytest.approx(2 / 3),  # at 0.5 itself it is positive
        "false_negative_rate": 1 / 2,
    }
    assert found[OTHERS] == {
        "texts": 5,
        "negatives": 4,
        "false_positive_rate": 1 / 4,
        "false_negative_rate": 0.0,
    }


def test_the_threshold_decides() -> None:
    strict = by_hand(1.0)
    assert {one["false_positive_rate"] for one in strict.values()} == {0.0}
    assert {one["false_negative_rate"] for one in strict.values()} == {1.0}


def test_what_cannot_be_wrong_has_no_rate() -> None:
    found = slices(["see you", "bye"], np.array([0, 0]), np.zeros(2, dtype=np.float32), 0.5)
    assert found[OTHERS]["false_negative_rate"] is None
    assert found[OTHERS]["false_positive_rate"] == 0.0
    assert found[MENTIONED] == {
        "texts": 0,
        "negatives": 0,
        "false_positive_rate": None,
        "false_negative_rate": None,
    }


def test_every_term_is_one_token() -> None:
    for term in IDENTITY_TERMS:
        assert tokenize(term.upper()) == [term]
