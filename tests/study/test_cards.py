"""Model cards: what is known is on them, and what is not is said."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from dandelion.artifact import Artifact, load, save
from dandelion.decision.calibration import Calibration
from dandelion.decision.evidence import Evidence
from dandelion.decision.operating_points import fit
from dandelion.decision.policy import score_at
from dandelion.evaluation_file import CARD_FILE, EVALUATION_FILE, MAX_BYTES, read
from study import cards, storage
from study.evaluation import Studies, base_rate, evaluation_of
from study.pages import card
from study.schema.decisions import (
    CalibratedVariant,
    CalibrationReport,
    Decisions,
    Kept,
    ModelDecisions,
    PointStudy,
    Quality,
    SeedPoint,
    SourceCounts,
)
from study.schema.evaluation import Evaluation
from study.schema.results import Results, Row, SliceRow
from study.schema.robustness import (
    ChangeRow,
    Count,
    IdentityRow,
    LengthRow,
    Robustness,
    RobustVariant,
    ScorerFigures,
)
from study.schema.transfer import Interval, SourceRow, Transfer, TransferStudy

from ..dandelion.examples import THREE, make_artifact
from .builders import row_metrics

CALIBRATION = Calibration("platt", 2.0, 2.0, -1.0)
CALIBRATION_FIT = {
    "fitted_on": "out_of_fold",
    "texts": [4000, 400],
    "folds": 5,
    "log_losses": {"temperature": 0.3, "platt": 0.2},
    "before": {"log_loss": 0.5, "brier": 0.25, "ece": 0.1},
    "after": {"log_loss": 0.2, "brier": 0.125, "ece": 0.01},
}
FIGURES = {"accuracy": 0.9, "macro_f1": 0.8, "auroc": 0.95}


def held_out(harmless: int = 4000, positive: int = 400) -> Evidence:
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [harmless, positive])
    logits = rng.normal(np.where(labels, 1.5, -1.5), 1.0)
    return Evidence.of(logits, labels, 0 * labels, ["sms_spam"])


def artifact(*, old: bool = False) -> Artifact:
    """Return an artifact with everything, or one of an old format."""
    made = make_artifact(
        calibration=None if old else CALIBRATION, evidence=None if old else held_out()
    )
    rates = {"negatives": 200, "false_positive_rate": 0.01, "positives": 50, "recall": 0.8}
    manifest = replace(
        made.manifest,
        config={"about": "Tests.", "not_for": "Mail."},
        dataset={
            "name": "spam",
            "sha256": "a" * 64,
            "rows": 1000,
            "sources": [
                {"name": "sms_spam", "sha256": "b" * 64, "rows": 900, "shares": [0.9, 0.1]},
                {"name": "scam_messages", "sha256": "c" * 64, "rows": 100, "shares": [0.0, 1.0]},
            ],
        },
        split={"train": 800, "validation": 100, "test": 100, "sha256": "d" * 64},
        metrics={
            "test": {"fitted": FIGURES},
            "slices": {
                "identity terms": {
                    "texts": 60,
                    "negatives": 50,
                    "false_positive_rate": 0.25,
                    "false_negative_rate": None,
                }
            },
        },
        by_source={"test": {"sms_spam": rates, "scam_messages": rates | {"positives": 10**6}}},
        operating_point=None if old else "fpr<=0.01",
        calibration_fit=None if old else CALIBRATION_FIT,
    )
    return replace(made, manifest=manifest)


def row(auroc: list[float], *, name: str = "tiny", threshold: str = "fitted") -> Row:
    return Row(
        protocol="grouped",
        model="spam",
        kind="dan",
        name=name,
        loss="dice",
        threshold=threshold,  # type: ignore[arg-type]
        seeds=list(range(len(auroc))),
        shipped=True,
        metrics=row_metrics(auroc=auroc),
        collapsed=False,
    )


def results(*rows: Row) -> Results:
    slices = [SliceRow("spam", "tiny", "identity terms", 61.5, 51.5, 0.125, 0.5)]
    return Results(list(rows), [], [], {}, slices)


HALF = Interval(0.5, 0.4, 0.6)
ROBUSTNESS = Robustness(
    seed=0,
    corpora=[],
    groups=[],
    templates=(1, 1),
    sentences=[],
    variants=[
        RobustVariant(
            "spam",
            "tiny",
            "123456789abc",
            True,
            {},
            [
                ScorerFigures(
                    "tiny",
                    "ours",
                    0.5,
                    Count(9, 10),
                    Count(1, 10),
                    0.9,
                    0.9,
                    [ChangeRow("leet", "evasion", False, Count(3, 4), Count(1, 50), Count(1, 50))],
                    [LengthRow("talk", 5, Count(1, 400)), LengthRow("talk", 300, Count(6, 400))],
                    [IdentityRow("age", Count(1, 360), Count(200, 360), 0.91, 0.92)],
                )
            ],
            [],
        )
    ],
)


def source_row(source: str, *, recipe: str = "ours", trial: str = "tiny") -> SourceRow:
    return SourceRow(
        recipe, trial, source, source, "left out", "broader", False, 300, 0, 30, 290,
        Interval(0.75, 0.7, 0.8), 0.4, HALF, [], None,
    )  # fmt: skip


TRANSFER = Transfer(
    [
        TransferStudy(
            "spam", None, "2026-01-01", "abc", ["tiny"], ["sms_spam"], 1000, False, "nothing", [],
            [source_row("youtube_spam"), source_row("mail", recipe="fastText")], [], [], {}, None,
        )
    ]
)  # fmt: skip
KEPT = Kept("fpr", 0.01, "sms_spam", Interval(0.02, 0.01, 0.03), broken=True, clearly_broken=True)
COUNTS = [SourceCounts("sms_spam", 10, 5, 90, 0), SourceCounts("mishra_soni", 10, 10, 10, 1)]
SEED = SeedPoint(0, 0.5, True, None, None, 0.9, 0.01, 0.2, [KEPT], COUNTS)
DECISIONS = Decisions(
    [
        ModelDecisions(
            "spam", "tiny", "fpr<=0.01", [0, 1], {}, [], [],
            [
                PointStudy(
                    "fpr<=0.01",
                    None,
                    [SEED, replace(SEED, seed=1, threshold=None, kept=[], counts=[])],
                    [KEPT],
                    COUNTS,
                )
            ],
            [],
        )
    ]
)  # fmt: skip
CALIBRATIONS = CalibrationReport(
    [
        CalibratedVariant(
            "spam", "tiny", "dice", True, [0, 1], ["platt"] * 2, "out_of_fold",
            Quality(0.3, 0.2, 0.6), Quality(0.1, 0.05, 0.4), Quality(0, 0, 0), Quality(0, 0, 0),
            [], [],
        )
    ]
)  # fmt: skip
STUDIES = Studies(results(row([0.95, 0.97, 0.96])), TRANSFER, ROBUSTNESS, DECISIONS, CALIBRATIONS)


def flat(page: str) -> str:
    """Undo the line breaks, which are where a line is full."""
    return " ".join(page.split())


@pytest.fixture(scope="module")
def whole() -> Evaluation:
    return evaluation_of(artifact(), STUDIES)


def test_everything_is_on_the_card(whole: Evaluation) -> None:
    page = card.page(whole, artifact().manifest)
    for expected in (
        "# spam\n",
        "## What it is for\n\nTests.\n\n##",
        "## What it is not for\n\nMail.\n\n##",
        "queue that a person reads",
        "- to protect children",
        "than English",
        "| SMS Spam | 900 | 90 % · 10 % | CC BY 4.0, Almeida &amp; Gómez Hidalgo, UCI id 228 | `b",
        "| Scams (generated) | 100 | 0 % · 100 % | MIT, Dandelion |",
        "`configs/spam/tiny.toml`",
        "Means over seeds 0–2",
        "| AUROC | .9600 (.9",
        "| `fpr<=0.01` (default) | 0.",
        "| `macro_f1` |",
        "Fitted on 4,000 harmless and 400 positive texts",
        "| 0.1 % |",
        "| positive texts | precision ≥ 0.5 |",
        "platt, a 2.000, b 2.000, c -1.000",
        "Fitted on the out-of-fold scores of 4,400 texts",
        "temperature 0.3000, platt 0.2000",
        "| uncalibrated | .5000 | .2500 | .1000 |\n| calibrated | .2000 | .1250 | .0100 |",
        "On the test folds of seeds 0–1, means:\n\n| scores |",
        "| calibrated | .4000 | .1000 | .0500 |",
        "| `fpr<=0.01` | 1 of 2 | fpr 2.00 % (1.00–3.00) in sms_spam | 1 | 75.00 % (",
        "| youtube_spam | left out | calls more positive than the model | 300 · 30 | .7500 (.7000–",
        "Measured on version `123456789abc`.",
        "| leet | 75.0 % of 4 | 2.0 % of 50 |",
        "1.5 % of 400 are flagged at the worst length, 300 words (talk)",
        "| age | 0.3 % of 360 | 55.6 % of 360 | .9100 | .9200 |",
        "| identity terms | 62 | 52 | 12.5 % | 50.0 % |",
        "test folds of seeds 0–2, means",
        "Sources made from templates teach",
        "make cards",
    ):
        assert flat(expected) in flat(page), expected
    for absent in (
        "mail",
        "fastText",
        "Not measured",
        "None:",
        "Not known",
        "Other data",
        "\n\n\n",
    ):
        assert absent not in page


def test_what_an_old_artifact_lacks_is_said() -> None:
    one = artifact(old=True)
    page = card.page(evaluation_of(one, Studies()), one.manifest)
    for expected in (
        "## Over several seeds\n\nNot measured",
        "## Operating points\n\nNone: this artifact has no evidence",
        "(the test fold of seed 0, near copies included)",
        "## Labelled texts that a promise takes\n\nNot known",
        "## Promised and kept\n\nNot measured",
        "## Calibration\n\nNone: scores of this artifact are not calibrated",
        "## Transfer\n\nNot measured",
        "## Robustness\n\nNot measured",
        "| identity terms | 60 | 50 | 25.0 % |  |",
        "Nothing is promised about the default threshold",
    ):
        assert flat(expected) in flat(page), expected


def test_more_than_two_labels_have_no_points() -> None:
    made = make_artifact(labels=THREE)
    manifest = replace(
        made.manifest,
        config={"about": "Moods."},
        dataset={"name": "moods", "sha256": "a" * 64, "rows": 9, "shares": [0.5, 0.25, 0.25]},
        metrics={"test": {"argmax": {"macro_f1": 0.8}}},
    )
    evaluation = evaluation_of(replace(made, manifest=manifest), STUDIES)
    assert (evaluation.threshold, evaluation.at_base_rates, evaluation.points) == (None, None, [])
    page = card.page(evaluation, manifest)
    assert "Operating points" not in page
    assert "Precision at base rates" not in page
    assert "| moods | 9 | 50 % · 25 % · 25 % |  | `aaaaaaaaaaaa` |" in page


def test_points_are_those_of_the_evidence(whole: Evaluation) -> None:
    evaluation = whole
    by_name = {point.point: point for point in evaluation.points}
    expected = fit("fpr<=0.001", held_out())
    assert by_name["fpr<=0.001"].threshold == score_at(expected.logit, CALIBRATION)
    assert by_name["fpr<=0.001"].promised
    assert not by_name["macro_f1"].promised
    refused = [one for one in evaluation.needed if not one.is_promised]
    assert {one.texts is None or one.texts > 4000 for one in refused} == {True}
    assert any(one.is_promised and one.recall for one in evaluation.needed)
    at = evaluation.at_base_rates
    assert at is not None
    assert (at.basis, at.negatives, at.positives) == ("out_of_fold", 4000, 400)
    assert at.fpr.high <= 0.0125


def test_generated_texts_do_not_count_for_base_rates() -> None:
    at = evaluation_of(artifact(old=True), Studies()).at_base_rates
    assert at is not None
    assert (at.basis, at.negatives, at.positives) == ("test", 200, 50)
    assert (at.recall.value, at.fpr.value) == (0.8, 0.01)
    assert at.recall.low < 0.7
    assert at.fpr.high > 0.03


@pytest.mark.parametrize("prior", [0.001, 0.2])
def test_precision_and_alerts_at_a_base_rate(prior: float) -> None:
    found = base_rate(prior, Interval(0.5, 0.4, 0.6), Interval(0.01, 0.005, 0.02))
    messages = 1_000_000
    caught, false = messages * prior * 0.5, messages * (1 - prior) * 0.01
    assert found.precision.value == pytest.approx(caught / (caught + false))
    assert found.alerts.value == pytest.approx((caught + false) / 100)
    assert found.precision.low < found.precision.value < found.precision.high
    assert found.alerts.low < found.alerts.value < found.alerts.high


@pytest.mark.parametrize(
    ("auroc", "expected"), [([0.95, 0.9], True), ([0.96, 0.95], False), ([], None)]
)
def test_figures_of_another_fit_are_marked(auroc: list[float], expected: bool | None) -> None:
    one = artifact(old=True)
    studies = Studies(results(*([row(auroc)] if auroc else []), row([0.95, 0.9], name="other")))
    found = evaluation_of(one, studies)
    assert (found.seeds and found.seeds.of_this_artifact) == expected
    page = card.page(found, one.manifest)
    assert ("of an earlier state of this variant" in page) is (expected is False)
    # The slices over seeds are shown only where they are the artifact's.
    assert ("| identity terms | 62 |" in page) is (expected is True)


def test_perfect_figures_of_every_seed_stay_within_bounds() -> None:
    found = evaluation_of(artifact(old=True), Studies(results(row([1.0, 0.999])))).seeds
    assert found is not None
    assert found.metrics["auroc"].high == 1.0
    assert found.metrics["auroc"].low < 0.999


def test_an_evaluation_survives_its_file(whole: Evaluation, tmp_path: Path) -> None:
    storage.write(whole, tmp_path / EVALUATION_FILE)
    assert storage.read(Evaluation, tmp_path / EVALUATION_FILE) == whole
    assert len((tmp_path / EVALUATION_FILE).read_bytes()) < MAX_BYTES / 8


def test_cards_of_the_served_artifacts_are_written(tmp_path: Path) -> None:
    artifacts, stored = tmp_path / "artifacts", tmp_path / "results"
    one = artifact(old=True)
    for name in ("tiny", "other"):
        save(replace(one, manifest=replace(one.manifest, variant=name)), artifacts / "spam" / name)
    save(make_artifact(labels=THREE), artifacts / "mood" / "tiny")  # says not what it is for
    (artifacts / "serving.toml").write_text("[models]\nspam = 'tiny'\nmood = 'tiny'\n")
    stored.mkdir()
    storage.write(ROBUSTNESS, stored / "robustness.json")
    place = artifacts / "spam" / "tiny"
    before = load(place).manifest
    assert set(cards.write(artifacts, stored)) == {place / EVALUATION_FILE, place / CARD_FILE}
    assert load(place).manifest == before
    found = read(place, before)
    assert found is not None
    expected = evaluation_of(load(place), Studies(robustness=ROBUSTNESS))
    assert found == json.loads(json.dumps(asdict(expected)))
    assert storage.read(Evaluation, place / EVALUATION_FILE) == expected
    assert (place / CARD_FILE).read_text() == card.page(expected, before)
    assert found["seeds"] is None
