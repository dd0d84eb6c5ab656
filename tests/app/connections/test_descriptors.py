"""How many connections the descriptors suffice for."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connections.descriptors import connections_within
from app.connections.open_connections import max_lingering
from app.settings import SettingsError


@given(st.integers(1, 5000), st.integers(1, 2000), st.integers(0, 500))
def test_connections_fit_the_descriptors(limit: int, wanted: int, others: int) -> None:
    fewest = min(8, wanted)
    if limit < fewest + max_lingering(fewest) + others:
        with pytest.raises(SettingsError, match=rf"{limit} open files \(ulimit -n\)"):
            connections_within(limit, wanted, others=others)
        return
    possible = connections_within(limit, wanted, others=others)
    assert fewest <= possible <= wanted
    assert possible + max_lingering(possible) + others <= limit
    if possible < wanted:  # not fewer than necessary
        assert possible + 1 + max_lingering(possible + 1) + others > limit


def test_without_a_limit_there_are_as_many_as_wanted() -> None:
    assert connections_within(math.inf, 10**9, others=32) == 10**9
