"""Thresholds fitted to operating points."""

import json
import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dandelion.decision import evidence as evidence_file
from dandelion.decision.criteria import DRAWS
from dandelion.decision.evidence import CELLS, GRID, Evidence, flagged
from dandelion.decision.operating_points import (
    Constraint,
    FittedPoint,
    InfeasibleError,
    OperatingPoint,
    OperatingPointError,
    curve,
    fit,
    parse,
    positions,
)


def normal(negatives: int, positives: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = np.concatenate([rng.normal(-6, 1.2, negatives), rng.normal(3, 2.2, positives)])
    return logits, np.repeat([0, 1], [negatives, positives])


@pytest.fixture(scope="module")
def evidence() -> Evidence:
    logits, labels = normal(4501, 604)
    return Evidence.of(logits, labels, np.zeros_like(labels), ["messages"])


@pytest.fixture(scope="module")
def two_sources() -> Evidence:
    logits, labels = normal(4000, 900)
    origins = np.arange(len(labels)) % 4 % 3 % 2  # a third as many of the second
    logits = logits + 0.4 * origins * (labels == 0)
    facts = {"groups": {"ordinary": ("calm",), "all": ("calm", "rude")}}
    return Evidence.of(logits, labels, origins, ["calm", "rude"], **facts)


def table(fitted: FittedPoint, evidence: Evidence, where: str | None = None) -> np.ndarray:
    """Return flagged harmless, flagged positive, harmless, positive texts."""
    counts = evidence.total(where)
    at = int(np.flatnonzero(fitted.logit == GRID)[0])
    return np.concatenate([flagged(counts)[:, at], counts.sum(axis=1)])


def above(fitted: FittedPoint, steps: int) -> FittedPoint:
    """Return the point with another threshold, and nothing else changed."""
    at = int(np.flatnonzero(fitted.logit == GRID)[0])
    return FittedPoint(
        **{name: getattr(fitted, name) for name in FittedPoint.__slots__}
        | {"logit": float(GRID[at + steps])}
    )


def fpr_bound(fitted: FittedPoint, evidence: Evidence, error: float = 0.05) -> float:
    alarms, _, harmless, _ = table(fitted, evidence)
    return float(stats.beta.isf(error, alarms + 1, harmless - alarms))


def recall_bound(fitted: FittedPoint, evidence: Evidence, error: float = 0.05) -> float:
    _, found, _, positive = table(fitted, evidence)
    return float(stats.beta.ppf(error, found, positive - found + 1)) if found else 0.0


def precision_bound(fitted: FittedPoint, evidence: Evidence) -> float:
    alarms, found, _, _ = table(fitted, evidence)
    return float(stats.beta.ppf(0.05, found, alarms + 1))


def precision_at_prior(fitted: FittedPoint, evidence: Evidence) -> float:
    fpr, recall = (bound(fitted, evidence, 0.025) for bound in (fpr_bound, recall_bound))
    return 0.01 * recall / (0.01 * recall + 0.99 * fpr)


def rate_at_prior(fitted: FittedPoint, evidence: Evidence) -> float:
    alarms, found, harmless, positive = table(fitted, evidence)
    fpr = stats.beta.isf(0.025, alarms + 1, harmless - alarms)
    recall = stats.beta.isf(0.025, found + 1, positive - found)
    return float(0.01 * recall + 0.99 * fpr)


def rate_bound(fitted: FittedPoint, evidence: Evidence) -> float:
    alarms, found, harmless, positive = table(fitted, evidence)
    flags, texts = alarms + found, harmless + positive
    return float(stats.beta.isf(0.05, flags + 1, texts - flags))


@pytest.mark.parametrize(
    ("point", "bound", "steps"),
    [
        ("fpr<=0.005", fpr_bound, -1),
        ("rate<=0.13", rate_bound, -1),
        ("rate<=0.02@prior=0.01", rate_at_prior, -1),
        ("precision>=0.95", precision_bound, -1),
        ("precision>=0.9@prior=0.01", precision_at_prior, -1),
        ("recall>=0.9", recall_bound, 1),
    ],
)
def test_the_threshold_is_the_last_one_whose_bound_is_kept(
    evidence: Evidence, point: str, bound: Callable[..., float], steps: int
) -> None:
    fitted = fit(point, evidence)
    limit = parse(point).constraints[0]
    kept, next_one = (bound(one, evidence) for one in (fitted, above(fitted, steps)))
    sign = 1 if limit.is_minimum else -1
    assert sign * kept >= sign * limit.bound > sign * next_one
    assert fitted.point == point
    assert fitted.promised
    assert fitted.kept[0].bound == pytest.approx(kept, rel=1e-8)
    assert fitted.kept[0].source == "messages"


def test_facts_are_those_of_the_counts(evidence: Evidence) -> None:
    fitted = fit("fpr<=0.005", evidence, prior=0.02)
    alarms, found, harmless, positive = table(fitted, evidence)
    assert (fitted.negatives, fitted.positives, fitted.prior) == (harmless, positive, 0.02)
    assert fitted.recall.estimate == pytest.approx(found / positive)
    assert fitted.fpr.estimate == pytest.approx(alarms / harmless)
    interval = stats.binomtest(int(alarms), int(harmless)).proportion_ci(0.95, "exact")
    assert (fitted.fpr.lower, fitted.fpr.upper) == pytest.approx((interval.low, interval.high))
    hits, false = 0.02 * found / positive, 0.98 * alarms / harmless
    assert fitted.precision.estimate == pytest.approx(hits / (hits + false))
    assert fitted.rate.estimate == pytest.approx(hits + false)
    assert fitted.precision.lower < fitted.precision.estimate < fitted.precision.upper
    own = fit("fpr<=0.005", evidence)
    assert own.prior == pytest.approx(positive / (harmless + positive))
    assert own.precision.estimate == pytest.approx(found / (found + alarms))


def test_a_prior_of_the_point_precedes(evidence: Evidence) -> None:
    assert fit("precision>=0.9@prior=0.1", evidence, prior=0.01).prior == 0.1
    without = fit("precision>=0.9", evidence, prior=0.01)
    assert without.logit == fit("precision>=0.9@prior=0.01", evidence).logit
    assert without.logit > fit("precision>=0.9", evidence).logit


def test_several_sources_are_about_the_worst(two_sources: Evidence) -> None:
    worst = fit("fpr<=0.01", two_sources)
    each = [fit(f"fpr<=0.01[{where}]", two_sources).logit for where in ("calm", "rude")]
    assert worst.logit == max(each)
    assert worst.kept[0].source == "rude"
    assert fit("fpr<=0.01[ordinary]", two_sources).logit == each[0]
    recall = fit("recall>=0.9", two_sources)
    each = [fit(f"recall>=0.9[{where}]", two_sources).logit for where in ("calm", "rude")]
    assert recall.logit == min(each)


def test_a_source_without_texts_of_the_class_is_skipped(two_sources: Evidence) -> None:
    calm = two_sources.counts["calm"]
    harmless = np.stack([two_sources.counts["rude"][0], np.zeros(CELLS, dtype=np.int64)])
    mixed = Evidence({"calm": calm, "rude": harmless})
    assert fit("recall>=0.9", mixed).logit == fit("recall>=0.9", Evidence({"calm": calm})).logit
    with pytest.raises(OperatingPointError, match="no texts that constraint 2 is about"):
        fit("recall>=0.9[calm],recall>=0.9[rude]", mixed)


def test_constraints_meet_where_all_are_kept(two_sources: Evidence) -> None:
    parts = ("fpr<=0.01[ordinary]", "fpr<=0.02[rude]", "recall>=0.8")
    logits = [fit(part, two_sources).logit for part in parts]
    joint = fit(",".join(parts), two_sources)
    assert joint.logit == max(logits[:2]) < logits[2]
    assert [kept.constraint for kept in joint.kept] == list(parts)


def test_unknown_sources_are_refused_without_an_echo(two_sources: Evidence) -> None:
    with pytest.raises(OperatingPointError, match=r"expected one of: ordinary, all, calm, rude$"):
        fit("fpr<=0.1[nowhere]", two_sources)


def test_withheld_promises_are_not_made(evidence: Evidence) -> None:
    withheld = fit("fpr<=0.005", Evidence(evidence.counts, promises=False))
    assert not withheld.promised
    assert withheld.logit == fit("fpr<=0.005", evidence).logit


def test_weights_make_a_mixture(two_sources: Evidence) -> None:
    alone = {"calm": two_sources.counts["calm"]}
    one = fit("fpr<=0.01", Evidence(alone, weights={"calm": 7.0}))
    assert one.logit >= fit("fpr<=0.01", Evidence(alone)).logit
    for weights in ({"calm": 1.0, "rude": 50.0}, {"calm": 50.0, "rude": 1.0}):
        mixture = fit("fpr<=0.02", Evidence(two_sources.counts, weights=weights))
        fpr = {
            source: table(mixture, two_sources, source)[[0, 2]] * weight
            for source, weight in weights.items()
        }
        alarms, harmless = sum(fpr.values())
        assert mixture.fpr.estimate == pytest.approx(alarms / harmless)
        assert mixture.fpr.estimate < mixture.kept[0].bound <= 0.02
        assert mixture.kept[0].source is None


def test_a_band_says_what_a_threshold_cannot_flag() -> None:
    logits, labels = normal(4000, 900)
    origins = (logits >= -3).astype(np.int64)
    facts = {"weights": {"low": 1000.0, "high": 1.0}}
    without = Evidence.of(logits, labels, origins, ["low", "high"], **facts)
    bands = {"low": (-1e9, -3.0), "high": (-3.0, 1e9)}
    banded = Evidence.of(logits, labels, origins, ["low", "high"], bands=bands, **facts)
    with pytest.raises(InfeasibleError):
        fit("fpr<=0.0005", without)
    assert fit("fpr<=0.0005", banded).logit >= -3
    assert (
        evidence_file.from_json(json.loads(json.dumps(evidence_file.to_json(banded)))).bands
        == bands
    )


# What the criteria are, one threshold at a time.
def f1(hits: float, false: float, missed: float) -> float:
    return 2 * hits / (2 * hits + false + missed)


@pytest.mark.parametrize("prior", [None, 0.01])
@pytest.mark.parametrize("point", ["macro_f1", "f1", "cost(fp=1,fn=20)"])
def test_criteria_are_best_on_the_pooled_counts(
    two_sources: Evidence, point: str, prior: float | None
) -> None:
    fitted = fit(point, two_sources, prior=prior)
    counts = two_sources.total()
    alarms, found = flagged(counts) / counts.sum(axis=1, keepdims=True)
    share = counts[1].sum() / counts.sum() if prior is None else prior
    values = []
    for fpr, recall in zip(alarms, found, strict=True):
        hits, false, missed = share * recall, (1 - share) * fpr, share * (1 - recall)
        passed = (1 - share) * (1 - fpr)
        values.append(
            {
                "macro_f1": (f1(hits, false, missed) + f1(passed, false, missed)) / 2,
                "f1": f1(hits, false, missed),
            }.get(point, -false - 20 * missed)
        )
    at = int(np.flatnonzero(fitted.logit == GRID)[0])
    assert values[at] == pytest.approx(max(values))
    assert fitted.value is not None
    assert abs(fitted.value.estimate) == pytest.approx(abs(values[at]))
    assert fitted.value.lower <= fitted.value.estimate <= fitted.value.upper
    assert not fitted.promised
    assert fitted.plateau is not None
    assert fitted.plateau[0] <= fitted.logit <= fitted.plateau[1]
    assert fit(point, two_sources, prior=prior) == fitted


def test_of_equal_thresholds_the_middle_of_the_widest_run_is_chosen() -> None:
    logits, labels = np.array([-9.0, -5.0, -4.0, 4.0]), np.array([0, 1, 0, 1])
    origins = np.zeros(4, dtype=np.int64)
    # One error above −5 (to −9) or above −4 (to 4): the second is wider.
    fitted = fit("f1", Evidence.of(logits, labels, origins, ["all"]))
    assert fitted.logit == pytest.approx(-7, abs=0.06) or fitted.logit == pytest.approx(0, abs=0.06)
    separable = Evidence.of(np.array([-2.0, 6.0]), np.array([0, 1]), origins[:2], ["all"])
    assert fit("macro_f1", separable).logit == pytest.approx(2, abs=0.06)


def test_a_criterion_takes_less_memory_than_the_draws_of_all_sources() -> None:
    logits, labels = normal(2000, 500)
    names = [str(number) for number in range(32)]
    evidence = Evidence.of(logits, labels, np.arange(len(labels)) % len(names), names)
    tracemalloc.start()
    fit("f1", evidence)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    of_all = len(names) * DRAWS * 2 * CELLS * np.dtype(np.int64).itemsize
    assert peak < of_all / 2


def test_one_class_alone_meets_no_criterion(evidence: Evidence) -> None:
    counts = evidence.counts["messages"] * np.array([[1], [0]])
    with pytest.raises(OperatingPointError, match="one class alone"):
        fit("macro_f1", Evidence({"messages": counts}))


@pytest.mark.parametrize("facts", [{"prior": 0.0}, {"prior": 1.0}, {"confidence": 0.3}])
def test_numbers_out_of_range_are_refused(evidence: Evidence, facts: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="expected a number"):
        fit("fpr<=0.1", evidence, **facts)


def test_a_point_made_in_python_is_checked(evidence: Evidence) -> None:
    with pytest.raises(OperatingPointError, match="a number between 0 and 1"):
        fit(OperatingPoint((Constraint("fpr", 2.0),)), evidence)


COUNTS = st.lists(st.integers(0, 60), min_size=24, max_size=24)


@settings(max_examples=30)
@given(
    COUNTS,
    COUNTS,
    st.sampled_from(
        [
            "fpr<=0.1",
            "recall>=0.8",
            "precision>=0.7",
            "precision>=0.5@prior=0.2",
            "rate<=0.5",
            "rate<=0.3@prior=0.2",
            "fpr<=0.3,recall>=0.5",
        ]
    ),
)
def test_batches_of_counts_give_what_single_ones_give(
    first: list[int], second: list[int], point: str
) -> None:
    tables = np.zeros((2, 2, CELLS), dtype=np.int64)
    tables[:, :, 100:580:40] = np.array([first, second]).reshape(2, 2, 12)
    tables[:, 0, 40] += 1
    tables[:, 1, 599] += 1
    found = positions(parse(point), Evidence({"all": tables}), None)
    for one, position in zip(tables, found, strict=True):
        try:
            fitted = fit(point, Evidence({"all": one}))
        except InfeasibleError:
            assert position == -1
        else:
            assert fitted.logit == GRID[position]


def test_a_curve_is_of_the_whole_grid(evidence: Evidence) -> None:
    points = curve(evidence, prior=0.01, points=50)
    assert len(points) == 50
    logits = [point.logit for point in points]
    assert logits == sorted(set(logits))
    assert points[0].recall.estimate == points[0].fpr.estimate == 1
    assert points[-1].recall.estimate > 0
    for point in points:
        alarms, found, harmless, positive = table(point, evidence)
        assert point.recall.estimate == found / positive
        assert point.fpr.estimate == alarms / harmless
        assert point.prior == 0.01
        assert point.band is not None
        for pointwise, band in ((point.recall, point.band.recall), (point.fpr, point.band.fpr)):
            assert band.lower <= pointwise.lower <= pointwise.estimate
            assert pointwise.estimate <= pointwise.upper <= band.upper
    assert max(len(curve(evidence, points=200)), len(curve(evidence))) <= 200
    with pytest.raises(ValueError, match="at least 2"):
        curve(evidence, points=1)
