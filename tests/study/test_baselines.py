"""The baselines: what they compute, and that finished fits are kept."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline, make_union
from sklearn.svm import LinearSVC
from threadpoolctl import threadpool_info

from dandelion.decision.threshold import fit_threshold
from study.baselines import (
    BASELINES,
    Baseline,
    Fitted,
    microseconds_per_text,
    model_files,
    run_baselines,
    runs,
    time_baselines,
    timing,
)
from training.data import datasets
from training.data.splits import Protocol, split
from training.errors import DatasetError
from training.quality.metrics import evaluate

pytestmark = pytest.mark.slow

WORDS = (
    ["lunch", "home", "mum", "later", "Saturday", "bus"],
    ["prize", "win", "free", "claim", "£1000", "call"],
    ["rain", "cloud", "sunny", "wind", "frost", "storm"],
)
FAST_TEXT = [name for name in BASELINES if name.startswith("fastText")]
# Those of hashed n-grams weigh hundreds of megabytes and differ in options alone.
LIGHT = [name for name in BASELINES if name not in FAST_TEXT[1:]]
ODD_TEXTS = ("", "  ", "zzxqj", "☃", "__label__1 </s>", "free\nprize\r\n", "FREE prize")


def synthetic(classes: int, count: int = 240) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Texts sorted by class, each of words that its class has mostly for itself."""
    rng = np.random.default_rng(classes)
    labels = np.sort(rng.integers(classes, size=count))
    every = [word for words in WORDS[:classes] for word in words]
    texts = tuple(
        " ".join([*rng.choice(WORDS[label], 4), *rng.choice(every, 2)]) for label in labels.tolist()
    )
    return texts, labels


@cache
def fitted(name: str, classes: int) -> Fitted:
    return BASELINES[name].fit(*synthetic(classes), seed=0)[0]


@pytest.fixture(scope="module", autouse=True)
def _forget_fits() -> Iterator[None]:
    yield
    fitted.cache_clear()  # hundreds of megabytes


@pytest.mark.parametrize("name", BASELINES)
def test_two_classes(name: str) -> None:
    texts, labels = synthetic(2, count=100)
    baseline = fitted(name, 2)
    scores = baseline.scores(texts)
    assert (scores.shape, scores.dtype) == ((100,), np.float64)
    assert roc_auc_score(labels, scores) > 0.98
    assert baseline.score_kind == ("margin" if "SVC" in name else "sigmoid")


@pytest.mark.parametrize("name", BASELINES)
def test_three_classes(name: str) -> None:
    texts, labels = synthetic(3, count=100)
    baseline = fitted(name, 3)
    scores = baseline.scores(texts)
    assert (scores.shape, scores.dtype) == ((100, 3), np.float64)
    assert accuracy_score(labels, scores.argmax(1)) > 0.9
    if "SVC" in name:
        assert baseline.score_kind == "margin"
    else:
        assert baseline.score_kind == "softmax"
        # fastText's probabilities are off by 1e-5 each.
        np.testing.assert_allclose(scores.sum(1), 1, atol=4e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", BASELINES)
def test_odd_texts_have_scores(name: str, classes: int) -> None:
    scores = fitted(name, classes).scores(ODD_TEXTS)
    assert scores.shape[0] == len(ODD_TEXTS)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert fitted(name, classes).scores(ODD_TEXTS[:1]) == pytest.approx(scores[:1])


@pytest.mark.parametrize("name", BASELINES)
def test_a_saved_baseline_scores_alike(name: str, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    fitted(name, 3).save(file)
    texts = (*synthetic(3, count=20)[0], *ODD_TEXTS)
    loaded = BASELINES[name].load(file)
    file.unlink()  # hundreds of megabytes
    np.testing.assert_array_equal(loaded.scores(texts), fitted(name, 3).scores(texts))
    assert loaded.score_kind == fitted(name, 3).score_kind


@pytest.mark.parametrize("name", LIGHT)
def test_the_seed_decides(name: str) -> None:
    texts, labels = synthetic(2)
    again, _ = BASELINES[name].fit(texts, labels, seed=0)
    np.testing.assert_array_equal(again.scores(texts), fitted(name, 2).scores(texts))
    if name in FAST_TEXT:
        other, _ = BASELINES[name].fit(texts, labels, seed=1)
        assert (other.scores(texts) != again.scores(texts)).any()


@pytest.mark.parametrize("name", LIGHT)
def test_weights_decide_between_contradicting_labels(name: str) -> None:
    texts, labels = synthetic(2)
    # Every text a second time, with the other label and hardly any weight.
    weights = np.repeat([1.0, 1e-3], len(texts))
    contradicted = (texts * 2, np.concatenate([labels, 1 - labels]))
    for given, sign in ((weights, 1), (weights[::-1].copy(), -1)):
        baseline, _ = BASELINES[name].fit(*contradicted, seed=0, weights=given)
        assert sign * (roc_auc_score(labels, baseline.scores(texts)) - 0.5) > 0.45


@pytest.mark.parametrize("name", [name for name in LIGHT if name not in FAST_TEXT])
def test_equal_weights_change_nothing(name: str) -> None:
    texts, labels = synthetic(2)
    weighted, _ = BASELINES[name].fit(texts, labels, seed=0, weights=np.full(len(texts), 7.0))
    np.testing.assert_allclose(weighted.scores(texts), fitted(name, 2).scores(texts), atol=1e-6)


def words() -> TfidfVectorizer:
    return TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)


def words_and_characters() -> object:
    characters = TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True)
    return make_union(words(), characters)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(
    ("name", "features", "estimator"),
    [
        (
            "TF-IDF words + balanced LR",
            words,
            LogisticRegression(C=10, max_iter=500, class_weight="balanced"),
        ),
        (
            "TF-IDF words, characters + LinearSVC",
            words_and_characters,
            LinearSVC(random_state=0),
        ),
        (
            "TF-IDF words, characters + LR",
            words_and_characters,
            LogisticRegression(C=10, max_iter=500),
        ),
    ],
)
def test_linear_baselines_are_the_plain_pipelines(
    name: str, features: Callable[[], object], estimator: object, classes: int
) -> None:
    plain = make_pipeline(features(), estimator).fit(*synthetic(classes))
    texts, _ = synthetic(classes, count=50)
    scores = fitted(name, classes).scores(texts)
    if "SVC" in name:
        margins = plain.decision_function(texts)
        np.testing.assert_allclose(scores, 1 / (1 + np.exp(-margins)))
        predicted = scores >= 0.5 if classes == 2 else scores.argmax(1)
        np.testing.assert_array_equal(predicted, plain.predict(texts))
    else:
        probabilities = plain.predict_proba(texts)
        np.testing.assert_allclose(scores, probabilities[:, 1] if classes == 2 else probabilities)


