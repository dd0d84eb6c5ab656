"""A whole study of tiny sources: what is learned from, what is read, what is written."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from dandelion.text.tokenizer import clean
from study import rendering, storage
from study.baselines import counts
from study.pages.transfer_aims import verdict
from study.schema.transfer import Interval, Transfer, TransferStudy
from study.transfer import fits, measure, recipes, run, short_texts
from study.transfer.recipes import FASTTEXT, FITTED, LR, OURS, SVC
from study.transfer.units import help_of, plan_of
from training import learning
from training.configuration import Augmentation, Configuration
from training.data import augmentation
from training.data.datasets import Dataset
from training.data.near_copies import group_key
from training.errors import ConfigurationError

from .conftest import COPIED

pytestmark = pytest.mark.slow

Learn = Callable[..., learning.Learned]
COPIES = Augmentation(kinds=("leet",), share=0.5)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Fits in this process, fastText without its 2 million buckets; the names of the jobs."""
    whole = recipes.fasttext_subwords
    monkeypatch.setattr(
        recipes, "fasttext_subwords", lambda options: whole({**options, "bucket": 1000, "dim": 5})
    )
    done: list[str] = []

    def one_by_one(job: Any, jobs: Sequence[Any], title: str, *args: Any, **more: Any) -> None:
        for one in jobs:
            done.append(title)
            job(one)

    monkeypatch.setattr(fits, "run_parallel", one_by_one)
    return done


def spied(monkeypatch: pytest.MonkeyPatch) -> list[set[str]]:
    """The texts that each network learned from or stopped by."""
    seen: list[set[str]] = []
    learn: Learn = learning.learn

    def spy(config: Configuration, data: Dataset, train: Any, valid: Any, **more: Any) -> Any:
        seen.append({data.texts[row] for row in np.concatenate([train, valid]).tolist()})
        return learn(config, data, train, valid, **more)

    monkeypatch.setattr(learning, "learn", spy)
    return seen


