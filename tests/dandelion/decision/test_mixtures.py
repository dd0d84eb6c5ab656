"""Intervals of mixtures hold at 95 %; for one stratum they are those of a single sample."""

import numpy as np
import pytest

from dandelion.decision.evidence import CELLS, GRID, Evidence
from dandelion.decision.operating_points import FittedPoint, at

RATES = ("recall", "fpr", "precision", "rate")


def drawn(rng: np.random.Generator, sizes: list[int], shares: list[float], texts: int) -> Evidence:
    """Draw texts from three strata, each with a share of positive texts, on two sides of 0."""
    counts, weights, bands = {}, {}, {}
    edges = [-1e9, -1.0, 1.0, 1e9]
    for stratum, (size, share) in enumerate(zip(sizes, shares, strict=True)):
        table = np.zeros((2, CELLS), dtype=np.int64)
        positive = int(rng.binomial(texts, share))
        for label, of_label in ((0, texts - positive), (1, positive)):
            above = int(rng.binomial(of_label, 0.3 + 0.4 * label)) if stratum == 1 else of_label
            table[label, cell(0.5 if stratum != 0 else -2.0)] += above if stratum != 2 else 0
            table[label, cell(-0.5)] += of_label - above
            table[label, cell(2.0)] += above if stratum == 2 else 0
        counts[f"{stratum}"], weights[f"{stratum}"] = table, size / texts
        bands[f"{stratum}"] = edges[stratum], edges[stratum + 1]
    return Evidence(counts, weights=weights, bands=bands, fitted_on="labelled")


def cell(logit: float) -> int:
    return int(np.searchsorted(GRID, logit, side="right"))


@pytest.mark.parametrize("shares", [[0.001, 0.05, 0.8], [0.0, 0.02, 0.5]])
def test_intervals_hold(shares: list[float]) -> None:
    sizes, draws = [10_000, 2_000, 300], 80
    positive = np.multiply(sizes, shares)
    harmless = np.subtract(sizes, positive)
    hits, alarms = 0.7 * positive[1] + positive[2], 0.3 * harmless[1] + harmless[2]
    truth = {
        "recall": hits / positive.sum(),
        "fpr": alarms / harmless.sum(),
        "precision": hits / (hits + alarms),
        "rate": (hits + alarms) / sum(sizes),
    }
    rng = np.random.default_rng(7)
    outside = dict.fromkeys(RATES, 0)
    for _ in range(draws):
        found = at(drawn(rng, sizes, shares, 120), 0.0)
        for name in RATES:
            interval = getattr(found, name)
            outside[name] += not interval.lower <= truth[name] <= interval.upper
    limit = 0.06 * draws + 3 * np.sqrt(0.06 * 0.94 * draws)  # they are approximate
    assert all(count <= limit for count in outside.values()), outside


def test_one_stratum_is_nearly_a_single_sample() -> None:
    rng = np.random.default_rng(0)
    labels = (rng.random(800) < 0.3).astype(np.int64)
    logits = rng.normal(np.where(labels, 1.0, -1.0), 1.0)
    nowhere = np.zeros(800, dtype=np.int64)
    single = at(Evidence.of(logits, labels, nowhere, ("all",)), 0.0)
    weighted = at(Evidence.of(logits, labels, nowhere, ("all",), weights={"all": 5.0}), 0.0)
    for name in RATES:
        one, other = getattr(single, name), getattr(weighted, name)
        assert other.estimate == pytest.approx(one.estimate)
        assert other.lower == pytest.approx(one.lower, abs=0.02)
        assert other.upper == pytest.approx(one.upper, abs=0.02)


@pytest.mark.parametrize("logit", [-15.0, -1.5, 0.0, 1.5, 15.0])
@pytest.mark.parametrize("prior", [None, 0.01])
def test_ends_are_shares_around_the_estimate(logit: float, prior: float | None) -> None:
    evidence = drawn(np.random.default_rng(1), [5000, 400, 100], [0.0, 0.1, 1.0], 50)
    found: FittedPoint = at(evidence, logit, prior=prior)
    for name in RATES:
        interval = getattr(found, name)
        assert 0 <= interval.lower <= interval.estimate <= interval.upper <= 1


def test_a_threshold_beyond_the_bands_is_certain() -> None:
    evidence = drawn(np.random.default_rng(1), [5000, 400, 100], [0.0, 0.1, 1.0], 50)
    everything, nothing = at(evidence, -1e9), at(evidence, 1.0)
    assert nothing.rate.estimate == pytest.approx(100 / 5500)
    assert nothing.rate.lower == nothing.rate.upper == nothing.rate.estimate
    assert everything.rate.estimate == 1
