"""AUROC and average precision: as their definitions, with intervals that hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion.decision.ranking import auroc, average_precision, ranking
from dandelion.sampling import draw


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]), st.booleans(), st.integers(1, 9)),
        min_size=2,
        max_size=40,
    ).filter(lambda rows: len({label for _, label, _ in rows}) == 2)
)
def test_values_are_those_of_all_pairs_and_of_all_thresholds(
    rows: list[tuple[float, bool, int]],
) -> None:
    positive = [(logit, weight) for logit, label, weight in rows if label]
    harmless = [(logit, weight) for logit, label, weight in rows if not label]
    pairs = sum(
        one * other * ((high > low) + 0.5 * (high == low))
        for high, one in positive
        for low, other in harmless
    )
    every = sum(one for _, one in positive) * sum(other for _, other in harmless)
    average = 0.0
    for logit, weight in positive:
        hits = sum(one for high, one in positive if high >= logit)
        alarms = sum(one for high, one in harmless if high >= logit)
        average += weight * hits / (hits + alarms)
    logits, labels, weights = (np.array(column) for column in zip(*rows, strict=True))
    own = logits, labels.astype(np.int64), weights.astype(np.float64)
    assert auroc(*own) == pytest.approx(pairs / every)
    total = sum(one for _, one in positive)
    assert average_precision(*own) == pytest.approx(average / total)


def population(
    seed: int, count: int, prior: float, distance: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(count) < prior).astype(np.int64)
    return rng.normal(np.where(labels, distance, 0.0), 1.0), labels


@pytest.mark.parametrize(("prior", "distance"), [(0.3, 2.0), (0.1, 2.5), (0.3, 5.0)])
def test_intervals_of_random_samples_hold(prior: float, distance: float) -> None:
    logits, labels = population(0, 20_000, prior, distance)
    truth = (
        auroc(logits, labels, np.ones(20_000)),
        average_precision(logits, labels, np.ones(20_000)),
    )
    rng = np.random.default_rng(1)
    held = np.zeros(2)
    for _ in range(200):
        rows = rng.choice(20_000, 300, replace=False)
        found = ranking(logits[rows], labels[rows])
        held += [one.lower <= true <= one.upper for one, true in zip(found, truth, strict=True)]
    assert (held >= 0.93 * 200).all()


def test_intervals_of_samples_by_score_hold() -> None:
    logits, labels = population(0, 20_000, 0.02, 2.5)
    ones = np.ones(20_000)
    truth = auroc(logits, labels, ones), average_precision(logits, labels, ones)
    held = np.zeros(2)
    for seed in range(20):
        sample = draw(logits, 600, seed=seed)
        strata = np.unique(sample.strata, return_inverse=True)[1]
        found = ranking(logits[sample.rows], labels[sample.rows], sample.weights, strata)
        held += [one.lower <= true <= one.upper for one, true in zip(found, truth, strict=True)]
    assert (held >= 18).all()


def test_few_texts_that_are_ranked_perfectly_prove_little() -> None:
    found = ranking(np.array([-1.0, -2.0, 3.0, 4.0]), np.array([0, 0, 1, 1]))
    assert [one.estimate for one in found] == [1, 1]
    assert all(one.lower < 0.6 for one in found)
