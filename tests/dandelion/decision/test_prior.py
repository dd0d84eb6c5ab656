"""The share of positive texts, estimated from scores alone."""

import csv
import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dandelion import artifact as artifacts
from dandelion.artifact import Artifact
from dandelion.decision.evidence import Evidence
from dandelion.decision.prior import (
    LEAST_TEXTS,
    NotEstimableError,
    PriorEstimate,
    estimate_prior,
)
from dandelion.engines.choice import scorer
from dandelion.quantization import packed_tables

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SPAM = Path(__file__).parents[3] / "artifacts" / "spam" / "squared_hinge-wide"
DATA_DIR = Path(os.environ.get("DATA_DIR", "data"))

DRAWS = 200
SAMPLES = 250  # per prior


def logits_of(rng: np.random.Generator, labels: Integers) -> Floats:
    """Draw logits: two skewed classes that overlap (AUROC about .96)."""
    noise = rng.normal(0, 1.5, len(labels)) + np.where(labels, 1, -1) * rng.gamma(
        1.5, 1, len(labels)
    )
    return np.where(labels, 0.5, -0.5) + noise


def held_out(rng: np.random.Generator, harmless: int = 4000, positive: int = 600) -> Evidence:
    labels = np.repeat([0, 1], [harmless, positive])
    origins = np.arange(len(labels)) % 2
    return Evidence.of(logits_of(rng, labels), labels, origins, ["sms", "tweets"])


def unlabelled(rng: np.random.Generator, count: int, prior: float) -> Floats:
    return logits_of(rng, (rng.random(count) < prior).astype(np.int64))


def test_intervals_cover_and_label_shift_is_not_refused() -> None:
    rng = np.random.default_rng(0)
    p_values = []
    for prior in (0.01, 0.05, 0.2, 0.5):
        found = [
            estimate_prior(
                held_out(rng), unlabelled(rng, 1500, prior), draws=DRAWS, least_p=0, seed=seed
            )
            for seed in range(SAMPLES)
        ]
        assert np.mean([one.lower <= prior <= one.upper for one in found]) >= 0.9
        estimates = np.array([one.estimate for one in found])
        assert estimates.mean() == pytest.approx(prior, abs=4 * estimates.std() / SAMPLES**0.5)
        assert np.mean([one.upper - one.lower for one in found]) < 4.5 * estimates.std()
        p_values += [one.p_value for one in found]
    assert np.mean(np.array(p_values) < 0.01) <= 0.02  # .01 and three standard errors of it
    assert np.mean(np.array(p_values) < 0.5) == pytest.approx(0.5, abs=0.1)


def test_a_sample_without_positive_texts_leaves_doubt() -> None:
    labels = np.repeat([0, 1], 500)
    evidence = Evidence.of(np.where(labels, 9.0, -9.0), labels, 0 * labels, ["one"])
    found = estimate_prior(evidence, np.full(100, -9.0), draws=DRAWS)
    assert found.lower < 1e-6
    assert found.upper > 0.015  # of 100 texts, there is none with a chance of .22 at 1.5 %


def test_fewer_held_out_texts_widen_the_interval() -> None:
    rng = np.random.default_rng(0)
    logits = unlabelled(rng, 100_000, 0.3)

    def width(positive: int) -> float:
        found = estimate_prior(held_out(rng, 4000, positive), logits, draws=DRAWS)
        return found.upper - found.lower

    assert width(60) > 2 * width(2000)


@pytest.mark.parametrize("shift", [-0.7, 0.7])
def test_refuses_where_the_texts_differ(shift: float) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(
        NotEstimableError, match=r"not estimable: .* Label fifty to two hundred"
    ) as info:
        estimate_prior(held_out(rng), unlabelled(rng, 2000, 0.2) + shift, draws=DRAWS)
    assert info.value.p_value is not None
    assert info.value.p_value < 0.01


def test_refuses_a_third_kind_of_text() -> None:
    rng = np.random.default_rng(0)
    logits = np.concatenate([unlabelled(rng, 1000, 0.1), rng.normal(0, 0.3, 400)])
    with pytest.raises(NotEstimableError, match="more than the base rate differs"):
        estimate_prior(held_out(rng), logits, draws=DRAWS)
    assert isinstance(estimate_prior(held_out(rng), logits, draws=DRAWS, least_p=0), PriorEstimate)


