"""The choice among trials."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from study.transfer import estimates, selection
from study.transfer.selection import Judged

judged = st.builds(Judged, st.floats(0, 1), st.floats(0, 0.3))


@given(st.lists(judged, min_size=1, max_size=6))
def test_the_cheapest_within_one_standard_error_of_the_best(several: list[Judged]) -> None:
    chosen = int(selection.choose({str(number): one for number, one in enumerate(several)}))
    best = max(several, key=lambda one: one.value)
    least = best.value - best.standard_error
    assert several[chosen].value >= least
    assert all(one.value < least for one in several[:chosen])


def test_a_trial_is_judged_by_the_mean_over_units_of_both_figures() -> None:
    labels, groups = np.array([0] * 20 + [1] * 20), np.arange(40)
    drawn = estimates.draws(labels, groups, "any", 50)
    perfect, reverse = np.arange(40.0), np.arange(40.0)[::-1].copy()
    best, worst = (selection.criterion(drawn, one) for one in (perfect, reverse))
    assert selection.judge([[best]]).value == 1
    assert selection.judge([[worst]]).value == 0
    # A unit of two sources counts as one.
    assert selection.judge([[best, worst], [best]]).value == 0.75
