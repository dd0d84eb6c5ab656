"""The simulation of drift computes what the recording rules do."""

import numpy as np
import pytest

from dandelion.decision import buckets
from dandelion.decision.calibration import Calibration
from dandelion.decision.policy import Basis, PolicyChoice, resolve
from dandelion.reference import reference_of
from study import drift
from study.pages import drift as drift_page
from study.schema.drift import Drift, Traffic

RNG = np.random.default_rng(0)
TEXTS = drift.Texts(RNG.normal(-2, 0.6, 4000), RNG.normal(1, 0.6, 1000))
BASIS = Basis.of(0.5, Calibration("platt", 3.0, 3.0, 0.0), drift.evidence_of(TEXTS))
POLICY = resolve(PolicyChoice(prior=0.05), BASIS, name="p")
REFERENCE = reference_of(BASIS, POLICY, is_own=True)


def test_traffic_of_the_reference_has_its_shares() -> None:
    shares = drift.joint_shares(TEXTS, POLICY, 0.05)
    assert REFERENCE.scores is not None
    np.testing.assert_allclose(shares.sum(axis=0), REFERENCE.scores, atol=0.003)
    assert shares[1].sum() == pytest.approx(REFERENCE.positive, abs=0.001)


@pytest.mark.parametrize(("prior", "is_alarm"), [(0.05, False), (0.1, True)])
def test_a_doubled_share_gives_an_alarm_and_the_same_none(prior: float, *, is_alarm: bool) -> None:
    minutes = drift._minutes(np.random.default_rng(1), drift.joint_shares(TEXTS, POLICY, prior), 60)
    assert minutes.sum() == drift.TEXTS_PER_HOUR
    positive, scores = drift._alarms(minutes, REFERENCE)
    assert (len(positive), bool(positive[0])) == (1, is_alarm)
    assert REFERENCE.scores is not None
    index = buckets.stability_index(minutes.sum(axis=(0, 1)).astype(float), REFERENCE.scores)
    assert bool(scores[0]) == (index > drift.INDEX)


def test_detections_in_traffic_that_is_always_in_alarm_are_not_shown() -> None:
    found = drift._detect(
        np.random.default_rng(2),
        drift.joint_shares(TEXTS, POLICY, 0.05),
        drift.joint_shares(TEXTS, POLICY, 0.1),
        REFERENCE,
        "doubled",
    )
    assert found.detected > 0.99
    rows = [
        Traffic("spam", "sms", 0.05, "policy_file", 5000, 0.0, share, [found])
        for share in (0.01, 0.9)
        for share in (0.01, 0.9)
    ]
    lines = (
        drift_page.page(Drift(2000, 1, 500, 4.0, 0.1, rows[:1] * 2)),
        drift_page.page(Drift(2000, 1, 500, 4.0, 0.1, [rows[1], rows[1]])),
    )
    assert "100%" in lines[0] or "100 %" in lines[0]
    assert "| any | – | – | – | – |" in lines[1]
