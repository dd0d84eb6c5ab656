"""Promises compared with test folds: counts, rates, verdicts, and the pages made of them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.calibration import IDENTITY
from dandelion.decision.evidence import Evidence
from dandelion.decision.operating_points import Constraint
from study import plots, rendering, storage
from study.baselines import BASELINES
from study.baselines import runs as baseline_runs
from study.decisions import calibrations, high_precision, kept, promises, run
from study.decisions.folds import ScoredFold, pooled
from study.decisions.high_precision import recall_at_precision
from study.intervals import exact
from study.pages import calibration as calibration_page
from study.pages import decisions as decisions_page
from study.rates import rate_of
from study.schema.decisions import (
    Bin,
    CalibratedVariant,
    CalibrationReport,
    CurvePoint,
    Decisions,
    ModelDecisions,
    PointStudy,
    Quality,
    RecallAtPrecision,
    SeedPoint,
    SourceCounts,
)
from study.schema.transfer import Interval
from training.data import datasets
from training.data.datasets import Source
from training.errors import ConfigurationError

from .conftest import one_by_one
from .test_plots import words

pytestmark = pytest.mark.slow

SMS = SourceCounts("sms", positives=100, flagged_positives=80, negatives=1000, flagged_negatives=5)
TALK = SourceCounts("talk", positives=0, flagged_positives=0, negatives=400, flagged_negatives=20)


def test_a_constraint_is_compared_at_its_worst_source() -> None:
    found = kept.judge(Constraint("fpr", 0.01), [SMS, TALK], ["sms", "talk"], None)
    assert found is not None
    assert (found.source, found.found.value, found.broken) == ("talk", 0.05, True)
    assert found.clearly_broken
    found = kept.judge(Constraint("fpr", 0.01), [SMS, TALK], ["sms"], None)
    assert found is not None
    assert (found.source, found.broken, found.clearly_broken) == ("sms", False, False)


def test_an_estimate_just_beyond_the_bound_is_not_clearly_beyond() -> None:
    found = kept.judge(Constraint("fpr", 0.004), [SMS], ["sms"], None)
    assert found is not None
    assert (found.broken, found.clearly_broken) == (True, False)
    found = kept.judge(Constraint("recall", 0.81), [SMS], ["sms"], None)
    assert found is not None
    assert (found.broken, found.clearly_broken) == (True, False)
    found = kept.judge(Constraint("recall", 0.9), [SMS], ["sms"], None)
    assert found is not None
    assert (found.broken, found.clearly_broken) == (True, True)


def test_sources_without_the_texts_of_a_constraint_are_left_out() -> None:
    found = kept.judge(Constraint("recall", 0.7), [SMS, TALK], ["sms", "talk"], None)
    assert found is not None
    assert (found.source, found.broken) == ("sms", False)
    assert kept.judge(Constraint("recall", 0.7), [TALK], ["talk"], None) is None


def test_precision_and_alerts_at_a_prior() -> None:
    assert rate_of("precision", SMS, None).value == 80 / 85
    assert rate_of("rate", SMS, None).value == 85 / 1100
    at = rate_of("precision", SMS, 0.01)
    assert at.value == pytest.approx(0.01 * 0.8 / (0.01 * 0.8 + 0.99 * 0.005))
    (recall_low, recall_high), (fpr_low, fpr_high) = exact(80, 100, 0.025), exact(5, 1000, 0.025)
    assert at.low == pytest.approx(0.01 * recall_low / (0.01 * recall_low + 0.99 * fpr_high))
    assert at.high == pytest.approx(0.01 * recall_high / (0.01 * recall_high + 0.99 * fpr_low))
    assert rate_of("rate", SMS, 0.01).value == pytest.approx(0.01 * 0.8 + 0.99 * 0.005)


def test_what_chance_alone_does_to_a_test_fold() -> None:
    constraint = Constraint("fpr", 0.01)
    counts = [SourceCounts("sms", 0, 0, 100, 0)]

    def at(rate: float) -> float | None:
        before = [SourceCounts("sms", 0, 0, 1000, round(1000 * rate))]
        return kept.chance([(constraint, ["sms"])], before, counts, None)

    # P(X ≥ 2) of 100 texts, for rates of 0, .01 and .5.
    assert (at(0.0), at(0.5)) == (0.0, 1.0)
    assert at(0.01) == pytest.approx(0.264, abs=0.04)
    assert kept.chance([], counts, counts, None) is None
    precision = Constraint("precision", 0.6)
    seen = kept.chance([(precision, ["sms"])], [SMS], [SMS], 0.01)
    assert seen is not None
    assert 0.3 < seen < 0.6  # the precision at 1 % is .62 out of fold


def test_evidence_is_counted_as_a_threshold_flags_it() -> None:
    logits = np.array([-20.0, 0.99, 1.0, 1.0, 20.0])
    labels, origins = np.array([0, 0, 0, 1, 1]), np.zeros(5, dtype=np.int64)
    evidence = Evidence.of(logits, labels, origins, ["sms"])
    assert promises.counts_of(evidence, 1.0) == [SourceCounts("sms", 2, 2, 3, 1)]
    assert promises.counts_of(evidence, 1.05) == [SourceCounts("sms", 2, 1, 3, 0)]
    assert promises.counts_of(evidence) == [SourceCounts("sms", 2, 0, 3, 0)]


def test_half_the_limits() -> None:
    assert promises.halved("fpr<=0.01[a],recall>=0.8@prior=0.02") == (
        "fpr<=0.005[a],recall>=0.9@prior=0.02"
    )
    assert promises.halved("macro_f1") is None


def fold(groups: list[int], logits: list[float]) -> ScoredFold:
    count = len(groups)
    return ScoredFold(
        np.array([number % 2 for number in groups]),
        np.zeros(count, dtype=np.int64),
        ("sms", "templates"),
        np.array(groups),
        np.array(logits, dtype=np.float32),
    )


def test_a_group_in_several_test_folds_is_counted_in_the_first() -> None:
    first, second = fold([0, 1, 2], [1.0, 1.0, -1.0]), fold([1, 2, 3], [-1.0, 1.0, 0.5])
    assert first.counts(0.0) == [SourceCounts("sms", 1, 1, 2, 1)]
    assert pooled([(first, 0.0), (second, 0.5)]) == [SourceCounts("sms", 2, 2, 2, 1)]
    assert pooled([(second, 0.5), (first, 0.0)]) == [SourceCounts("sms", 2, 1, 2, 2)]


@given(
    st.lists(st.tuples(st.booleans(), st.integers(0, 5)), min_size=1).filter(
        lambda texts: any(label for label, _ in texts)
    )
)
def test_recall_at_precision_is_the_best_of_all_thresholds(texts: list[tuple[bool, int]]) -> None:
    labels = np.array([int(label) for label, _ in texts])
    scores = np.array([score for _, score in texts], dtype=np.float32)
    best = 0.0
    for threshold in set(scores.tolist()):
        flagged = labels[scores >= threshold]
        if flagged.mean() >= 0.75:
            best = max(best, flagged.sum() / labels.sum())
    assert recall_at_precision(labels, scores, 0.75) == pytest.approx(best)


def seed_point(seed: int, *, alarms: int, bound: float = 0.01) -> SeedPoint:
    counts = [replace(SMS, flagged_negatives=alarms)]
    found = kept.judge(Constraint("fpr", bound), counts, ["sms"], None)
    assert found is not None
    return SeedPoint(seed, 0.91234, True, None, None, 0.8, 0.005, 0.25, [found], counts)


def curve_point(at: float) -> CurvePoint:
    return CurvePoint(
        at, Interval(1 - at, 0.0, 1.0), Interval(1e-3 / at, 1e-4, 0.9), (0.0, 1.0), (1e-4, 0.9)
    )


def model_decisions() -> ModelDecisions:
    infeasible = SeedPoint(0, None, False, 0.916, 40_000, None, None, None, [], [])
    points = [seed_point(0, alarms=5), seed_point(1, alarms=12), seed_point(2, alarms=40)]
    default = PointStudy("fpr<=0.01[ordinary]", None, points, points[0].kept, [SMS, TALK])
    return ModelDecisions(
        model="spam",
        variant="squared_hinge-wide",
        default=default.point,
        seeds=[0, 1, 2],
        groups={"ordinary": ["sms"], "moderated": ["talk"]},
        evidence=[SMS, TALK],
        curve=[curve_point(at) for at in (0.05, 0.1, 0.5, 0.9)],
        points=[
            default,
            PointStudy("precision>=0.99@prior=0.01", None, [infeasible] * 3, [], []),
        ],
        at_precision=[RecallAtPrecision("dice-wide", "ours", 6, 0.99, [0.7, 0.8])],
    )


def test_the_page_says_what_is_promised_kept_and_infeasible() -> None:
    page = decisions_page.page(model_decisions())
    assert "| `fpr<=0.01[ordinary]` | 0.9123 | 80.0 % |" in page
    assert "fpr ≤ 0.01: .0050 (.0016–.0116), sms | 3 | 2 | 0.8 | 1 | 0 |" in page
    assert "| `precision>=0.99@prior=0.01` |  |  |  | 3 |  |  |  | 3 |" in page
    assert "(0.916 at best, 40,000 texts would do)" in page
    # 10,000 messages at 1 %: 80 positive ones found, 49.5 false alarms in ordinary talk.
    assert "| 1 % | 130 (" in page
    assert "61.8 % (" in page
    assert "| Dice, wide | 6 | .7500 | .7000–.8000 | 2 |" in page


def test_the_results_page_sums_up_the_default_points() -> None:
    table = decisions_page.summary(Decisions([model_decisions()]))
    line = "| [Spam](decisions-spam.md) | `fpr<=0.01[ordinary]` | 3 | 2 | 0.8 | 1 | 0 |"
    assert line in table


def test_pages_and_plots_are_made_of_the_stored_figures(tmp_path: Path) -> None:
    stored = Decisions([model_decisions()])
    storage.write(stored, tmp_path / rendering.DECISIONS_FILE)
    assert storage.read(Decisions, tmp_path / rendering.DECISIONS_FILE) == stored
    plot, page = rendering.decisions_pages(tmp_path)
    assert {"recall", "harmless texts flagged", "0.1 %", "20 %"} <= set(words(plot.read_bytes()))
    assert page.name == "decisions-spam.md"


def variant(name: str, *, served: bool) -> CalibratedVariant:
    before, after = Quality(0.1, 0.2, 0.3), Quality(0.09, 0.01, 0.25)
    dots = [Bin(0.1, Interval(0.2, 0.1, 0.3)), Bin(0.9, Interval(0.7, 0.6, 0.8))]
    return CalibratedVariant(
        model="spam",
        variant=name,
        loss=name,
        served=served,
        seeds=[0, 1],
        method=["platt", "beta"],
        fitted_on="out_of_fold",
        before=before,
        after=after,
        before_as_is=before,
        after_as_is=after,
        diagram_before=dots,
        diagram_after=dots,
    )


def test_the_calibration_page_shows_every_variant(tmp_path: Path) -> None:
    stored = CalibrationReport([variant("dice", served=False), variant("mse", served=True)])
    page = calibration_page.page(stored)
    assert "| **MSE** | out of fold | platt × 1, beta × 1 | .1000 → .0900 | .2000 → .0100 |" in page
    assert "Spam (MSE): ECE .2000 before, .0100 after" in page
    assert "lower the log loss of 2 of 2 variants" in page.replace("\n", " ")
    storage.write(stored, tmp_path / rendering.CALIBRATION_FILE)
    plot, _ = rendering.calibration_page(tmp_path)
    assert {"Dice", "MSE", "before", "after"} <= set(words(plot.read_bytes()))


def test_a_reliability_diagram_draws_intervals() -> None:
    def figure(low: float) -> bytes:
        return plots.reliability("Spam", {"MSE": {"before": [(0.2, plots.Point(0.4, low, 0.5))]}})

    assert figure(0.3) == figure(0.3) != figure(0.2)


@pytest.fixture
def project(
    tiny: Source, in_this_process: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A project whose model, ``tiny``, is served by a variant with folds."""
    configs, artifact = tmp_path / "configs" / "tiny", tmp_path / "artifacts" / "tiny" / "folded"
    configs.mkdir(parents=True)
    artifact.mkdir(parents=True)
    short = 'loss = "mse"\nepochs = 1\nhidden = 8\nbatch_size = 64\nextra_words = 20\n'
    (configs / "mse.toml").write_text(short)
    (configs / "folded.toml").write_text(f'{short}operating_point = "fpr<=0.3"\n')
    (artifact / "model.json").touch()
    (artifact.parent.parent / "serving.toml").write_text('[models]\ntiny = "folded"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(datasets, "SOURCES", {"tiny": tiny})
    monkeypatch.setattr(run, "SEEDS", {"tiny": 2})
    monkeypatch.setattr(promises, "POINTS", ("macro_f1", "precision>=0.9@prior=0.01"))
    monkeypatch.setattr(high_precision, "BASELINES", list(BASELINES)[:1])
    monkeypatch.setattr(baseline_runs, "run_parallel", one_by_one)
    return tmp_path


def test_the_whole_procedure_on_two_seeds(project: Path) -> None:
    run.write_promises(project, baselines=True)
    (found,) = storage.read(Decisions, project / rendering.DECISIONS_FILE).models
    assert (found.model, found.variant, found.default) == ("tiny", "folded", "fpr<=0.3")
    default = found.points[0]
    assert [one.seed for one in default.seeds] == found.seeds == [0, 1]
    (evidence,), (first, second) = found.evidence, (one.counts[0] for one in default.seeds)
    assert evidence.negatives > 6 * first.negatives
    (total,) = default.counts
    assert max(first.negatives, second.negatives) <= total.negatives
    assert total.negatives < first.negatives + second.negatives + 1
    (kept_,) = default.kept
    assert kept_.found.value == total.flagged_negatives / total.negatives
    impossible = next(one for one in found.points if one.point == "precision>=0.9@prior=0.01")
    assert [one.threshold for one in impossible.seeds] == [None, None]
    assert [(one.kind, len(one.per_seed)) for one in found.at_precision] == [
        ("ours", 2),
        ("baseline", 2),
    ]
    before = (project / "decisions-tiny.md").read_text()
    run.write_promises(project)  # nothing is fitted again, and what was compared stays
    assert (project / "decisions-tiny.md").read_text() == before


def test_calibration_of_every_variant(project: Path) -> None:
    run.write_calibration(project, seeds=1)
    served, other = storage.read(CalibrationReport, project / "calibration.json").variants
    assert (served.variant, served.served, served.fitted_on) == ("folded", True, "out_of_fold")
    assert (other.variant, other.served, other.fitted_on) == ("mse", False, "validation")
    for one in (served, other):
        scores = [each.score for each in one.diagram_after]
        assert scores == sorted(scores)
    assert served.after.log_loss < served.before.log_loss


def test_an_unknown_model_is_refused(project: Path) -> None:
    with pytest.raises(ConfigurationError, match="choose from tiny"):
        run.write_promises(project, "spam")
    with pytest.raises(ConfigurationError, match="there is no configuration of it"):
        run.write_calibration(project, "spam")


def test_probabilities_are_judged_at_equal_weights_of_the_labels() -> None:
    labels, logits = np.array([0, 0, 0, 1]), np.zeros(4, dtype=np.float32)
    at_half = calibrations.judged(labels, logits, IDENTITY, balanced=True)
    assert at_half.quality == Quality(0.25, 0.0, pytest.approx(np.log(2)))
    as_it_is = calibrations.judged(labels, logits, IDENTITY, balanced=False)
    assert as_it_is.quality.ece == pytest.approx(0.25)
    shares = np.array([0.75, 0.25])
    corrected = calibrations.judged(labels, logits, IDENTITY, shares, balanced=False)
    assert corrected.quality.ece == pytest.approx(0)
    three = np.log(np.array([[0.5, 0.3, 0.2], [0.2, 0.5, 0.3], [0.5, 0.2, 0.3]]))
    of_three = calibrations.judged(np.arange(3), three, IDENTITY, balanced=True)
    assert of_three.quality.log_loss == pytest.approx(-np.log([0.5, 0.5, 0.3]).mean())
    assert of_three.quality.brier == pytest.approx((0.38 + 0.38 + 0.25 + 0.04 + 0.49) / 3)
    assert [one.score for one in of_three.bins] == pytest.approx([0.5] * len(of_three.bins))