def test_fast_text_forgets_no_class_of_a_sorted_file() -> None:
    # Where words say little, the class that is seen last drowns the others: accuracy .33.
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 1000)
    texts = tuple(
        " ".join(
            f"w{word}"
            for word in (*rng.integers(10, size=2) + 10 * label, *rng.integers(30, size=6))
        )
        for label in labels.tolist()
    )
    baseline, _ = BASELINES["fastText default"].fit(texts, labels, seed=0)
    assert accuracy_score(labels, baseline.scores(texts).argmax(1)) > 0.6


@pytest.mark.parametrize("name", FAST_TEXT)
def test_fast_text_reads_one_line_a_text(name: str) -> None:
    first, second, third = (
        fitted(name, 2).scores(("free\r\nPrize !", "FREE prize!", "free")).tolist()
    )
    assert first == second != third


def test_a_text_that_looks_like_a_label_is_a_text() -> None:
    texts, labels = synthetic(2)
    labelled = tuple(f"__label__7 {text} __label__8" for text in texts)
    baseline, _ = BASELINES["fastText default"].fit(labelled, labels, seed=0)
    assert baseline.scores(labelled).shape == (len(texts),)


def test_every_fit_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = synthetic(2, count=60)  # of no other test
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    # Vectorisers and estimator take a tick each; what is shared counts in both.
    for name in ("TF-IDF words, characters + LinearSVC", "TF-IDF words, characters + LR"):
        assert BASELINES[name].fit(texts, labels, seed=0)[1] == 2
    assert BASELINES["fastText default"].fit(texts, labels, seed=0)[1] == 1


