"""Rows and choices from finished runs: what is read from which fold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats

from dandelion.decision.threshold import fit_threshold
from study import results
from study.baselines import BaselineRun
from study.results import baseline_metrics, choose, compare, summarize, table1
from study.schema.results import Row, RowMetrics
from training.configuration import Configuration
from training.data import datasets
from training.data.splits import Protocol, Split, split
from training.experiment import Run
from training.quality.metrics import METRICS, evaluate, evaluate_classes
from training.runs import run_all

from .builders import kept


def row(name: str, values: list[float]) -> Row:
    return Row(
        protocol="grouped",
        model="spam",
        kind="dan",
        name=name,
        loss="dice",
        threshold="fitted",
        seeds=list(range(len(values))),
        shipped=True,
        metrics=RowMetrics(mcc=summarize(values)),
        collapsed=False,
    )


def test_summary() -> None:
    found = summarize([1.0, 2.0, 3.0])
    assert (found.mean, found.std, found.per_seed) == (2.0, 1.0, [1.0, 2.0, 3.0])
    assert summarize([1.0]).std is None


def test_comparison_by_hand() -> None:
    (found,) = compare(row("a", [0.9, 0.8, 0.85]), row("b", [0.8, 0.8, 0.8]))
    assert (found.a, found.b, found.metric) == ("a", "b", "mcc")
    assert found.diff == pytest.approx(0.05)
    # variance of .1, 0, .05 is .0025; times (1/3 + 1/8); t of 2 degrees of freedom
    half = stats.t.ppf(0.975, 2) * (0.0025 * (1 / 3 + 1 / 8)) ** 0.5
    assert found.ci95 == pytest.approx((0.05 - half, 0.05 + half))


def test_served_is_the_best_on_validation_whatever_the_test_fold_says() -> None:
    chosen = choose(
        {
            "better on test": [kept(test=0.9, validation=0.7), kept(test=0.9, validation=0.8)],
            "better on validation": [kept(test=0.6, validation=0.8)] * 2,
        }
    )
    assert chosen.variant == "better on validation"
    figures = chosen.validation["better on test"]
    assert figures["mean"] == pytest.approx(0.75)
    assert set(figures) == {"macro_f1", "mcc", "auroc", "average_precision", "mean"}


def test_serving_is_decided_at_the_fitted_threshold() -> None:
    run = kept(test=0.6, validation=0.8)
    run.result.metrics["validation"]["0.5"]["macro_f1"] = 0.1
    assert choose({"one": [run]}).validation["one"]["macro_f1"] == 0.8


def test_table_1_holds_the_test_fold_at_each_threshold() -> None:
    run = kept(test=0.95, validation=0.5, at={"0.5": 0.91, "fitted": 0.92})
    (found,) = table1([(("spam", "dice"), "dice", [run] * 2)])
    means = {cut: figures.accuracy.mean for cut, figures in found.ours.items()}
    assert means == pytest.approx({"0.5": 0.91, "fitted": 0.92, "fitted to accuracy": 0.95})
    assert found.ours["fitted"].f1.mean == pytest.approx(0.92)
    assert not found.collapsed


def test_a_row_of_table_1_collapsed_if_every_run_did() -> None:
    cell = ("cyberbullying", "dice")
    runs = [kept(test=0.83, collapsed=True), kept(test=0.83)]
    all_collapsed, one_collapsed = table1([(cell, "naive", runs[:1] * 2), (cell, "dice", runs)])
    assert (all_collapsed.name, all_collapsed.paper) == ("naive", results.PAPER[cell])
    assert all_collapsed.collapsed
    assert not one_collapsed.collapsed


def test_over_seeds_of_classes() -> None:
    labels = np.array([0, 1, 2, 2])
    per_seed = [
        evaluate_classes(labels, np.eye(3, dtype=np.float32)[predicted])
        for predicted in ([0, 1, 2, 2], [0, 1, 2, 0])
    ]
    found = results.over_seeds(per_seed, ("a", "b", "c"))
    assert found.per_seed("accuracy") == [1.0, 0.75]
    assert found.per_class_f1 is not None
    assert found.per_class_f1["c"].mean == pytest.approx((1 + 2 / 3) / 2)
    assert found.confusion_matrix == [[2, 0, 0], [0, 2, 0], [1, 0, 3]]
    assert found.f1 is None
    assert found.auroc is None


def baseline_run(validation: NDArray[np.float64], test: NDArray[np.float64]) -> BaselineRun:
    return BaselineRun(
        validation_scores=validation,
        test_scores=test,
        score_kind="sigmoid",
        train_seconds=1.0,
        bytes=1000,
    )


FOLDS = Split(np.arange(4), np.arange(4, 12), np.arange(12, 20))


@given(st.integers(0, 2**32 - 1))
def test_a_baselines_threshold_comes_from_validation(seed: int) -> None:
    rng = np.random.default_rng(seed)
    labels = np.tile([0, 1], 10)
    run = baseline_run(rng.random(8), rng.random(8))
    found = baseline_metrics(run, labels, FOLDS)
    threshold, _ = fit_threshold(labels[FOLDS.validation], run.validation_scores)
    test = labels[FOLDS.test]
    assert found["fitted"] == evaluate(test, run.test_scores, threshold)
    assert found["0.5"] == evaluate(test, run.test_scores, 0.5)


def test_a_threshold_that_would_suit_the_test_fold_is_not_taken() -> None:
    labels = np.tile([0, 1], 10)
    # On validation .3 parts the classes, on test .7 would; at .3 everything there is positive.
    run = baseline_run(np.tile([0.2, 0.4], 4), np.tile([0.6, 0.8], 4))
    found = baseline_metrics(run, labels, FOLDS)["fitted"]
    assert found["accuracy"] == 0.5
    assert found["f1"] == pytest.approx(2 / 3)
    assert found["auroc"] == 1


@pytest.mark.usefixtures("tiny")
def test_baseline_rows_are_of_each_seeds_own_folds() -> None:
    dataset = datasets.load("tiny")
    seeds = (3, 0)
    folds = [split(dataset, Protocol.GROUPED, seed) for seed in seeds]
    runs = [
        baseline_run(
            dataset.labels[fold.validation].astype(float), dataset.labels[fold.test].astype(float)
        )
        for fold in folds
    ]
    rows = results.baseline_rows("tiny", {"oracle": runs}, {"oracle": (5.0, 2.0)}, seeds)
    assert [(one.kind, one.name, one.threshold) for one in rows] == [
        ("peer", "oracle", "0.5"),
        ("peer", "oracle", "fitted"),
    ]
    for one in rows:
        # Right in every text of each seed's fold, and of no other seed's.
        assert one.metrics.per_seed("accuracy") == [1.0, 1.0]
        assert (one.seeds, one.us_per_text_1, one.us_per_text_256) == ([3, 0], 5.0, 2.0)


SHORT = Configuration(
    model="tiny", variant="short", loss="bce", epochs=2, hidden=8, batch_size=64, extra_words=0
)


@pytest.mark.usefixtures("tiny", "in_this_process")
def test_variant_rows_hold_the_test_fold_at_each_threshold() -> None:
    runs = run_all([Run(SHORT, Protocol.GROUPED, seed) for seed in (3, 0)], "Test")
    rows = results.variant_rows(runs, name="short", shipped=True, seeds=(3, 0), texts=["prize"])
    assert [(one.kind, one.threshold, one.seeds) for one in rows] == [
        ("dan", "0.5", [3, 0]),
        ("dan", "fitted", [3, 0]),
    ]
    for one in rows:
        for metric in METRICS:
            expected = [run.result.metrics["test"][one.threshold][metric] for run in runs]
            assert one.metrics.per_seed(metric) == expected
    validation = [run.result.metrics["validation"]["fitted"]["auroc"] for run in runs]
    assert rows[1].metrics.per_seed("auroc") != validation, "folds that differ in nothing"
    (first, second) = results.slice_rows("tiny", "short", runs)
    assert first.texts + second.texts == len(split(datasets.load("tiny"), Protocol.GROUPED, 3).test)
