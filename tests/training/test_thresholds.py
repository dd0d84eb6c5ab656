"""Threshold and penalty from out-of-fold logits."""

from typing import Any

import numpy as np
import pytest

from dandelion.text.windows import Windows
from training.configuration import Configuration, parse
from training.data.datasets import Dataset
from training.errors import ConfigurationError
from training.out_of_fold import LONG_WORDS, LongTexts, OutOfFold
from training.thresholds import PENALTIES, choose, out_of_fold_scores, require_possible

NAMES = ("chat", "forum", "scams")
TALK = {"sources": ["chat", "forum"], "max_fpr": 0.01}
FORUM = {"sources": ["forum"], "max_fpr": 0.1}


def config(**changes: Any) -> Configuration:
    values = {"model": "m", "variant": "v", "loss": "bce", "out_of_fold": True}
    return Configuration.model_validate(values | changes)


def evidence(penalty: float = 0.0, texts: int = 4000) -> OutOfFold:
    """Return logits, and long texts whose largest logits grow by ``penalty`` · log(windows)."""
    rng = np.random.default_rng(0)
    origins = np.arange(texts) % 3
    labels = ((origins == 2) | (rng.random(texts) < 0.1)).astype(np.int64)
    logits = rng.normal(labels * 4.0 - 2 + 0.5 * (origins == 1), 1).astype(np.float32)
    kinds = [(words, origin) for words in LONG_WORDS for origin in (0, 1) for _ in range(500)]
    words, its = np.array(kinds).T
    windows = 1 + -(-(words - 30) // 15)
    # As the short harmless texts, each source for itself, but for the growth.
    steps = (np.arange(len(words)) % 500 + 0.5) / 500
    short = [np.quantile(logits[(origins == one) & (labels == 0)], steps) for one in (0, 1)]
    base = np.where(its == 0, *[np.resize(values, len(words)) for values in short])
    return OutOfFold(
        rows=np.arange(texts),
        labels=labels,
        origins=origins,
        source_names=NAMES,
        logits=logits,
        windows=np.ones(texts, dtype=np.int64),
        folds=np.arange(texts) % 5,
        epochs=(3, 4, 3, 6, 3),
        long_texts=LongTexts(
            words, its, (base + penalty * np.log(windows)).astype(np.float32), windows
        ),
    )


def rate(found: OutOfFold, threshold: float, sources: list[str]) -> float:
    its = np.isin(found.origins, [NAMES.index(one) for one in sources]) & (found.labels == 0)
    return float((out_of_fold_scores(found)[its] >= threshold).mean())


def test_without_limits_macro_f1_decides() -> None:
    found = evidence()
    choice = choose(config(), found)
    assert choice.penalty == 0
    assert choice.rule == {
        "criterion": "macro_f1",
        "fitted_on": "out_of_fold",
        "folds": 5,
        "epochs": [3, 4, 3, 6, 3],
        "long_texts": choice.rule["long_texts"],
    }


def test_limits_hold_together_and_are_recorded() -> None:
    found = evidence()
    choice = choose(config(limits=[TALK, FORUM]), found)
    assert choice.rule["criterion"] == "limits"
    records = choice.rule["limits"]
    for record, limit in zip(records, (TALK, FORUM), strict=True):
        assert record["sources"] == limit["sources"]
        assert record["false_positive_rate"] == rate(found, choice.threshold, record["sources"])
        assert record["false_positive_rate"] <= record["max_fpr"] == limit["max_fpr"]
    assert records[0]["false_positive_rate"] > 0.008  # and no threshold lower than that holds
    loose = choose(config(limits=[FORUM]), found)
    assert loose.threshold < choice.threshold
    assert rate(found, loose.threshold, ["forum"]) == pytest.approx(0.1, abs=0.003)


@pytest.mark.parametrize("limits", [[], [TALK], [TALK, FORUM]])
@pytest.mark.parametrize("growth", [0.4, 1.3])
def test_the_smallest_penalty_is_taken_with_which_length_adds_no_false_alarms(
    limits: list[dict[str, Any]], growth: float
) -> None:
    found = evidence(growth)
    chosen = config(limits=limits, windows={})
    choice = choose(chosen, found)
    # A little less suffices, because a limit leaves room for a whole text.
    assert choice.penalty == pytest.approx(growth, abs=0.11)
    measured = choice.rule["long_texts"]
    assert {one["words"] for one in measured} == set(LONG_WORDS)
    assert all(one["false_positive_rate"] <= one["max_fpr"] for one in measured)
    below = PENALTIES[PENALTIES.index(choice.penalty) - 1]
    windows = Windows(penalty=below)
    long = found.long_texts
    largest = [windows.combine(long.logits[[row]], [1])[0] for row in range(len(long.logits))]
    logits = np.array(largest) - below * np.log(long.windows)
    flagged = 1 / (1 + np.exp(-logits)) >= choice.threshold
    worst = max(
        flagged[(long.words == one["words"]) & np.isin(long.origins, its)].mean() / one["max_fpr"]
        for one in measured
        for its in [[NAMES.index(source) for source in one["sources"]]]
    )
    assert worst > 1


def test_the_penalty_reaches_the_scores_of_long_rows() -> None:
    found = evidence(0.8)
    found.windows[:100] = 5
    choice = choose(config(windows={}), found)
    assert choice.penalty > 0
    windows = Windows(penalty=choice.penalty)
    rows = range(0, 200, 25)
    # `combine` takes one window of each text; its number is what counts.
    expected = [found.logits[row] - windows.penalty * np.log(found.windows[row]) for row in rows]
    scores = 1 / (1 + np.exp(-np.array(expected, dtype=np.float64)))
    np.testing.assert_allclose(choice.scores[list(rows)], scores, atol=1e-6)


def test_if_no_penalty_suffices_the_nearest_is_taken_and_shown() -> None:
    choice = choose(config(limits=[TALK], windows={}), evidence(5.5))
    assert choice.penalty == PENALTIES[-1]
    worst = max(one["false_positive_rate"] for one in choice.rule["long_texts"])
    assert worst > TALK["max_fpr"]


def test_limits_within_which_nothing_is_found() -> None:
    found = evidence()
    found.logits[found.labels == 0] += 50
    with pytest.raises(ConfigurationError, match=r"m/v: every threshold .* raise max_fpr in its"):
        choose(config(limits=[TALK], windows={}), found)


def test_scores_of_more_than_two_labels_are_probabilities() -> None:
    found = evidence(texts=30)
    logits = np.stack([found.logits, -found.logits, found.logits * 0], axis=1)
    scores = out_of_fold_scores(
        OutOfFold(
            **{name: getattr(found, name) for name in OutOfFold.__slots__} | {"logits": logits}
        )
    )
    assert scores.shape == (30, 3)
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)


