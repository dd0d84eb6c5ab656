"""Which feedback is held out, and how it stands next to the base data."""

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.data.near_copies import groups
from training.retraining.parts import HELD_OUT_SHARE, extend, held_out

from .examples import HAM, SCAM, base_of, feedback_of, sentences

TEXTS = sentences(SCAM, 400, 3)


def test_about_the_share_is_held_out() -> None:
    assert abs(held_out(TEXTS).mean() - HELD_OUT_SHARE) < 0.08


@given(st.lists(st.sampled_from(TEXTS), min_size=1, unique=True), st.sampled_from(TEXTS))
def test_more_feedback_moves_no_text_to_the_other_part(texts: list[str], other: str) -> None:
    assert held_out([other, *texts])[1:].tolist() == held_out(texts).tolist()


@given(st.sampled_from(TEXTS), st.integers(0, 10**9), st.sampled_from([str.upper, str.title, str]))
def test_near_copies_are_in_one_part(text: str, number: int, change: object) -> None:
    texts = [f"{text} {number} !!", f"{change(text)} 7", f"{text}. 0 and so on", f" {text}  1"]  # type: ignore[operator]
    dataset, _ = base_of([*texts, "x"], [0] * 5, [0])
    found = groups(dataset)
    parts = held_out(texts)
    for one in range(len(texts)):
        for other in range(one):
            if found[one] == found[other]:
                assert parts[one] == parts[other]


def test_the_base_keeps_its_rows_and_folds() -> None:
    base, folds = base_of(sentences(HAM, 20, 1), [0, 1] * 10, [3, 7])
    feedback = feedback_of(TEXTS[:30], [1] * 30)
    rows = np.arange(5, 30)
    parts = held_out([feedback.texts[row] for row in rows.tolist()])
    found = extend(base, folds, feedback, rows, parts, weight=3.0)
    dataset, split = found.dataset, found.split
    assert dataset.texts[:20] == base.texts
    assert dataset.source_names == ("base", "feedback")
    assert dataset.generated == {"feedback"}
    assert split.validation.tolist() == folds.validation.tolist()
    assert set(split.test.tolist()) == {3, 7, *found.held_out.tolist()}
    assert set(split.train.tolist()) == {*folds.train.tolist(), *found.learnt.tolist()}
    every = np.sort(np.concatenate([split.train, split.validation, split.test]))
    assert every.tolist() == list(range(45))
    assert dataset.weights is not None
    assert set(dataset.weights.tolist()) == {1.0, 3.0}
    assert dataset.record()["sources"][1]["rows"] == 25


def test_weights_and_families_of_the_base_stay() -> None:
    base, folds = base_of(sentences(HAM, 10, 1), [0, 1] * 5, [3])
    base = replace(base, weights=np.full(10, 2.0), families=np.arange(10))
    feedback = feedback_of(TEXTS[:4], [1] * 4)
    parts = np.array([True, False, False, False])
    found = extend(base, folds, feedback, np.arange(4), parts, weight=1.0).dataset
    assert found.weights is None  # all alike
    assert found.families is not None
    assert found.families.tolist() == [*range(10), -1, -1, -1, -1]


def test_a_source_of_the_base_named_feedback_is_another_one() -> None:
    base, folds = base_of(sentences(HAM, 10, 1), [0, 1] * 5, [3])
    feedback = feedback_of(TEXTS[:4], [1] * 4)
    named = replace(base, name="feedback")
    found = extend(named, folds, feedback, np.arange(4), np.zeros(4, dtype=bool), weight=1.0)
    assert found.dataset.source_names == ("feedback", "feedback_2")
