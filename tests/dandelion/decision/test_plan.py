"""Plans: counts of messages that add up."""

import numpy as np
import pytest

from dandelion.decision.evidence import GRID, Evidence
from dandelion.decision.operating_points import at
from dandelion.decision.plan import plan

RNG = np.random.default_rng(0)
LABELS = (np.arange(4000) % 4 == 0).astype(np.int64)
LOGITS = RNG.normal(np.where(LABELS, 2.0, -2.0), 1.5)
EVIDENCE = Evidence.of(LOGITS, LABELS, np.zeros(4000, dtype=np.int64), ("made up",))
FACTS = {"prior": 0.01, "volume": 1000.0, "minutes": 30.0}


def test_alerts_and_misses_are_all_positive_messages() -> None:
    found = plan(EVIDENCE, 1.0, **FACTS)
    assert found.true_alerts.estimate + found.missed.estimate == pytest.approx(10)
    assert found.true_alerts.lower + found.missed.upper == pytest.approx(10)
    assert found.true_alerts.estimate + found.false_alerts.estimate == pytest.approx(
        found.flagged.estimate
    )
    assert found.hours.estimate == pytest.approx(found.flagged.estimate / 2)
    assert found.in_review is None


def test_a_band_is_what_lies_between_two_thresholds() -> None:
    found = plan(EVIDENCE, 1.0, review=-1.0, **FACTS)
    assert found.in_review is not None
    assert found.found_in_review is not None
    lower, upper = (at(EVIDENCE, logit, prior=0.01) for logit in (-1.0, 1.0))
    expected = 1000 * (lower.rate.estimate - upper.rate.estimate)
    assert found.in_review.estimate == pytest.approx(expected)
    assert found.hours.estimate == pytest.approx(expected / 2)
    assert found.missed.estimate == pytest.approx(10 * (1 - lower.recall.estimate))
    parts = found.true_alerts, found.found_in_review, found.missed
    assert sum(one.estimate for one in parts) == pytest.approx(10)
    for one in (*parts, found.flagged, found.in_review, found.hours):
        assert 0 <= one.lower <= one.estimate <= one.upper


def test_an_empty_band_needs_no_reviewer() -> None:
    found = plan(EVIDENCE, 1.0, review=1.0, **FACTS)
    assert found.hours.estimate == 0
    assert found.flagged.estimate > 0


@pytest.mark.parametrize("threshold", [1.0, 1.02, -np.inf, np.inf])
def test_each_message_is_flagged_or_reviewed_or_neither(threshold: float) -> None:
    found = plan(EVIDENCE, threshold, review=float(GRID[0]), **FACTS)
    assert found.in_review is not None
    assert found.flagged.estimate + found.in_review.estimate == pytest.approx(1000)
