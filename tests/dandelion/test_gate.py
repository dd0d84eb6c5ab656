"""The gate: its keys, and what passes it."""

import pytest

from dandelion.gate import (
    Gate,
    GateError,
    ShadowCounts,
    judge,
    judge_shadow,
    limits,
    read_gate,
)

from ..conftest import ROOT
from .examples import make_artifact
from .verdicts import verdict_of

MANIFEST = make_artifact().manifest


def failed(gate: Gate, **changes: float) -> set[str]:
    return {
        one.key for one in judge(gate, verdict_of(MANIFEST, MANIFEST, **changes)) if not one.passed
    }


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, set()),
        ({"recall": -0.01, "fpr": 0.005, "gain": 0.01}, set()),
        ({"recall": -0.0101}, {"max_recall_drop"}),
        ({"fpr": 0.0051}, {"max_fpr_increase"}),
        ({"gain": 0.0}, {"min_feedback_gain"}),
        ({"recall": 0.3, "fpr": -0.1}, set()),
    ],
)
def test_a_figure_at_its_limit_passes_and_beyond_it_fails(
    changes: dict[str, float], expected: set[str]
) -> None:
    assert failed(Gate(), **changes) == expected


def test_limits_are_those_of_the_table() -> None:
    gate = read_gate({"max_recall_drop": 0.1, "max_fpr_increase": 1, "min_feedback_gain": -1})
    assert failed(gate, recall=-0.1, fpr=0.9, gain=-0.5) == set()


def test_a_figure_that_is_not_known_fails() -> None:
    verdict = verdict_of(MANIFEST, MANIFEST)
    verdict.feedback.differences.clear()  # type: ignore[attr-defined]
    assert [one.key for one in judge(Gate(), verdict) if not one.passed] == ["min_feedback_gain"]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        (None, {"min_shadow_texts"}),
        (ShadowCounts(0, 0), {"min_shadow_texts"}),
        (ShadowCounts(999, 0), {"min_shadow_texts"}),
        (ShadowCounts(1000, 50), set()),
        (ShadowCounts(1000, 51), {"max_shadow_disagreement"}),
    ],
)
def test_the_shadow_must_have_scored_and_agreed_enough(
    counts: ShadowCounts | None, expected: set[str]
) -> None:
    assert {one.key for one in judge_shadow(Gate(), counts) if not one.passed} == expected


def test_without_a_number_of_texts_nothing_is_asked_of_the_shadow() -> None:
    assert judge_shadow(Gate(min_shadow_texts=0), None) == ()


@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"max_recall": 0.1}, "max_recall"),
        ({"max_recall_drop": 1.5}, "max_recall_drop"),
        ({"max_recall_drop": "0.1"}, "max_recall_drop"),
        ({"max_fpr_increase": True}, "max_fpr_increase"),
        ({"min_feedback_gain": -2}, "min_feedback_gain"),
        ({"min_shadow_texts": 1.5}, "min_shadow_texts"),
        ({"min_shadow_texts": -1}, "min_shadow_texts"),
        ({"max_shadow_disagreement": float("nan")}, "max_shadow_disagreement"),
    ],
)
def test_wrong_keys_and_values_are_refused(values: dict[str, object], key: str) -> None:
    with pytest.raises(GateError) as found:
        read_gate(values)
    assert found.value.key == key


def test_the_guide_has_every_key_with_its_default() -> None:
    page = (ROOT / "docs" / "guide" / "configuration.md").read_text()
    for key, default in limits(Gate()).items():
        assert f"| `{key}` | `{default}` |" in page
