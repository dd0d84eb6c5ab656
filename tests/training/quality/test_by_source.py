"""Rates of each source, with the numbers of texts that they are of."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.quality.by_source import by_source

NAMES = ("chat", "forum", "mail")


def test_rates_are_shares_of_a_class_within_a_source() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1, 0, 1])
    origins = np.array([0, 0, 0, 0, 0, 0, 2, 0])
    scores = np.array([0.1, 0.5, 0.6, 0.2, 0.9, 0.4, 0.7, 0.5], dtype=np.float32)
    assert by_source(labels, origins, NAMES, scores, 0.5) == {
        "chat": {
            "negatives": 4,
            "false_positive_rate": 0.5,
            "positives": 3,
            "recall": 2 / 3,
        },
        "mail": {"negatives": 1, "false_positive_rate": 1.0, "positives": 0, "recall": None},
    }


@given(
    st.lists(
        st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(0, 4)), min_size=1, max_size=40
    ),
    st.integers(0, 4),
)
def test_every_flagged_text_is_counted_once(rows: list[tuple[int, int, int]], cut: int) -> None:
    labels, origins, steps = np.array(rows).T
    scores = (steps / 4).astype(np.float32)
    rates = by_source(labels, origins, NAMES, scores, cut / 4).values()
    assert sum(one["negatives"] + one["positives"] for one in rates) == len(rows)
    flagged = sum(
        one["negatives"] * (one["false_positive_rate"] or 0)
        + one["positives"] * (one["recall"] or 0)
        for one in rates
    )
    assert round(flagged) == (steps >= cut).sum()
