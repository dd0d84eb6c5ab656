"""Thresholds of scores for grid points."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import GRID, Evidence, cells
from dandelion.decision.operating_points import InfeasibleError, fit
from dandelion.decision.policy import scores
from dandelion.decision.score_thresholds import separable

SLOPES = st.floats(0.05, 20)
CALIBRATIONS = st.builds(
    lambda a, b, c: Calibration("beta", a, b, c), SLOPES, SLOPES, st.floats(-10, 10)
) | st.builds(lambda a: Calibration("temperature", a, a, 0.0), SLOPES)
PRIORS = st.sampled_from([0.5, 1e-6, 0.002, 0.3, 0.999])
LOGITS = st.lists(st.floats(-16, 16, width=32), min_size=1, max_size=20)


@given(CALIBRATIONS, PRIORS, LOGITS, st.data())
def test_a_threshold_flags_the_texts_at_or_above_its_logit(
    calibration: Calibration, prior: float, logits: list[float], data: st.DataObject
) -> None:
    on_grid = scores(GRID.astype(np.float64), calibration, prior)  # type: ignore[arg-type]
    possible = np.flatnonzero(separable(on_grid))
    at = data.draw(st.sampled_from(possible.tolist()))
    threshold = float(on_grid[at])
    flags_grid = on_grid.astype(np.float64) >= threshold
    assert np.flatnonzero(flags_grid)[0] == at
    assert flags_grid[at:].all()

    texts = np.array(logits, dtype=np.float32)
    found = scores(texts, calibration, prior).astype(np.float64)
    is_above = cells(texts) > at  # as the evidence counts them
    assert (found[is_above] >= threshold).all()
    assert (found[~is_above] <= threshold).all()
    is_in_next_cell = cells(texts) == at
    assert not (found[~is_above & ~is_in_next_cell] >= threshold).any()


def test_points_are_fitted_among_the_separable_ones() -> None:
    logits = np.concatenate([np.linspace(-12, 9, 3000), np.linspace(2, 14, 500)])
    labels = np.repeat([0, 1], [3000, 500])
    evidence = Evidence.of(logits, labels, np.zeros_like(labels), ["all"])
    is_possible = separable(scores(GRID, Calibration("platt", 3.0, 3.0, 0.0)))  # type: ignore[arg-type]
    assert not is_possible.all()
    for point in ("fpr<=0.2", "macro_f1"):
        fitted = fit(point, evidence, among=is_possible)
        assert is_possible[np.flatnonzero(fitted.logit == GRID)[0]]
    assert fit("fpr<=0.001", evidence).logit > 8
    with pytest.raises(InfeasibleError, match="too close to 0 or 1 to be distinct in float32"):
        fit("fpr<=0.001", evidence, among=is_possible)
