"""Thresholds come from validation alone, and every fold is measured at them."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dandelion.decision.threshold import fit_threshold
from training.quality.judgement import Scored, judge
from training.quality.metrics import evaluate, evaluate_classes, prevalence_weights


def scored(labels: list[int], scores: list[float]) -> Scored:
    return Scored(np.array(labels), np.array(scores, dtype=np.float32))


# Four thresholds that all differ: by macro-F1 and by accuracy, on validation and on test.
VALIDATION = scored(
    [0, 0, 0, 0, 0, 0, 1, 0, 1, 1], [0.1, 0.1, 0.2, 0.2, 0.3, 0.32, 0.4, 0.55, 0.6, 0.65]
)
TEST = scored(
    [0, 0, 0, 0, 1, 0, 0, 1, 0, 1], [0.01, 0.02, 0.03, 0.04, 0.7, 0.72, 0.74, 0.8, 0.82, 0.9]
)


@st.composite
def folds(draw: st.DrawFn) -> Scored:
    texts = draw(
        st.lists(st.tuples(st.integers(0, 1), st.integers(0, 16)), min_size=2, max_size=30)
    )
    labels, scores = zip(*texts, strict=True)
    assume(0 < sum(labels) < len(labels))
    return scored(list(labels), [score / 16 for score in scores])


def test_the_example_can_detect_a_leak() -> None:
    for criterion in ("macro_f1", "accuracy"):
        on_validation, on_test = (
            fit_threshold(fold.labels, fold.scores, criterion)[0] for fold in (VALIDATION, TEST)
        )
        found, leaked = (
            evaluate(TEST.labels, TEST.scores, cut) for cut in (on_validation, on_test)
        )
        assert leaked[criterion] > found[criterion]


def assert_fitted_on_validation(validation: Scored, test: Scored) -> None:
    judgement = judge("sigmoid", validation, test)
    for cut, criterion in (("fitted", "macro_f1"), ("fitted to accuracy", "accuracy")):
        threshold, _ = fit_threshold(validation.labels, validation.scores, criterion)
        if cut == "fitted":
            assert judgement.threshold == threshold
        for name, fold in (("validation", validation), ("test", test)):
            expected = evaluate(fold.labels, fold.scores, threshold)
            assert judgement.metrics[name][cut] == pytest.approx(expected)


def test_thresholds_are_fitted_on_validation() -> None:
    assert_fitted_on_validation(VALIDATION, TEST)


@settings(max_examples=25)
@given(folds(), folds())
def test_thresholds_of_any_folds_are_fitted_on_validation(validation: Scored, test: Scored) -> None:
    assert_fitted_on_validation(validation, test)


@settings(max_examples=25)
@given(folds(), folds(), folds())
def test_nothing_that_is_fitted_depends_on_the_test_fold(
    validation: Scored, test: Scored, other: Scored
) -> None:
    first, second = judge("sigmoid", validation, test), judge("sigmoid", validation, other)
    alone = judge("sigmoid", validation)
    assert first.threshold == second.threshold == alone.threshold
    assert first.metrics["validation"] == second.metrics["validation"]
    assert alone.metrics == {"validation": first.metrics["validation"]}


def test_a_reweighted_test_fold_has_the_shares_of_validation() -> None:
    judgement = judge("sigmoid", VALIDATION, TEST, reweight_test=True)
    weights = prevalence_weights(TEST.labels, 0.3)
    expected = evaluate(TEST.labels, TEST.scores, judgement.threshold or 0, weights=weights)
    assert judgement.metrics["test"]["fitted"] == pytest.approx(expected)
    plain = judge("sigmoid", VALIDATION, TEST)
    assert judgement.metrics["validation"] == plain.metrics["validation"]


def test_collapse_is_judged_on_the_last_fold() -> None:
    constant = scored([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.4])
    right = scored([0, 0, 0, 1], [0.1, 0.2, 0.3, 0.9])
    assert judge("sigmoid", right, constant).collapsed
    assert not judge("sigmoid", constant, right).collapsed
    assert judge("sigmoid", constant).collapsed


def test_a_margin_has_no_calibration() -> None:
    metrics = judge("margin", VALIDATION, TEST).metrics["test"]
    assert [metrics[cut]["brier"] for cut in metrics] == [None] * 3


def test_a_chosen_threshold_is_measured_and_is_the_default() -> None:
    for cut in ("operating point", "fitted"):
        judgement = judge("sigmoid", VALIDATION, TEST, chosen=(cut, 0.6))  # type: ignore[arg-type]
        assert judgement.threshold == 0.6
        for name, fold in (("validation", VALIDATION), ("test", TEST)):
            metrics = judgement.metrics[name]  # type: ignore[index]
            assert metrics[cut] == pytest.approx(evaluate(fold.labels, fold.scores, 0.6))  # type: ignore[index]


def test_calibrated_scores_are_cut_at_the_one_of_a_logit_of_zero() -> None:
    judgement = judge("margin", VALIDATION, TEST, calibrated=True, half=0.31)
    expected = evaluate(TEST.labels, TEST.scores, 0.31, calibrated=True)
    assert judgement.metrics["test"]["0.5"] == pytest.approx(expected)
    assert expected["brier"] is not None


def test_with_more_than_two_labels_there_is_no_threshold() -> None:
    labels = np.array([0, 1, 2, 1])
    fold = Scored(labels, np.eye(3, dtype=np.float32)[[0, 1, 2, 2]])
    judgement = judge("softmax", fold, fold)
    assert judgement.threshold is None
    expected = {"argmax": evaluate_classes(labels, fold.scores)}
    assert judgement.metrics == {"validation": expected, "test": expected}
    assert not judgement.collapsed
