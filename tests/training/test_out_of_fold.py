"""Every row is scored by a network that did not learn from it, once, and only once."""

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import out_of_fold as module
from training.configuration import Configuration, Wide, WindowChoice
from training.data import datasets, splits
from training.data.datasets import Dataset
from training.learning import learn
from training.out_of_fold import LONG_WORDS, fold_fits, origins_of, out_of_fold
from training.provenance import watched_modules

CONFIG = Configuration(
    model="tiny",
    variant="bce",
    loss="bce",
    hidden=8,
    epochs=2,
    batch_size=16,
    extra_words=50,
    restore="last",
    wide=Wide(bits=10),
)
CUT = CONFIG.model_copy(update={"windows": WindowChoice(words=20, stride=10)})

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def dataset(tiny: Any) -> Dataset:
    """Two sources, whose texts alternate."""
    found = datasets.load("tiny")
    origins = np.arange(len(found.texts)) % 2
    return replace(found, origins=origins, source_names=("first", "second"))


@pytest.fixture
def rows(dataset: Dataset) -> np.ndarray:
    return np.flatnonzero(np.arange(len(dataset.texts)) % 10 > 1)


def fitted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Note what every further fit learns from."""
    seen: list[tuple[Any, ...]] = []

    def noting(config: Any, dataset: Any, train: Any, validation: Any, **options: Any) -> Any:
        seen.append((train, validation))
        return learn(config, dataset, train, validation, **options)

    monkeypatch.setattr(module, "learn", noting)
    return seen


def test_each_row_is_scored_by_the_network_that_did_not_learn_from_it(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fitted(monkeypatch)
    groups = np.arange(len(dataset.texts)) // 2
    found = out_of_fold(CONFIG, dataset, rows, groups, seed=0, folds=3)
    np.testing.assert_array_equal(found.rows, rows)
    np.testing.assert_array_equal(found.labels, dataset.labels[rows])
    assert dataset.origins is not None
    np.testing.assert_array_equal(found.origins, dataset.origins[rows])
    assert found.source_names == ("first", "second")
    assert found.logits.dtype == np.float32
    assert found.windows.tolist() == [1] * len(rows)
    assert found.epochs == (2, 2, 2)
    assert len(found.long_texts.logits) == 0  # texts are not cut
    assert len(seen) == 3
    for number, (train, _) in enumerate(seen):
        held_out = rows[found.folds == number]
        assert not np.isin(groups[held_out], groups[train]).any()
        np.testing.assert_array_equal(np.sort(np.concatenate([train, held_out])), rows)
        texts, _ = dataset.take(held_out)
        again = learn(CONFIG, dataset, train, held_out, seed=0).logits(texts)
        np.testing.assert_allclose(found.logits[found.folds == number], again, atol=1e-6)


def test_early_stopping_looks_at_no_text_that_is_scored(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = fitted(monkeypatch)
    config = CONFIG.model_copy(update={"restore": "best"})
    groups = splits.groups(dataset)
    found = out_of_fold(config, dataset, rows, groups, seed=0, folds=3)
    for number, (train, validation) in enumerate(seen):
        held_out = rows[found.folds == number]
        for first, second in ((train, validation), (train, held_out), (validation, held_out)):
            assert not np.isin(groups[first], groups[second]).any()
        assert set(dataset.labels[validation].tolist()) == {0, 1}
        assert 0.1 <= len(validation) / (len(rows) - len(held_out)) < 0.3
    assert set(found.epochs) <= {1, 2}


def test_folds_are_fitted_once(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = splits.groups(dataset)

    def run(config: Configuration = CONFIG, **changes: Any) -> Any:
        options = {"seed": 0, "folds": 2} | changes
        return out_of_fold(config, options.pop("dataset", dataset), rows, groups, **options)

    first = run()
    seen = fitted(monkeypatch)
    again = run(
        CONFIG.model_copy(
            update={
                "variant": "other",
                "about": "Texts.",
                "out_of_fold": True,
                "operating_point": "fpr<=0.1[first]",
                "groups": {"named": ("first",)},
            }
        )
    )
    np.testing.assert_array_equal(first.logits, again.logits)
    assert not seen
    run(CONFIG.model_copy(update={"layer_rate": 0.01}))
    assert len(seen) == 2
    run(dataset=replace(dataset, weights=np.linspace(1, 2, len(dataset.texts))))
    assert len(seen) == 4
    run(seed=1)
    assert len(seen) == 6


def test_folds_depend_on_the_code_that_logits_depend_on() -> None:
    watched = set(watched_modules(module.__name__, without=module.AFTER_LOGITS))
    assert {"dandelion.engines.network", "dandelion.text.windows", "training.learning"} <= watched
    assert not watched & module.AFTER_LOGITS
    assert "dandelion.decision.operating_points" not in watched


def test_an_interrupted_series_continues(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, *_ = fold_fits(CONFIG, dataset, rows, splits.groups(dataset), seed=0, folds=3)
    module.fit_fold(first)
    seen = fitted(monkeypatch)
    out_of_fold(CONFIG, dataset, rows, splits.groups(dataset), seed=0, folds=3)
    assert len(seen) == 2


def test_folds_are_fitted_in_parallel(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []

    def elsewhere(job: Any, jobs: Any, _: str, name_of: Any, *, workers: int) -> None:
        assert workers == 2
        for one in jobs:
            names.append(name_of(one))
            job(pickle.loads(pickle.dumps(one)))  # what another process gets

    monkeypatch.setattr(module, "run_parallel", elsewhere)
    groups = splits.groups(dataset)
    found = out_of_fold(CONFIG, dataset, rows, groups, seed=0, folds=2, workers=2)
    assert names == ["tiny/bce, fold 1", "tiny/bce, fold 2"]
    fit = fold_fits(CONFIG, dataset, rows, groups, seed=0, folds=2)[0]
    here = learn(CONFIG, dataset, fit.train, fit.validation, seed=0)
    texts, _ = dataset.take(fit.held_out)
    np.testing.assert_array_equal(found.logits[found.folds == 0], here.logits(texts))


def test_cut_texts_have_their_windows_and_no_penalty(dataset: Dataset, rows: np.ndarray) -> None:
    long = tuple(f"{text} " * (1 + 9 * (row % 7 == 0)) for row, text in enumerate(dataset.texts))
    dataset = replace(dataset, texts=long)
    found = out_of_fold(CUT, dataset, rows, splits.groups(dataset), seed=0, folds=2)
    # 50 words are four windows of twenty, every ten.
    assert found.windows.tolist() == [4 if row % 7 == 0 else 1 for row in rows]
    fit = fold_fits(CUT, dataset, rows, splits.groups(dataset), seed=0, folds=2)[0]
    learned = learn(CUT, dataset, fit.train, fit.validation, seed=0)
    texts, _ = dataset.take(fit.held_out)
    in_first = found.folds == 0
    np.testing.assert_allclose(found.logits[in_first], learned.logits(texts), atol=1e-6)
    penalised = found.logits[in_first] - 0.7 * np.log(found.windows[in_first])
    np.testing.assert_allclose(learned.with_penalty(0.7).logits(texts), penalised, atol=1e-5)


def test_long_texts_are_harmless_ones_of_one_source_and_fold(
    dataset: Dataset, rows: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[list[str], int]] = []
    join = module.long_texts.join

    def noting(texts: Any, words: int, **options: Any) -> list[str]:
        joined.append((list(texts), words))
        return join(texts, words, **options)

    monkeypatch.setattr(module.long_texts, "join", noting)
    found = out_of_fold(CUT, dataset, rows, splits.groups(dataset), seed=0, folds=2)
    number_of = {text: row for row, text in enumerate(dataset.texts)}
    for texts, _ in joined:
        its = np.array([number_of[text] for text in texts])
        assert set(dataset.labels[its].tolist()) == {0}
        assert dataset.origins is not None
        assert len(set(dataset.origins[its].tolist())) == 1
        assert len(set(found.folds[np.isin(rows, its)].tolist())) == 1
    assert [words for _, words in joined] == [*LONG_WORDS] * 4  # of two sources in two folds
    long = found.long_texts
    assert len(long.logits) == len(long.windows) == len(long.origins) == len(long.words) > 0
    assert set(long.origins.tolist()) == {0, 1}
    for words, windows in zip(long.words.tolist(), long.windows.tolist(), strict=True):
        assert windows == 1 + -(-(words - 20) // 10)


@pytest.mark.usefixtures("tiny_type")
def test_more_than_two_labels_have_a_logit_each(rows: np.ndarray) -> None:
    config = CONFIG.model_copy(update={"loss": "cross_entropy"})
    dataset = datasets.load("tiny_type")
    found = out_of_fold(config, dataset, rows, splits.groups(dataset), seed=0, folds=2)
    assert found.logits.shape == (len(rows), 3)
    assert found.source_names == (dataset.name,)
    assert not found.origins.any()


def test_a_single_source_has_the_name_of_the_data_set() -> None:
    origins, names = origins_of(datasets.load("tiny"))
    assert names == ("Tiny",)
    assert not origins.any()


def test_the_median_of_an_even_number_of_epochs_is_the_lower_one(
    dataset: Dataset, rows: np.ndarray
) -> None:
    found = out_of_fold(CONFIG, dataset, rows, splits.groups(dataset), seed=0, folds=2)
    assert replace(found, epochs=(5, 2, 9, 3)).median_epochs == 3