def test_microseconds_per_text(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = 0.0
    sizes: list[int] = []

    def score(texts: Sequence[str]) -> None:
        nonlocal clock
        clock += 10e-6 + 2e-6 * len(texts)
        sizes.append(len(texts))
        if len(texts) > 1:
            assert {pool["num_threads"] for pool in threadpool_info()} == {1}

    monkeypatch.setattr(time, "perf_counter", lambda: clock)
    alone, batch = microseconds_per_text(score, ["text"] * 1000)
    assert (alone, batch) == (12, pytest.approx(2 + 10 / 256, abs=0.01))
    assert sizes == [256, *[1] * 512, 256, 256, 256]
    assert microseconds_per_text(score, ["text"] * 100) == (12, 2.1)


@pytest.fixture
def light(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Keep only the light baselines, and fit them in this process, which knows `tiny`."""
    for name in set(BASELINES) - set(LIGHT):
        monkeypatch.delitem(BASELINES, name)
    monkeypatch.setattr(
        runs, "run_parallel", lambda job, jobs, *_, **__: [job(one) for one in jobs]
    )
    monkeypatch.setattr(timing, "TIMED_TEXTS", 20)
    return LIGHT


@dataclass(frozen=True, eq=False)
class Counted(Baseline):
    """A baseline that records each of its fits."""

    name: str
    baseline: Baseline
    done: list[str]

    @property
    def family(self) -> object:
        return self.baseline.family

    def fit(
        self, texts: tuple[str, ...], labels: NDArray[np.int64], seed: int
    ) -> tuple[Fitted, float]:
        self.done.append(self.name)
        return self.baseline.fit(texts, labels, seed)

    def load(self, path: Path) -> Fitted:
        return self.baseline.load(path)


@pytest.fixture
def fits(light: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the baselines that were fitted, one entry per fit."""
    done: list[str] = []
    for name in light:
        monkeypatch.setitem(BASELINES, name, Counted(name, BASELINES[name], done))
    return done


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("tiny", "empty_cache")
def test_runs_are_those_of_the_folds(light: list[str]) -> None:
    found = run_baselines("tiny", (3, 0), Protocol.PAPER)
    assert list(found) == light
    dataset = datasets.load("tiny")
    for name, of_name in found.items():
        for seed, run in zip((3, 0), of_name, strict=True):
            folds = split(dataset, Protocol.PAPER, seed)
            texts, labels = dataset.texts, dataset.labels
            baseline, _ = BASELINES[name].fit(
                tuple(texts[row] for row in folds.train), labels[folds.train], seed
            )
            for scores, rows in (
                (run.validation_scores, folds.validation),
                (run.test_scores, folds.test),
            ):
                np.testing.assert_array_equal(scores, baseline.scores([texts[row] for row in rows]))
            assert run.score_kind == baseline.score_kind
            assert run.train_seconds >= 0
            assert run.bytes > 1000


@pytest.mark.usefixtures("tiny")
def test_finished_fits_are_kept(
    fits: list[str], empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*, seeds: tuple[int, ...] = (0, 1)) -> list[str]:
        fits.clear()
        run_baselines("tiny", seeds, Protocol.GROUPED)
        return sorted(fits)

    first = run_baselines("tiny", (0, 1), Protocol.GROUPED)
    assert sorted(fits) == sorted([*BASELINES, *BASELINES])
    assert again() == []
    kept = run_baselines("tiny", (0, 1), Protocol.GROUPED)
    for name, of_name in kept.items():
        for one, other in zip(of_name, first[name], strict=True):
            np.testing.assert_array_equal(one.test_scores, other.test_scores)
            assert one.train_seconds == other.train_seconds

    kept_fits = empty_cache / "baselines"
    assert len(list(kept_fits.glob("*.model"))) == len(BASELINES), "of seed 0 alone"
    assert not list(kept_fits.glob(".*")), "no partial file stays"
    for suffix in ("json", "model"):
        next(kept_fits.glob(f"*.{suffix}")).unlink()
        assert len(again()) == 1
    assert again(seeds=(2,)) == sorted(BASELINES)
    monkeypatch.setattr(metadata, "version", lambda _: "0.0")
    assert again(seeds=(2,)) == sorted(BASELINES)


@pytest.mark.usefixtures("tiny", "empty_cache")
def test_timing_fits_nothing_that_is_kept(fits: list[str]) -> None:
    assert list(time_baselines("tiny")) == list(BASELINES)
    assert sorted(fits) == sorted(BASELINES)
    fits.clear()
    found = time_baselines("tiny")
    assert fits == []
    assert all(alone > 0 and batch > 0 for alone, batch in found.values())


def test_an_unknown_model_is_an_error() -> None:
    with pytest.raises(DatasetError, match="unknown model 'soup'"):
        run_baselines("soup", (0,), Protocol.GROUPED)


@pytest.mark.parametrize("name", ["TF-IDF words + balanced LR", "fastText default"])
def test_spam_is_found(name: str, data_dir: Path) -> None:
    dataset = datasets.load("spam", data_dir)
    folds = split(dataset, Protocol.GROUPED, seed=0)
    baseline, _ = BASELINES[name].fit(
        tuple(dataset.texts[row] for row in folds.train), dataset.labels[folds.train], seed=0
    )
    labels = {fold: dataset.labels[rows] for fold, rows in folds.rows().items()}
    scores = {
        fold: baseline.scores([dataset.texts[row] for row in rows])
        for fold, rows in folds.rows().items()
    }
    threshold, _ = fit_threshold(labels["validation"], scores["validation"])
    found = evaluate(labels["test"], scores["test"], threshold)
    assert found["macro_f1"] > 0.93
    assert found["auroc"] > 0.985


@pytest.mark.usefixtures("tiny_type", "empty_cache")
def test_finer_labels_are_learned_on_the_same_folds(light: list[str]) -> None:
    name = light[0]
    found = run_baselines("tiny", (0,), Protocol.GROUPED, names=[name], labels_of="tiny_type")
    assert list(found) == [name]
    dataset, finer = datasets.load("tiny"), datasets.load("tiny_type")
    folds = split(dataset, Protocol.GROUPED, 0)
    baseline, _ = BASELINES[name].fit(
        tuple(dataset.texts[row] for row in folds.train), finer.labels[folds.train], 0
    )
    expected = baseline.scores([dataset.texts[row] for row in folds.test])
    assert expected.shape[1] == 3
    np.testing.assert_array_equal(found[name][0].test_scores, expected)


@pytest.mark.usefixtures("tiny", "empty_cache")
def test_model_files_can_be_loaded(light: list[str]) -> None:
    files = model_files("tiny")
    assert list(files) == light
    for name, file in files.items():
        assert BASELINES[name].load(file).scores(["free prize"]).shape == (1,)
