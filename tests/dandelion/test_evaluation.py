"""Evaluation on labelled texts, whose truth is known because it is simulated."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from dandelion import Classifier
from dandelion.decision.evidence import GRID, MIN_WEIGHT, cells
from dandelion.decision.operating_points import OperatingPointError, at
from dandelion.evaluation import LEAST_TO_CALIBRATE, Evaluation, evaluate, evaluate_scored
from dandelion.labelled import EvaluationError, ScoredTexts, score_texts
from dandelion.sampling import draw, stratum_name
from dandelion.verdicts import LEAST_IN_SLICE, MAX_SLICES, OTHERS

from .examples import THREE, make_artifact
from .simulated import SLOPE, deciding_artifact, labels, texts


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(deciding_artifact())


def traffic(classifier: Classifier, count: int, seed: int = 1) -> tuple[list[str], list[int]]:
    found = texts(count, seed)
    return found, labels(classifier.logits(found), seed).tolist()


@pytest.fixture(scope="module")
def whole(classifier: Classifier) -> Evaluation:
    found, truth = traffic(classifier, 1500)
    points = ["fpr<=0.05", "precision>=0.999", "macro_f1"]
    return evaluate(classifier, found, truth, points=points)


def test_counts_are_those_of_the_texts(classifier: Classifier, whole: Evaluation) -> None:
    found, truth = traffic(classifier, 1500)
    assert whole.counted == (1500 - sum(truth), sum(truth))
    assert (whole.texts, whole.copies, whole.contradictions) == (1500, 0, 0)
    assert whole.prior == pytest.approx(np.mean(truth))
    # Of the artifact's threshold, the next grid point above.
    boundary = GRID[np.searchsorted(GRID, classifier.basis().boundary)]
    flagged = classifier.logits(found) >= boundary
    positive = np.array(truth) == 1
    default = whole.shipped[0]
    assert default.found is not None
    assert default.found.recall.estimate == pytest.approx(flagged[positive].mean())
    assert default.found.fpr.estimate == pytest.approx(flagged[~positive].mean())
    assert default.found.rate.estimate == pytest.approx(flagged.mean())


def test_texts_scored_in_parts_are_evaluated_alike(
    classifier: Classifier, whole: Evaluation
) -> None:
    found, truth = traffic(classifier, 1500)
    parts = [score_texts(classifier, found[start : start + 400]) for start in range(0, 1500, 400)]
    scored = ScoredTexts(
        np.concatenate([part.logits for part in parts]),
        [key for part in parts for key in part.copies],
        [digest for part in parts for digest in part.digests],
    )
    again = evaluate_scored(
        classifier, scored, truth, points=["fpr<=0.05", "precision>=0.999", "macro_f1"]
    )
    for name in ("auroc", "shipped", "wanted", "curve", "calibration"):
        assert getattr(again, name) == getattr(whole, name)


def test_of_near_copies_the_one_with_the_lowest_digest_counts(classifier: Classifier) -> None:
    scored = ScoredTexts(np.array([3.0, -3.0, 1.0]), ["a", "a", "b"], ["1", "0", "2"])
    (counts,) = evaluate_scored(classifier, scored, [1, 1, 0]).evidence.counts.values()
    assert np.flatnonzero(counts[1]).tolist() == cells(np.array([-3.0])).tolist()


def test_points_hold_where_the_traffic_is_like_the_evidence(whole: Evaluation) -> None:
    assert whole.shipped[0].point == "default fpr<=0.05"
    verdicts = {one.constraint: one.verdict for point in whole.shipped for one in point.constraints}
    assert set(verdicts) == {"fpr<=0.05", "fpr<=0.01", "recall>=0.9"}
    assert "broken" not in verdicts.values()
    assert "cannot be promised" in whole.shipped[-1].problem


def test_points_break_where_harmless_texts_score_higher(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 1500)
    swapped = [1 - one if at % 3 == 0 else one for at, one in enumerate(truth)]
    broken = evaluate(classifier, found, swapped)
    verdicts = {
        one.constraint: one.verdict for point in broken.shipped for one in point.constraints
    }
    assert verdicts["recall>=0.9"] == "broken"
    assert broken.auroc is not None
    assert broken.auroc.upper < 0.8


def test_wanted_points_are_fitted_here_or_say_what_is_missing(whole: Evaluation) -> None:
    fpr, precision, f1 = whole.wanted
    assert fpr.fitted is not None
    assert fpr.fitted.promised
    assert fpr.fitted.fpr.estimate < 0.05
    assert precision.fitted is None
    assert "cannot be promised" in precision.problem
    assert f1.fitted is not None
    assert not f1.fitted.promised


def test_the_curve_answers_at_rates_of_alerts(whole: Evaluation) -> None:
    assert [point.point for point in whole.curve][-1] == "rate<=0.1"
    for point in whole.curve:
        limit = float(point.point.removeprefix("rate<="))
        assert point.rate.estimate <= limit
        lower = at(whole.evidence, point.logit - 0.05)
        assert lower.rate.estimate > limit or point.logit == GRID[0]


def test_a_calibration_that_is_off_is_fitted_again(classifier: Classifier) -> None:
    pytest.importorskip("scipy")
    found, truth = traffic(classifier, 1500)
    artifact = deciding_artifact()
    wrong = {"method": "platt", "a": 0.3, "b": 0.3, "c": -2.0}
    off = Classifier(replace(artifact, manifest=replace(artifact.manifest, calibration=wrong)))
    fitted = evaluate(off, found, truth).calibration
    assert fitted.fitted is not None
    assert fitted.fitted == fitted.in_force
    assert fitted.fitted.a == pytest.approx(SLOPE, rel=0.2)
    assert fitted.log_loss_after < fitted.log_loss_before
    kept = evaluate(classifier, found, truth).calibration
    assert kept.log_loss_before == pytest.approx(fitted.log_loss_after, abs=0.01)


@pytest.mark.parametrize(("count", "shown"), [(LEAST_TO_CALIBRATE - 1, "49 texts"), (1, "1 text")])
def test_too_few_texts_keep_the_calibration(classifier: Classifier, count: int, shown: str) -> None:
    found, truth = traffic(classifier, 1500)
    few = [at for at, one in enumerate(truth) if one][:count]
    rows = few + [at for at, one in enumerate(truth) if not one]
    chosen = evaluate(classifier, [found[row] for row in rows], [truth[row] for row in rows])
    assert chosen.calibration.fitted is None
    assert chosen.calibration.in_force == classifier.manifest.score_map
    assert f"kept: {shown} of the rarer label" in chosen.calibration.reason
    assert chosen.policy_file().calibration is None


def sampled(
    classifier: Classifier, found: list[str], count: int, seed: int = 0
) -> tuple[list[int], dict[str, Any]]:
    drawn = draw(classifier.logits(found), count, seed=seed)
    version = classifier.manifest.version
    strata = [stratum_name(version, letter) for letter in drawn.strata]
    return drawn.rows.tolist(), {"strata": strata, "weights": drawn.weights.tolist()}


def test_a_sample_estimates_the_whole(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 5000)
    rows, columns = sampled(classifier, found, 600)
    part = evaluate(
        classifier, [found[row] for row in rows], [truth[row] for row in rows], **columns
    )
    everything = evaluate(classifier, found, truth)
    assert part.is_sample
    assert part.prior == pytest.approx(everything.prior, abs=0.03)
    assert part.evidence.bands is not None
    messages = sum(
        part.evidence.weights[name] * counts.sum() for name, counts in part.evidence.counts.items()
    )
    assert messages == pytest.approx(5000)
    for logit in (-4.0, -2.5, -1.5):
        estimate, known = at(part.evidence, logit), at(everything.evidence, logit)
        for name in ("recall", "fpr", "precision", "rate"):
            interval, true = getattr(estimate, name), getattr(known, name).estimate
            assert interval.lower <= true <= interval.upper, (logit, name)


def test_strata_of_another_artifact_have_no_ends(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 1000)
    rows, columns = sampled(classifier, found, 200)
    columns["strata"] = [f"other/{one[-1]}" for one in columns["strata"]]
    part = evaluate(
        classifier, [found[row] for row in rows], [truth[row] for row in rows], **columns
    )
    assert part.evidence.bands is None


def test_unlabelled_rows_keep_their_weight_in_their_stratum(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 5000)
    rows, columns = sampled(classifier, found, 600)
    some = [truth[row] if at % 2 else None for at, row in enumerate(rows)]
    part = evaluate(classifier, [found[row] for row in rows], some, **columns)
    assert part.texts == 300
    messages = sum(
        part.evidence.weights[name] * counts.sum() for name, counts in part.evidence.counts.items()
    )
    assert messages == pytest.approx(5000)


def test_near_copies_count_once(classifier: Classifier) -> None:
    found = ["Free prize!", "free  PRIZE !", "lunch tomorrow", "free prize!!", "lunch"]
    evaluation = evaluate(classifier, found, [1, 1, 0, 0, 0])
    assert evaluation.counted == (3, 1)
    assert evaluation.copies == 1
    assert evaluation.contradictions == 0
    mixed = evaluate(classifier, ["Free prize!", "free  PRIZE !", "lunch"], [1, 0, 0])
    assert (mixed.counted, mixed.contradictions) == ((1, 1), 1)


def test_flagged_texts_alone_show_precision_and_nothing_else(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 5000)
    flagged = np.flatnonzero(classifier.logits(found) >= classifier.basis().boundary)
    appeals = evaluate(classifier, [found[row] for row in flagged], [truth[row] for row in flagged])
    assert appeals.is_flagged_only
    assert (appeals.auroc, appeals.shipped, appeals.wanted) == (None, (), ())
    expected = np.mean([truth[row] for row in flagged])
    assert appeals.curve[0].precision.estimate == pytest.approx(expected)
    with pytest.raises(EvaluationError, match="never what was missed"):
        appeals.policy_file()
    with pytest.raises(EvaluationError, match="all flagged"):
        evaluate(classifier, found, truth, points=["fpr<=0.1"], only_flagged=True)


def test_slices_with_few_texts_have_no_rate(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 1500)
    country = ["de" if at % 2 else "at" for at in range(1480)] + ["li"] * 20
    by_country = evaluate(classifier, found, truth, by={"country": country}).slices
    assert [one.value for one in by_country] == ["at", "de", "li"]
    assert sum(one.texts for one in by_country) == 1500
    assert by_country[0].recall is not None
    few = by_country[2]
    assert few.recall is None
    assert few.positives < LEAST_IN_SLICE
    many = [f"{at % (MAX_SLICES + 10)}" for at in range(1500)]
    values = [one.value for one in evaluate(classifier, found, truth, by={"user": many}).slices]
    assert len(values) == MAX_SLICES + 1
    assert OTHERS in values


def test_a_policy_file_has_what_was_found(classifier: Classifier, whole: Evaluation) -> None:
    file = whole.policy_file()
    assert file.artifact == classifier.manifest.content_hash
    assert file.texts == 1500
    assert file.evidence is whole.evidence
    assert [point.point for point in file.points] == ["fpr<=0.05", "macro_f1"]


def test_an_artifact_without_evidence_says_so() -> None:
    plain = Classifier(make_artifact(seed=0))
    found, truth = traffic(plain, 300)
    problems = [point.problem for point in evaluate(plain, found, truth).shipped]
    assert problems == ["", *["the artifact has no evidence to fit it on"] * 3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": [1]}, "'labels' has 1 values for 2 texts"),
        ({"labels": [2, 0]}, "none of 0, 1 and None"),
        ({"labels": [None, None]}, "no text has a label"),
        ({"strata": ["a", "b"]}, "strata and weights belong together"),
        ({"strata": ["a", "b"], "weights": [1, 0]}, "a weight is not a positive number"),
        ({"strata": ["a", "b"], "weights": [1, 1e-80]}, "weight is 1e-80; expected at least 1e-12"),
        ({"strata": ["a", "b"], "weights": [1, 1], "sources": ["x", "y"]}, "exclude one another"),
        ({"strata": ["a", "b"], "weights": [1, 7], "labels": [1, None]}, "no text of the stratum"),
        ({"strata": ["a", "a"], "weights": [2e12, 2e12]}, "stratum 'a' stands for 2e\\+12 texts"),
        ({"prior": 1.0}, "the prior is 1.0"),
        ({"by": {"country": ["de"]}}, "'country' has 1 values"),
    ],
)
def test_what_does_not_fit_together_is_refused(
    classifier: Classifier, change: dict[str, Any], message: str
) -> None:
    arguments = {"texts": ["free prize", "lunch"], "labels": [1, 0]} | change
    with pytest.raises(EvaluationError, match=message):
        evaluate(classifier, **arguments)


@pytest.mark.parametrize("truth", [[1, 0], [0, 1]])
def test_a_share_next_to_0_or_1_is_no_prior_for_the_artifacts_points(
    classifier: Classifier, truth: list[int]
) -> None:
    # Nothing is promised at such a prior, so the points are fitted as they were shipped.
    found = evaluate(
        classifier, ["free prize", "lunch"], truth, strata=["a", "b"], weights=[1, 2e6]
    )
    assert found.prior == pytest.approx(truth[0] / 2e6 + truth[1], rel=1e-6)
    assert [point.found is not None for point in found.shipped] == [
        point.found is not None
        for point in evaluate(classifier, ["free prize", "lunch"], [1, 1]).shipped
    ]


def test_intervals_do_not_depend_on_the_unit_of_weights(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 300)
    strata = ["a", "b", "b"] * 100
    rates = []
    for unit in (1.0, MIN_WEIGHT):
        weights = [unit if one == "a" else 7 * unit for one in strata]
        (shipped, *_) = evaluate(classifier, found, truth, strata=strata, weights=weights).shipped
        assert shipped.found is not None
        one = shipped.found
        rates.append(
            [(it.lower, it.upper) for it in (one.recall, one.fpr, one.precision, one.rate)]
        )
    np.testing.assert_allclose(*rates, rtol=1e-9)


@pytest.mark.parametrize(
    ("label", "impossible", "possible"),
    [
        (1, ["f1", "macro_f1", "fpr<=0.1", "precision>=0.5@prior=0.1"], "recall>=0.5"),
        (0, ["f1", "cost(fp=1,fn=2)", "recall>=0.9", "rate<=0.1@prior=0.1"], "fpr<=0.1"),
    ],
)
def test_points_without_texts_of_a_label_are_reported_and_the_rest_stays(
    classifier: Classifier, label: int, impossible: list[str], possible: str
) -> None:
    found, _ = traffic(classifier, 200)
    of_one = evaluate(classifier, found, [label] * 200, points=[*impossible, possible])
    *problems, fitted = of_one.wanted
    assert [one.point for one in problems] == impossible
    for one in problems:
        assert one.fitted is None
        assert one.problem.startswith("the evidence has ")
    assert fitted.fitted is not None
    assert not fitted.problem
    assert of_one.counted[label] == 200
    with pytest.raises(OperatingPointError, match="unknown source"):
        evaluate(classifier, found, [label] * 200, points=["fpr<=0.1[forum]"])


def test_columns_may_be_arrays(classifier: Classifier) -> None:
    found, truth = traffic(classifier, 60)
    half = np.array(["a", "b"] * 30)
    of_sources = evaluate(classifier, found, np.array(truth), sources=half, by={"half": half})
    assert set(of_sources.evidence.counts) == {"a", "b"}
    assert len(of_sources.slices) == 2
    weights = np.where(half == "a", 3.0, 7.0).astype(np.float32)
    of_strata = evaluate(classifier, found, np.array(truth), strata=half, weights=weights)
    assert of_strata.evidence.weights == {"a": 3.0, "b": 7.0}


def test_wrong_points_are_refused(classifier: Classifier) -> None:
    with pytest.raises(OperatingPointError):
        evaluate(classifier, ["free prize", "lunch"], [1, 0], points=["fpr<1"])
    with pytest.raises(EvaluationError, match="more than two labels"):
        evaluate(Classifier(make_artifact(labels=THREE)), ["free"], [1])
