"""Prediction intervals: their coverage, exactly or by simulation, and their limits."""

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dandelion.decision.evidence import CELLS, GRID, Evidence
from dandelion.decision.intervals import Interval, two_sided
from dandelion.decision.plan import plan
from dandelion.decision.prediction_intervals import MAX_MESSAGES, Share, predict
from dandelion.decision.promises import Strata

MIDDLE = CELLS // 2


def strata(harmless: tuple[int, int], positive: tuple[int, int]) -> Strata:
    """Return one threshold that flags so many of so many texts of each class."""
    counts = np.zeros((2, CELLS), dtype=np.int64)
    for row, (above, in_all) in enumerate((harmless, positive)):
        counts[row, MIDDLE], counts[row, MIDDLE - 1] = above, in_all - above
    return Strata.pooled(Evidence({"texts": counts})).at(np.array([MIDDLE - 1]))


@cache
def caught(k: int, n: int, prior: float, messages: int) -> Interval:
    return predict(Share.of(strata((0, 1), (k, n)), "recall", prior).times(prior), messages)


@cache
def flagged(alarms: int, hits: int, prior: float, messages: int) -> Interval:
    return predict(Share.of(strata((alarms, 30), (hits, 12)), "rate", prior), messages)


def likely(n: int, p: float) -> Iterator[tuple[int, float]]:
    """Yield the counts of Binomial(n, p) but for the rarest, and their probabilities."""
    for k in range(n + 1):
        probability = float(stats.binom.pmf(k, n, p))
        if probability > 1e-5:
            yield k, probability


def missed_by(found: Interval, messages: int, p: float) -> np.ndarray:
    """Return the probabilities that Binomial(messages, p) is below, and above, an interval."""
    below = stats.binom.cdf(np.ceil(found.lower) - 1, messages, p)
    above = stats.binom.sf(np.floor(found.upper), messages, p)
    return np.array([below, above])


@pytest.mark.parametrize(
    ("texts", "messages", "recall", "prior"),
    [
        (5, 1, 0.5, 0.999),
        (60, 100, 0.5, 0.999),
        (60, 100, 0.95, 0.02),
        (60, 100_000, 0.5, 0.999),
        (60, 100_000, 0.03, 0.3),
        (600, 100_000, 0.95, 0.02),
    ],
)
def test_a_class_is_predicted_at_95_percent(
    texts: int, messages: int, recall: float, prior: float
) -> None:
    """Exactly: over all evidence that there can be, and all messages."""
    errors = sum(
        probability * missed_by(caught(k, texts, prior, messages), messages, prior * recall)
        for k, probability in likely(texts, recall)
    )
    assert np.all(errors <= 0.025), errors
    if texts == 600 and messages > 1000:  # and not by intervals that are far too long
        assert errors.sum() > 0.02, errors


@pytest.mark.parametrize(
    ("messages", "recall", "fpr", "prior"), [(10, 0.8, 0.1, 0.3), (10_000, 0.95, 0.03, 0.01)]
)
def test_a_sum_of_two_rates_is_predicted_at_95_percent(
    messages: int, recall: float, fpr: float, prior: float
) -> None:
    errors = np.zeros(2)
    rate = prior * recall + (1 - prior) * fpr
    for (alarms, p), (hits, q) in product(likely(30, fpr), likely(12, recall)):
        if p * q > 3e-4:
            errors += p * q * missed_by(flagged(alarms, hits, prior, messages), messages, rate)
    assert np.all(errors <= 0.025), errors


def test_a_weighted_mixture_is_predicted_at_95_percent() -> None:
    """By simulation: a sample of strata, as `dandelion sample` draws it, then new messages."""
    rng = np.random.default_rng(0)
    shares, sizes = np.array([0.9, 0.09, 0.01]), np.array([150, 100, 100])
    positive_shares, recall, fpr = np.array([0.02, 0.3, 0.8]), 0.6, 0.05
    in_class = shares * positive_shares
    prior, outside = float(in_class.sum()), 0
    weights = {str(at): float(1e5 * shares[at] / sizes[at]) for at in range(3)}
    for _ in range(60):
        counts = {}
        for at, size in enumerate(sizes):
            positive = rng.binomial(size, positive_shares[at])
            hits, alarms = rng.binomial(positive, recall), rng.binomial(size - positive, fpr)
            table = np.zeros((2, CELLS), dtype=np.int64)
            table[:, MIDDLE] = alarms, hits
            table[:, MIDDLE - 1] = size - positive - alarms, positive - hits
            counts[str(at)] = table
        sample = Strata.pooled(Evidence(counts, weights=weights)).at(np.array([MIDDLE - 1]))
        found = predict(Share.of(sample, "recall", prior).times(prior), 5000)
        outside += not found.lower <= rng.binomial(5000, prior * recall) <= found.upper
    assert outside <= 60 * 0.05 + 3 * np.sqrt(60 * 0.05 * 0.95)