def test_equal_arguments_give_equal_estimates_and_one_source_may_be_chosen() -> None:
    rng = np.random.default_rng(0)
    evidence, logits = held_out(rng), unlabelled(rng, 1000, 0.2)
    first = estimate_prior(evidence, logits, draws=DRAWS, seed=1)
    assert first == estimate_prior(evidence, logits, draws=DRAWS, seed=1)
    assert first != estimate_prior(evidence, logits, draws=DRAWS, seed=2)
    alone = Evidence({"sms": evidence.counts["sms"]})
    assert estimate_prior(evidence, logits, where="sms", draws=DRAWS) == estimate_prior(
        alone, logits, draws=DRAWS
    )
    assert first.texts == 1000


def test_scores_that_separate_perfectly_are_counted() -> None:
    labels = np.repeat([0, 1], 500)
    evidence = Evidence.of(np.where(labels, 9.0, -9.0), labels, 0 * labels, ["one"])
    found = estimate_prior(evidence, np.where(np.arange(1000) < 130, 9.0, -9.0), draws=DRAWS)
    assert found.estimate == pytest.approx(0.13, abs=0.005)
    assert 0.1 < found.lower < 0.13 < found.upper < 0.16


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ((LEAST_TEXTS - 1, 100, 100), "49 held-out harmless texts"),
        ((100, LEAST_TEXTS - 1, 100), "49 held-out positive texts"),
        ((100, 100, LEAST_TEXTS - 1), "49 unlabelled texts, and it takes at least 50"),
    ],
)
def test_refuses_too_few_texts(texts: tuple[int, int, int], message: str) -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(NotEstimableError, match=message) as info:
        estimate_prior(held_out(rng, *texts[:2]), unlabelled(rng, texts[2], 0.5))
    assert info.value.p_value is None


def test_refuses_what_is_no_number_and_unknown_sources() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="a logit is NaN"):
        estimate_prior(held_out(rng), np.full(100, np.nan))
    with pytest.raises(ValueError, match="unknown source or group 'mail'"):
        estimate_prior(held_out(rng), np.zeros(100), where="mail")


def test_weighted_strata_stand_for_the_messages_that_they_were_drawn_from() -> None:
    # Of harmless messages below 0 one in ten is labelled, and all others.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1], [20_000, 2_000])
    logits = logits_of(rng, labels)
    is_kept = (logits >= 0) | (rng.random(len(labels)) < 0.1)
    logits, labels = logits[is_kept], labels[is_kept]
    drawn = Evidence.of(
        logits,
        labels,
        (logits < 0).astype(np.int64),
        ["upper", "lower"],
        weights={"upper": 1.0, "lower": 10.0},
    )
    unweighted = Evidence(drawn.counts)
    found = estimate_prior(drawn, unlabelled(rng, 4000, 0.1), draws=DRAWS)
    assert found.lower < 0.1 < found.upper
    with pytest.raises(NotEstimableError):
        estimate_prior(unweighted, unlabelled(rng, 4000, 0.1), draws=DRAWS)


def logits_by(artifact: Artifact, texts: Sequence[str]) -> NDArray[np.float32]:
    manifest, network = artifact.manifest, artifact.network
    engine = scorer(
        artifact.vocabulary,
        manifest.wide_features,
        network,
        packed_tables(network.weights(), manifest.precision),
        windows=manifest.text_windows,
        calibration=None,
        is_binary=True,
        engine="numpy",
    )
    return engine.logits(engine.encode(texts))


def test_spam_in_comments_is_not_estimable() -> None:
    comments, messages = DATA_DIR / "youtube_spam.zip", DATA_DIR / "sms_spam_collection.zip"
    if not (comments.is_file() and messages.is_file()):
        pytest.skip("the data sets are not there")
    spam = artifacts.load(SPAM)
    evidence = spam.evidence
    if evidence is None:
        with zipfile.ZipFile(messages) as archive:
            lines = archive.read("SMSSpamCollection").decode().splitlines()
        labels = np.array([line.startswith("spam") for line in lines], dtype=np.int64)
        texts = [line.split("\t", 1)[1] for line in lines]
        evidence = Evidence.of(logits_by(spam, texts), labels, 0 * labels, ["sms_spam"])
    with zipfile.ZipFile(comments) as archive:
        rows = [
            row
            for name in sorted(archive.namelist())
            for row in csv.DictReader(io.StringIO(archive.read(name).decode("utf-8-sig")))
        ]
    logits = logits_by(spam, [row["CONTENT"] for row in rows])
    with pytest.raises(NotEstimableError, match="more than the base rate differs"):
        estimate_prior(evidence, logits, draws=DRAWS)
    # What the estimate would have been, with every second comment spam.
    found = estimate_prior(evidence, logits, draws=DRAWS, least_p=0)
    assert np.mean([row["CLASS"] == "1" for row in rows]) > 0.4
    assert found.upper < 0.2
