"""Weights under which length is worthless."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from training.data import datasets
from training.data.datasets import Dataset
from training.data.length import LARGEST_FACTOR, matched_weights


def of_lengths(lengths: list[int], labels: list[int], classes: int = 2) -> Dataset:
    names = tuple(f"class {number}" for number in range(classes))
    return Dataset(
        "made up", tuple("x" * length for length in lengths), np.array(labels), names, ""
    )


@given(st.lists(st.tuples(st.sampled_from([1, 7, 50, 200]), st.integers(0, 2)), min_size=1))
def test_every_class_counts_equally_at_every_length(rows: list[tuple[int, int]]) -> None:
    lengths, labels = (np.array(column) for column in zip(*rows, strict=True))
    weights = matched_weights(of_lengths(lengths.tolist(), labels.tolist(), classes=3))
    assert weights.dtype == np.float64
    assert (weights >= 0).all()
    assert weights.max() <= LARGEST_FACTOR
    for length in set(lengths.tolist()):
        here = lengths == length
        totals = np.bincount(labels[here], weights[here], 3)
        assert totals == pytest.approx(np.full(3, totals[0]))
        counts = np.bincount(labels[here], minlength=3)
        assert totals.sum() <= here.sum() + 1e-9
        assert (totals.sum() > 0) == counts.all()
        if counts.min() * LARGEST_FACTOR >= here.sum() / 3:
            assert totals.sum() == pytest.approx(here.sum())


def test_a_text_counts_only_so_much() -> None:
    """One short text of class 1 among a thousand of class 0."""
    weights = matched_weights(of_lengths([10] * 1001, [0] * 1000 + [1]))
    assert weights[-1] == LARGEST_FACTOR
    assert weights[:-1].sum() == pytest.approx(LARGEST_FACTOR)


def test_weights_of_sources_stay() -> None:
    dataset = of_lengths([10, 10, 10], [0, 0, 1])
    weighted = Dataset(
        "made up",
        dataset.texts,
        dataset.labels,
        dataset.label_names,
        "",
        weights=np.array([3.0, 1.0, 4.0]),
    )
    assert matched_weights(weighted).tolist() == [3.0, 1.0, 4.0]
    assert matched_weights(dataset).tolist() == [0.75, 0.75, 1.5]


def test_length_says_nothing_about_a_tweet(data_dir: Path) -> None:
    dataset = datasets.load("cyberbullying", data_dir)
    lengths = [len(text) for text in dataset.texts]
    weights = matched_weights(dataset)
    assert roc_auc_score(dataset.labels, lengths) > 0.7
    assert roc_auc_score(dataset.labels, lengths, sample_weight=weights) == pytest.approx(
        0.5, abs=0.005
    )
    types = datasets.load("cyberbullying_type", data_dir)
    weights = matched_weights(types)
    for label in range(len(types.label_names)):
        is_it = types.labels == label
        found = roc_auc_score(is_it, lengths, sample_weight=weights)
        assert found == pytest.approx(0.5, abs=0.01)
