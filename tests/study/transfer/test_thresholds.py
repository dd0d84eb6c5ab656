"""Thresholds and the penalty of windows, chosen on held-out texts."""

import numpy as np

from dandelion.text.windows import Windows
from study.transfer import thresholds
from study.transfer.fits import Kept
from training.configuration import Configuration, WindowChoice
from training.out_of_fold import LongTexts, OutOfFold


def held(long: float) -> OutOfFold:
    """Held-out texts of two sources, and harmless long ones whose largest logit is ``long``."""
    labels = np.tile([0, 1], 100)
    logits = np.where(labels == 1, 2.0, -2.0) + np.linspace(-1.5, 1.5, 200)
    ones, twenty = np.ones(200, np.int64), np.full(40, 20)
    words, origins = np.full(40, 300), np.repeat([0, 1], 20)
    return OutOfFold(
        rows=np.arange(200),
        labels=labels,
        origins=np.repeat([0, 1], 100),
        source_names=("forum", "news"),
        logits=logits.astype(np.float32),
        windows=ones,
        folds=ones,
        epochs=(1,),
        long_texts=LongTexts(words, origins, np.full(40, long, np.float32), twenty),
    )


def config(*sources: str) -> Configuration:
    return Configuration(
        model="m",
        variant="v",
        loss="bce",
        windows=WindowChoice(),
        operating_point="fpr<=0.05[named]",
        groups={"named": sources},
    )


def test_the_penalty_is_the_one_that_long_harmless_texts_need() -> None:
    limited = config("forum", "left_out")
    found = thresholds.decide(limited, held(long=3.0))
    assert found.penalty > 0
    # What the long ones are left with is below the threshold.
    score = 1 / (1 + np.exp(-(3.0 - found.penalty * np.log(20))))
    assert score < found.thresholds[thresholds.LIMITS]
    assert thresholds.decide(limited, held(long=-9.0)).penalty == 0


def test_a_limit_holds_for_the_sources_that_are_left_of_it() -> None:
    several, one = config("left_out", "forum", "also_left_out"), config("forum")
    assert thresholds.decide(several, held(long=3.0)) == thresholds.decide(one, held(long=3.0))


def test_a_limit_on_what_is_left_out_does_not_count() -> None:
    found = thresholds.decide(config("left_out"), held(long=-9.0))
    assert [*found.thresholds] == [thresholds.MACRO_F1]


def test_a_limit_that_nothing_is_found_within_gives_no_threshold() -> None:
    wrong = held(long=-9.0)
    wrong.logits[:] = np.where(wrong.labels == 1, -5.0, 5.0)
    assert [*thresholds.decide(config("forum"), wrong).thresholds] == [thresholds.MACRO_F1]


def test_kept_logits_are_combined_as_windows_are() -> None:
    logits = np.array([0.5, -1.0, 2.0, 1.5], np.float32)
    counts = np.array([1, 3])
    kept = Kept({"s": np.array([0.5, 2.0]), "s/windows": counts})
    expected = Windows(penalty=0.7).combine(logits, counts.tolist())
    np.testing.assert_allclose(kept.logits("s", 0.7), expected, atol=1e-6)


def test_rates_at_a_threshold() -> None:
    labels, scores = np.array([0, 0, 0, 0, 1, 1]), np.array([0.1, 0.2, 0.5, 0.9, 0.5, 0.4])
    found = thresholds.at("any", 0.5, labels, scores)
    assert (found.false_positive_rate, found.recall) == (0.5, 0.5)