@given(st.integers(1, 200), st.data())
@settings(max_examples=25)
def test_limits_are_those_of_the_beta_binomial_distribution(n: int, data: st.DataObject) -> None:
    """Of Thatcher's posteriors; at most 2 % of the distance further out, and never inside."""
    k, messages = data.draw(st.integers(0, n)), data.draw(st.integers(1, 3000))
    found = predict(Share.of(strata((0, 1), (k, n)), "recall", 0.5), messages)
    highest = messages if k == n else stats.betabinom.ppf(0.975, messages, k + 1, n - k)
    lowest = 0 if k == 0 else stats.betabinom.ppf(0.025, messages, k, n - k + 1)
    slack = 1 + 0.03 * (highest - lowest)
    assert highest <= found.upper <= highest + slack
    assert lowest - slack <= found.lower <= lowest


@given(st.integers(0, 50), st.integers(0, 50), st.integers(1, MAX_MESSAGES))
@settings(max_examples=25)
def test_an_interval_surrounds_what_is_expected(above: int, below: int, messages: int) -> None:
    found = predict(Share.of(strata((above, above + below), (3, 5)), "rate", 0.2), messages)
    assert 0 <= found.lower <= found.estimate <= found.upper <= messages
    for end in (found.lower, found.upper):
        assert end == found.estimate or end == int(end)


def test_many_messages_have_the_interval_of_the_rate() -> None:
    share = Share.of(strata((7, 900), (180, 200)), "recall", 0.5)
    low, high = (float(end) for end in two_sided(180, 200))
    widths = []
    for messages in (100, 10_000, 10**6, 10**12):
        found = predict(share, messages)
        assert found.lower <= messages * low < messages * high <= found.upper
        widths.append((found.upper - found.lower) / messages)
    assert widths == sorted(widths, reverse=True)
    assert widths[-1] == pytest.approx(high - low, rel=1e-3)


@pytest.mark.parametrize("review", [None, -1.0])
def test_a_plan_predicts_around_its_intervals(review: float | None) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(3000) % 3 // 2
    logits = rng.normal(np.where(labels, 2.0, -2.0), 1.5)
    evidence = Evidence.of(logits, labels, np.zeros(3000, dtype=np.int64), ("texts",))
    facts = {"prior": 0.05, "minutes": 2.0, "review": review}
    found = plan(evidence, float(GRID[320]), volume=10_000.4, **facts)  # type: ignore[arg-type]
    predicted = found.prediction
    assert predicted.messages == 10_000
    assert (predicted.in_review is None) == (review is None)
    names = ("flagged", "true_alerts", "false_alerts", "missed", "hours")
    for name in (*names, *(() if review is None else ("in_review", "found_in_review"))):
        mean, day = getattr(found, name), getattr(predicted, name)
        assert day.estimate == pytest.approx(mean.estimate, rel=1e-4)
        assert day.lower < mean.lower < mean.upper < day.upper, name
    large = plan(evidence, float(GRID[320]), volume=1e12, **facts)  # type: ignore[arg-type]
    for name in names:
        mean, day = getattr(large, name), getattr(large.prediction, name)
        assert day.lower == pytest.approx(mean.lower, rel=1e-3)
        assert day.upper == pytest.approx(mean.upper, rel=1e-3)


def test_evidence_without_a_class_predicts_nothing() -> None:
    share = Share.of(strata((3, 9), (0, 0)), "recall", 0.5)
    assert predict(share, 10) == Interval(0.0, 0.0, 10.0)


@pytest.mark.parametrize("messages", [0, -1, MAX_MESSAGES + 1])
def test_numbers_of_messages_are_limited(messages: int) -> None:
    with pytest.raises(ValueError, match="expected a number from 1 to 1,000,000,000,000"):
        predict(Share.of(strata((3, 9), (3, 9)), "recall", 0.5), messages)
