"""Evidence is made of collected texts, one of each group of near copies."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.evidence import cells
from training.data.datasets import Dataset
from training.errors import ConfigurationError
from training.evidence import SCALE_TOLERANCE, agreement, collect, independent
from training.penalties import penalised

from .held_out import NAMES, dataset_of, held_out


def two_sources(texts: list[str], origins: list[int], generated: str = "") -> Dataset:
    return Dataset(
        "both",
        tuple(texts),
        np.zeros(len(texts), np.int64),
        ("no", "yes"),
        "",
        origins=np.array(origins),
        source_names=("chat", "forum"),
        generated=frozenset({generated} - {""}),
    )


@given(
    st.lists(st.tuples(st.text(max_size=3), st.integers(0, 3), st.integers(0, 1)), min_size=1),
    st.sampled_from(["", "chat", "forum"]),
)
def test_the_collected_text_of_each_group_with_the_lowest_hash_counts(
    rows: list[tuple[str, int, int]], generated: str
) -> None:
    texts, groups, origins = (list(one) for one in zip(*rows, strict=True))
    dataset = two_sources(texts, origins, generated)
    found = independent(dataset, np.arange(len(texts)), np.array(groups)).tolist()
    assert found == sorted(found)
    names = [dataset.source_names[origin] for origin in origins]
    collected = [row for row, name in enumerate(names) if name != generated]
    assert {groups[row] for row in collected} == {groups[row] for row in found}
    assert len({groups[row] for row in found}) == len(found)
    for row in found:
        hashes = [
            hashlib.sha256(texts[other].encode()).digest()
            for other in collected
            if groups[other] == groups[row]
        ]
        assert hashlib.sha256(texts[row].encode()).digest() == min(hashes)


def test_sources_share_the_texts_that_they_have_in_common() -> None:
    texts = [f"text {number}" for number in range(400)]
    dataset = two_sources(texts * 2, [0] * 400 + [1] * 400)
    found = independent(dataset, np.arange(800), np.tile(np.arange(400), 2))
    assert len(found) == 400
    assert 150 < (found < 400).sum() < 250


def test_evidence_counts_logits_under_the_penalty_by_source() -> None:
    found = held_out()
    found = replace(found, windows=np.where(found.rows % 2 == 0, 1, 7))
    dataset = dataset_of(found)
    named = {"talk": ("chat", "forum"), "none": ("mail",)}
    collected = collect(found, dataset, np.arange(len(found.rows)), named, penalty=0.3)
    evidence = collected.evidence
    assert evidence.promises
    assert evidence.fitted_on == "out_of_fold"
    assert evidence.groups == {"talk": ("chat", "forum")}
    at = cells(penalised(found.logits, found.windows, 0.3))
    for origin, source in enumerate(NAMES):
        for label in (0, 1):
            its = (found.origins == origin) & (found.labels == label)
            expected = np.bincount(at[its], minlength=602)
            np.testing.assert_array_equal(evidence.counts[source][label], expected)


def test_a_generated_source_is_no_evidence() -> None:
    found = held_out()
    dataset = dataset_of(found, generated=frozenset({"chat"}))
    collected = collect(found, dataset, found.rows, {"talk": ("chat", "forum")}, penalty=0)
    assert set(collected.evidence.counts) == {"forum", "scams"}
    assert collected.evidence.groups == {"talk": ("forum",)}
    assert not (found.origins[collected.rows] == 0).any()
    only_scams = dataset_of(found, generated=frozenset({"chat", "forum"}))
    with pytest.raises(ConfigurationError, match="all texts of a class are made of templates"):
        collect(found, only_scams, found.rows, {}, penalty=0)


@pytest.mark.parametrize(("shift", "agree"), [(0.8, True), (1.2, False), (-1.2, False)])
@pytest.mark.parametrize("label", [0, 1])
def test_nothing_is_promised_if_the_folds_disagree_in_scale(
    shift: float, agree: bool, label: int
) -> None:
    found = held_out()
    # One text for each class and fold would do; many, so that the medians do not move.
    logits = np.where(found.labels == 1, 2.0, -2.0)
    logits[(found.folds == 3) & (found.labels == label)] += shift * SCALE_TOLERANCE * 4
    found = replace(found, logits=logits.astype(np.float32))
    collected = collect(found, dataset_of(found), found.rows, {}, penalty=0)
    assert collected.evidence.promises is collected.scale["agree"] is agree
    assert collected.scale["medians"] == [-2.0, 2.0]
    assert collected.scale["largest"] == pytest.approx(abs(shift) * SCALE_TOLERANCE)
    assert len(collected.scale["by_fold"]) == 5


def test_folds_without_a_class_and_classes_without_a_distance() -> None:
    labels, folds = np.array([0, 1, 0]), np.array([0, 0, 1])
    found = agreement(np.array([-1.0, 3.0, -1.0], np.float32), labels, folds)
    assert found["by_fold"] == [[-1.0, 3.0], [-1.0, None]]
    assert found["agree"]
    same = agreement(np.zeros(3, np.float32), labels, folds)
    assert same["largest"] is None
    assert not same["agree"]
