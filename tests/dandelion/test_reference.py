"""References: expected shares by evidence and counts of words, and their file."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion import reference_file
from dandelion.decision import buckets
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import GRID, Evidence
from dandelion.decision.policy import Basis, PolicyChoice, resolve, scores
from dandelion.reference import as_cumulative, reference_of
from dandelion.reference_file import ContentCounts, word_counts
from dandelion.text.tokenizer import clean

from .examples import make_artifact
from .test_notices import CLASSIFIERS

CALIBRATION = Calibration("platt", 2.0, 2.0, 0.5)
THRESHOLD = float(scores(GRID, CALIBRATION)[GRID == 1.0][0])


def drawn(prior: float, texts: int = 40_000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = (rng.random(texts) < prior).astype(np.int64)
    return rng.normal(np.where(labels, 1.5, -1.5), 0.8), labels


def evidence_of(logits: np.ndarray, labels: np.ndarray, **facts: Any) -> Evidence:
    return Evidence.of(logits, labels, np.zeros(len(logits), dtype=np.int64), ["a"], **facts)


@pytest.mark.parametrize("prior", [None, 0.02, 0.4])
def test_the_reference_is_what_texts_of_that_prior_get(prior: float | None) -> None:
    logits, labels = drawn(0.5)
    basis = Basis.of(THRESHOLD, CALIBRATION, evidence_of(logits, labels))
    policy = None if prior is None else resolve(PolicyChoice(prior=prior), basis, name="p")
    found = reference_of(basis, policy)
    assert found.weighting == ("training" if prior is None else "prior")
    shown = scores(logits, CALIBRATION, 0.5 if prior is None else prior)
    weights = np.ones(len(labels)) if prior is None else np.where(labels, prior, 1 - prior)
    weights = weights / weights.sum() if prior is None else weights / np.bincount(labels)[labels]
    at = np.searchsorted(buckets.SCORES, shown.astype(np.float64))
    expected = np.bincount(at, weights, minlength=21)
    assert found.scores is not None
    np.testing.assert_allclose(found.scores, expected, atol=0.004)
    assert found.positive == pytest.approx(weights[logits >= 1.0].sum(), abs=0.003)


def test_the_texts_of_a_policy_file_are_weighted_as_they_were_drawn() -> None:
    logits, labels = drawn(0.5, 2000)
    rare, common = evidence_of(logits, labels), evidence_of(logits - 2, labels)
    evidence = Evidence(
        {"rare": rare.counts["a"], "common": common.counts["a"]},
        weights={"rare": 1.0, "common": 9.0},
    )
    basis = Basis.of(THRESHOLD, CALIBRATION, None).on(None, evidence)
    counts = ContentCounts.of(np.array([[1, 1]]), np.array([0]), ["a"], 2)
    found = reference_of(basis, None, counts, is_own=True)
    assert found.weighting == "policy_file"
    expected = 0.1 * (logits >= 1).mean() + 0.9 * (logits - 2 >= 1).mean()
    assert found.positive == pytest.approx(expected, abs=0.01)
    assert (found.words, found.unknown, found.no_content) == (None, None, None)


def test_without_evidence_there_are_words_alone() -> None:
    counts = ContentCounts.of(
        np.array([[0, 0], [4, 4], [4, 2], [500, 500]]),
        np.array([0, 0, 1, 2]),
        ["a", "a", "b", "b"],
        3,
    )
    found = reference_of(None, None, counts)
    assert (found.scores, found.positive, found.no_content) == (None, None, 0.25)
    assert found.words is not None
    assert found.words[[0, 4, 14]].tolist() == [0.25, 0.5, 0.25]
    assert found.unknown is not None
    assert found.unknown[[0, 7]] == pytest.approx([2 / 3, 1 / 3])
    assert as_cumulative(found.words)[-1] == 1.0


def test_words_are_weighted_by_the_prior() -> None:
    counts = ContentCounts.of(
        np.array([[0, 0], [1, 1], [1, 1], [1, 0]]), np.array([0, 0, 1, 1]), ["a"] * 4, 2
    )
    words, unknown = counts.shares(np.array([0.9, 0.1]))
    assert words[:2] == pytest.approx([0.45, 0.55])
    assert unknown[[0, 9]] == pytest.approx([0.5 / 0.55, 0.05 / 0.55])


def test_words_are_counted_as_the_service_counts_them() -> None:
    texts = ["free unknown", "", "free prize lunch"] * 700
    for classifier in CLASSIFIERS.values():
        assert word_counts(classifier, texts).tolist() == [[2, 1], [0, 0], [3, 3]] * 700
    assert clean("free") == "free"


COUNTS = st.lists(st.floats(0, 1e6), min_size=2, max_size=30).filter(lambda one: sum(one) > 0)


@given(st.data())
def test_the_stability_index_is_0_for_equal_shares_and_symmetric(data: st.DataObject) -> None:
    one = np.array(data.draw(COUNTS))
    other = np.array(data.draw(st.permutations(one.tolist())))
    assert buckets.stability_index(one, one * 3) == pytest.approx(0, abs=1e-9)
    index = buckets.stability_index(one, other)
    assert index >= 0
    assert index == pytest.approx(buckets.stability_index(other, one))


def test_nothing_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="no texts to compare"):
        buckets.stability_index(np.zeros(3), np.ones(3))


@given(st.lists(st.floats(0, 2), max_size=50))
def test_buckets_have_inclusive_upper_bounds(values: list[float]) -> None:
    counts = buckets.counts(np.array(values), buckets.SCORES)
    cumulative = [sum(value <= bound for value in values) for bound in (*buckets.SCORES, 9)]
    assert np.cumsum(counts).tolist() == cumulative


MANIFEST = replace(make_artifact().manifest, content_hash="a" * 64)


def test_the_file_is_read_back(tmp_path: Path) -> None:
    assert reference_file.read(tmp_path, MANIFEST) is None
    counts = ContentCounts.of(np.array([[0, 0], [4, 2]]), np.array([0, 1]), ["a", "b"], 2)
    reference_file.write(counts, tmp_path, MANIFEST)
    found = reference_file.read(tmp_path, MANIFEST)
    assert found is not None
    for name in ("words", "unknown"):
        expected, tables = getattr(counts, name), getattr(found, name)
        assert {source: table.tolist() for source, table in tables.items()} == {
            source: table.tolist() for source, table in expected.items()
        }


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "other"}, "'format' is not"),
        ({"format_version": 2}, "format version is not 1"),
        ({"content_hash": "b" * 64}, "about another artifact"),
        ({"bounds": {}}, "buckets are not those"),
        ({"sources": {}}, "at least one source"),
        ({"sources": {"a": []}}, "counts of 2 labels for 'a'"),
        ({"sources": {"a": [{"words": [1]}, {}]}}, "expected 15 counts"),
        ({"sources": {"a": [{"words": [-1] * 15}, {}]}}, "none negative"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    counts = ContentCounts.of(np.array([[0, 0], [4, 2]]), np.array([0, 1]), ["a", "b"], 2)
    path = reference_file.write(counts, tmp_path, MANIFEST)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=message):
        reference_file.read(tmp_path, MANIFEST)