def test_a_study(
    light: list[str], config: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = spied(monkeypatch)
    monkeypatch.setattr(short_texts, "MODELS", ("tiny",))
    monkeypatch.setattr(short_texts, "SEEDS", (0, 1))
    monkeypatch.setattr(run, "load_configuration", lambda *_: config)
    run.write("tiny", tmp_path, "small")
    (study,) = storage.read(Transfer, tmp_path / "transfer.json").studies
    check_rows(study)
    check_means(study)
    check_trials(study)
    # Without each unit, with all, and for two seeds of the short texts.
    names = [
        {text.split()[3].rstrip("0123456789") for text in one if text.count(" ") == 5}
        for one in seen
    ]
    everything = {"forum", "news", "news_context", "chat"}
    without = [everything - {"forum"}, {"forum", "chat"}, everything - {"chat"}]
    assert sorted(map(sorted, names)) == sorted(map(sorted, [*without, *[everything] * 3]))
    check_log(tmp_path, study)
    assert study.short is not None
    assert [one.recipe for one in study.short.rows] == list(FITTED)
    assert [one.less is None for one in study.short.rows] == [True, False, False, False]
    check_page(tmp_path, study)

    # Nothing is fitted again, the readings are logged again.
    light.clear()
    lines = (tmp_path / "transfer-log.jsonl").read_text(encoding="utf-8")
    run.write("tiny", tmp_path, "small")
    assert not light
    assert (tmp_path / "transfer-log.jsonl").read_text(encoding="utf-8").count(
        "\n"
    ) == 2 * lines.count("\n")
    (again,) = storage.read(Transfer, tmp_path / "transfer.json").studies
    assert replace(again, date=study.date, commit=study.commit) == study


def check_rows(study: TransferStudy) -> None:
    for recipe in FITTED:
        rows = {one.source: one for one in study.rows if one.recipe == recipe}
        assert [*rows] == ["forum", "news", "news_context", "chat", "foreign"]
        assert [one.use for one in rows.values()] == ["left out"] * 4 + ["measured only"]
        # The copy that another source has is not read, on either side.
        assert [one.dropped for one in rows.values()] == [1, 0, 0, 1, 0]
        assert [one.texts for one in rows.values()] == [100] * 5
        assert all(one.auroc.low <= one.auroc.value <= one.auroc.high for one in rows.values())
        assert rows["chat"].auroc.value > 0.9
        assert [one.ceiling is None for one in rows.values()] == [False] * 4 + [True]
        # A limit on what is left out does not count.
        rules = [[at.rule for at in one.at] for one in rows.values()]
        both = ["limits on false alarms", "macro-F1"]
        assert rules == [["macro-F1"], both, both, both, both]


def check_means(study: TransferStudy) -> None:
    by_name = {(one.recipe, one.source): one.auroc.value for one in study.rows}
    for recipe in FITTED:
        (mean,) = [one for one in study.means if one.recipe == recipe]
        news = (by_name[recipe, "news"] + by_name[recipe, "news_context"]) / 2
        units = [by_name[recipe, "forum"], news, by_name[recipe, "chat"]]
        assert mean.units == ["Forum", "News", "Chat"]
        assert mean.auroc.value == pytest.approx(np.mean(units))
    means = {one.recipe: one.auroc.value for one in study.means}
    found = [one for one in study.differences if one.over == "left-out units"]
    assert Counter(one.baseline for one in found) == dict.fromkeys((LR, SVC, FASTTEXT), 2)
    for one in found:
        if one.figure == "auroc":
            assert one.difference.value == pytest.approx(means[OURS] - means[one.baseline])


def check_trials(study: TransferStudy) -> None:
    assert study.chosen_by == "left-out sources"
    ours, *baselines = study.trials
    assert ours.criterion == {}
    for one in baselines:
        assert len(one.trials) == 2
        assert [*one.chosen] == ["Forum", "News", "Chat", measure.EVERY_SOURCE]
        for target, judged in one.criterion.items():
            assert [*judged] == one.trials
            assert judged[one.chosen[target]] <= max(judged.values())


def check_log(directory: Path, study: TransferStudy) -> None:
    text = (directory / "transfer-log.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(one) for one in text.splitlines()]
    # Five sources by four recipes; two settings of three baselines on four sources.
    assert Counter(one["purpose"] for one in lines) == {"report": 20, "choice": 24}
    assert all(one["model"] == "tiny" and len(one["configuration"]) == 24 for one in lines)
    reported = {
        (one["recipe"], one["trial"], one["source"]) for one in lines if one["purpose"] == "report"
    }
    assert reported == {(one.recipe, one.trial, one.source) for one in study.rows}
    # A name is not what identifies a configuration.
    assert len({one["configuration"] for one in lines}) == 7


def check_page(directory: Path, study: TransferStudy) -> None:
    written = (directory / "transfer.md").read_text(encoding="utf-8")
    assert "## Tiny, small" in written
    assert all(f"`{one.source}`" in written for one in study.rows)
    (directory / "transfer.md").unlink()
    rendering.transfer_page(directory)
    assert (directory / "transfer.md").read_text(encoding="utf-8") == written


def test_figures_are_of_the_texts_without_near_copies(
    light: list[str], config: Configuration
) -> None:
    of = measure.study("tiny", [config])
    fit = of.fit(of.trials[LR][0], "Chat")
    fits.carry_out([fit], "any")
    texts = fit.pool().measured["chat"]
    learned = {group_key(fit.pool().training.texts[row]) for row in fit.folds().train}
    assert group_key(COPIED) in learned
    assert not learned & set(map(group_key, texts.texts))
    logits = of.logits(fit)["chat"]
    assert len(logits) == len(texts.texts)
    assert of.draws("chat").auroc(logits)[0] == pytest.approx(roc_auc_score(texts.labels, logits))


def test_windows_get_the_penalty_that_was_chosen_without_the_source(
    light: list[str], config: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fits, "LONG_WORDS", (20,))
    other = config.model_copy(update={"hidden": 9})
    of = measure.study("tiny", [other])
    fit = of.fit(of.trials[OURS][0], "Chat")
    fits.carry_out([fit], "any")
    kept = fit.read()
    assert set(kept.windows("chat").tolist()) == {2}  # texts of six words
    held = fit.held(kept)
    assert set(held.long_texts.words.tolist()) == {20}
    assert set(held.long_texts.windows.tolist()) == {6}
    penalty = of.decided(fit, kept).penalty
    expected = kept.arrays["chat"] - penalty * np.log(kept.windows("chat"))
    np.testing.assert_array_equal(of.logits(fit)["chat"], expected)


def test_with_two_units_trials_are_chosen_on_validation(config: Configuration) -> None:
    two = config.model_copy(update={"sources": config.sources[:1] + config.sources[3:]})
    of = measure.study("tiny", [two])
    assert [unit.name for unit in of.plan.foreign] == ["News", "Foreign"]
    assert of.chosen_by() == "validation"
    assert {one.left_out for one in measure.choice_fits(of)} == {("Forum",), ("Chat",), ()}


def test_a_baseline_tries_the_sources_of_every_candidate(config: Configuration) -> None:
    other = config.model_copy(update={"variant": "two", "sources": config.sources[:2]})
    found = recipes.trials([config, other])
    assert [one.name for one in found[OURS]] == ["small", "two"]
    assert [(one.name, one.help) for one in found[LR]] == [
        (f"C = {c}, sources {number}", help_of(given))
        for number, given in ((1, config), (2, other))
        for c in (1, 10)
    ]


def test_a_baseline_tries_the_copies_of_every_candidate(config: Configuration) -> None:
    copying = config.model_copy(update={"variant": "two", "augmentation": COPIES})
    found = recipes.trials([config, copying])
    assert [(one.name, one.help.augmentation) for one in found[SVC]] == [
        ("C = 0.1, no copies", None),
        ("C = 1, no copies", None),
        ("C = 0.1, copies", COPIES),
        ("C = 1, copies", COPIES),
    ]
    assert len({json.dumps(one.settings()) for one in found[SVC]}) == 4
    both = [config, copying.model_copy(update={"sources": config.sources[:2]})]
    names = [one.name for one in recipes.trials(both)[SVC]]
    assert names[1::2] == ["C = 1, sources 1, no copies", "C = 1, sources 2, copies"]


def test_baselines_learn_from_the_copies_that_ours_learns_from(
    light: list[str], config: Configuration, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[tuple[Dataset, Any]] = []
    extended = augmentation.extended

    def spy(*args: Any, **more: Any) -> tuple[Dataset, Any]:
        made.append(extended(*args, **more))
        return made[-1]

    given: dict[str, tuple[Any, ...]] = {}
    fit_linear, subwords = counts.fit_linear, recipes.fasttext_subwords

    def linear(estimator: Any, features: Any, labels: Any, weights: Any) -> Any:
        given[LR] = (features.shape[0], labels, weights)
        return fit_linear(estimator, features, labels, weights)

    class Spied:
        def __init__(self, options: Any) -> None:
            self.whole = subwords(options)

        def fit(self, texts: Any, labels: Any, seed: int, weights: Any) -> Any:
            given[FASTTEXT] = (texts, labels, weights)
            return self.whole.fit(texts, labels, seed, weights)

    monkeypatch.setattr(augmentation, "extended", spy)
    monkeypatch.setattr(counts, "fit_linear", linear)
    monkeypatch.setattr(recipes, "fasttext_subwords", Spied)
    of = measure.study("tiny", [config.model_copy(update={"augmentation": COPIES})])
    chosen = [of.fit(of.trials[recipe][0], "Chat") for recipe in (OURS, LR, FASTTEXT)]
    fits.carry_out(chosen, "any")
    (ours, rows), *others = made
    texts, labels = ours.take(rows)
    assert sum("1" in text.split()[0] for text in texts) > 10  # d1nn3r
    for learned, train in others:
        assert learned.take(train)[0] == texts
    count, *linear_help = given[LR]
    assert count == len(texts)
    assert given[FASTTEXT][0] == tuple(map(clean, texts))
    for one in (linear_help, given[FASTTEXT][1:]):
        np.testing.assert_array_equal(one[0], labels)
        np.testing.assert_array_equal(one[1], ours.weights[rows])


def test_copies_move_a_baseline_and_are_kept_apart(light: list[str], config: Configuration) -> None:
    copying = config.model_copy(update={"variant": "two", "augmentation": COPIES})
    of = measure.study("tiny", [config, copying])
    plain, copies = (of.fit(of.trials[LR][place], "Chat") for place in (0, 2))
    assert plain.pool() is copies.pool()
    fits.carry_out([plain, copies], "any")
    found, other = plain.read().arrays["chat"], copies.read().arrays["chat"]
    assert found.shape == other.shape
    assert (found != other).any()


def test_unknown_models_and_candidates_are_errors(config: Configuration, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="no sources are known to measure 'other' on"):
        plan_of("other", [config])
    none = config.model_copy(update={"sources": ()})
    with pytest.raises(ConfigurationError, match="tiny/small: names no sources"):
        help_of(none)
    listed = tmp_path / "candidates.toml"
    listed.write_text('spam = ["mse"]')
    with pytest.raises(ConfigurationError, match="no candidates for 'tiny', only for spam"):
        recipes.candidates("tiny", listed)
    assert [one.variant for one in recipes.candidates("spam", listed)] == ["mse"]


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(0.01, 0.03, "met"), (-0.01, 0.05, "includes 0"), (-0.05, 0.01, "missed")],
)
def test_ahead_only_with_the_interval_above_zero(low: float, high: float, expected: str) -> None:
    middle = (low + high) / 2
    assert expected in verdict(Interval(middle, low, high))