def dataset(labels: list[int], names: tuple[str, ...] = ("no", "yes")) -> Dataset:
    return Dataset(
        "Both",
        tuple(map(str, labels)),
        np.array(labels),
        names,
        "",
        origins=np.arange(len(labels)) % 2,
        source_names=("chat", "forum"),
    )


@pytest.mark.parametrize(
    ("labels", "sources", "message"),
    [
        ([0, 1, 0, 1], ["chat"], None),
        ([0, 1, 0, 1], ["chat", "forum"], "'forum' has no harmless text; choose from chat"),
        ([0, 0, 1, 1], ["mail"], "'mail' is not among the sources of m/v; .* from chat, forum"),
        ([0, 1, 1, 0], ["forum"], "'forum' has no harmless text"),  # but for the last row
    ],
)
def test_limits_are_about_harmless_texts_that_are_learnt_from(
    labels: list[int], sources: list[str], message: str | None
) -> None:
    chosen = config(limits=[{"sources": sources, "max_fpr": 0.1}])
    rows = np.arange(3)
    if message is None:
        require_possible(chosen, dataset(labels), rows)
        return
    with pytest.raises(ConfigurationError, match=message):
        require_possible(chosen, dataset(labels), rows)


def test_limits_need_a_threshold() -> None:
    chosen = config(limits=[FORUM])
    with pytest.raises(ConfigurationError, match="Both has 3 labels, so there is no threshold"):
        require_possible(chosen, dataset([0, 1, 2], ("a", "b", "c")), np.arange(3))
    require_possible(config(), dataset([0, 1, 2], ("a", "b", "c")), np.arange(3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"limits": [{"sources": [], "max_fpr": 0.1}]}, "limits.0.sources"),
        ({"limits": [{"sources": ["a"], "max_fpr": 1.0}]}, "limits.0.max_fpr"),
        ({"limits": [{"sources": ["a"], "max_rate": 0.1}]}, "did you mean max_fpr|available"),
    ],
)
def test_limits_of_a_configuration_are_checked(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        parse({"model": "m", "variant": "v", "loss": "bce"} | changes, "here")
