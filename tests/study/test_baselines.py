"""The peers: what they are, what they give, and that finished fits are kept."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
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
from study import baselines
from study.baselines import PEERS, Fitted, Peer, microseconds_per_text, run_peers, time_peers
from training.data import datasets
from training.data.splits import Protocol, split
from training.errors import DatasetError
from training.quality.metrics import evaluate

WORDS = (
    ["lunch", "home", "mum", "later", "Saturday", "bus"],
    ["prize", "win", "free", "claim", "£1000", "call"],
    ["rain", "cloud", "sunny", "wind", "frost", "storm"],
)
FAST_TEXT = [name for name in PEERS if name.startswith("fastText")]
# Those of hashed n-grams weigh hundreds of megabytes and differ in options alone.
LIGHT = [name for name in PEERS if name not in FAST_TEXT[1:]]
ODD_TEXTS = ("", "  ", "zzxqj", "☃", "__label__1 </s>", "free\nprize\r\n", "FREE prize")


def made_up(classes: int, count: int = 240) -> tuple[tuple[str, ...], NDArray[np.int64]]:
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
    return PEERS[name].fit(*made_up(classes), seed=0)[0]


@pytest.fixture(scope="module", autouse=True)
def _forget_fits() -> Iterator[None]:
    yield
    fitted.cache_clear()  # hundreds of megabytes


@pytest.mark.parametrize("name", PEERS)
def test_two_classes(name: str) -> None:
    texts, labels = made_up(2, count=100)
    peer = fitted(name, 2)
    scores = peer.scores(texts)
    assert (scores.shape, scores.dtype) == ((100,), np.float64)
    assert roc_auc_score(labels, scores) > 0.98
    assert peer.score_kind == ("margin" if "SVC" in name else "sigmoid")


@pytest.mark.parametrize("name", PEERS)
def test_three_classes(name: str) -> None:
    texts, labels = made_up(3, count=100)
    peer = fitted(name, 3)
    scores = peer.scores(texts)
    assert (scores.shape, scores.dtype) == ((100, 3), np.float64)
    assert accuracy_score(labels, scores.argmax(1)) > 0.9
    if "SVC" in name:
        assert peer.score_kind == "margin"
    else:
        assert peer.score_kind == "softmax"
        # fastText's probabilities are off by 1e-5 each.
        np.testing.assert_allclose(scores.sum(1), 1, atol=4e-5)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("name", PEERS)
def test_odd_texts_have_scores(name: str, classes: int) -> None:
    scores = fitted(name, classes).scores(ODD_TEXTS)
    assert scores.shape[0] == len(ODD_TEXTS)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert fitted(name, classes).scores(ODD_TEXTS[:1]) == pytest.approx(scores[:1])


@pytest.mark.parametrize("name", PEERS)
def test_what_is_saved_scores_alike(name: str, tmp_path: Path) -> None:
    file = tmp_path / "saved"
    fitted(name, 3).save(file)
    texts = (*made_up(3, count=20)[0], *ODD_TEXTS)
    loaded = PEERS[name].load(file)
    file.unlink()  # hundreds of megabytes
    np.testing.assert_array_equal(loaded.scores(texts), fitted(name, 3).scores(texts))
    assert loaded.score_kind == fitted(name, 3).score_kind


@pytest.mark.parametrize("name", LIGHT)
def test_the_seed_decides(name: str) -> None:
    texts, labels = made_up(2)
    again, _ = PEERS[name].fit(texts, labels, seed=0)
    np.testing.assert_array_equal(again.scores(texts), fitted(name, 2).scores(texts))
    if name in FAST_TEXT:
        other, _ = PEERS[name].fit(texts, labels, seed=1)
        assert (other.scores(texts) != again.scores(texts)).any()


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
def test_linear_peers_are_the_plain_pipelines(
    name: str, features: Callable[[], object], estimator: object, classes: int
) -> None:
    plain = make_pipeline(features(), estimator).fit(*made_up(classes))
    texts, _ = made_up(classes, count=50)
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
    peer, _ = PEERS["fastText default"].fit(texts, labels, seed=0)
    assert accuracy_score(labels, peer.scores(texts).argmax(1)) > 0.6


@pytest.mark.parametrize("name", FAST_TEXT)
def test_fast_text_reads_one_line_a_text(name: str) -> None:
    first, second, third = (
        fitted(name, 2).scores(("free\r\nPrize !", "FREE prize!", "free")).tolist()
    )
    assert first == second != third


def test_a_text_that_looks_like_a_label_is_a_text() -> None:
    texts, labels = made_up(2)
    labelled = tuple(f"__label__7 {text} __label__8" for text in texts)
    peer, _ = PEERS["fastText default"].fit(labelled, labels, seed=0)
    assert peer.scores(labelled).shape == (len(texts),)


def test_every_fit_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    texts, labels = made_up(2, count=60)  # of no other test
    ticks = iter(range(100))
    monkeypatch.setattr(time, "perf_counter", lambda: next(ticks))
    # Vectorisers and estimator take a tick each; what is shared counts in both.
    for name in ("TF-IDF words, characters + LinearSVC", "TF-IDF words, characters + LR"):
        assert PEERS[name].fit(texts, labels, seed=0)[1] == 2
    assert PEERS["fastText default"].fit(texts, labels, seed=0)[1] == 1


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
    """Leave the light peers, and fit them here, where the tiny data set is known."""
    for name in set(PEERS) - set(LIGHT):
        monkeypatch.delitem(PEERS, name)
    monkeypatch.setattr(
        baselines, "side_by_side", lambda job, jobs, *_, **__: [job(one) for one in jobs]
    )
    monkeypatch.setattr(baselines, "TIMED_TEXTS", 20)
    return LIGHT


@dataclass(frozen=True, eq=False)
class Counted(Peer):
    """A peer that notes each of its fits."""

    name: str
    peer: Peer
    done: list[str]

    @property
    def family(self) -> object:
        return self.peer.family

    def fit(
        self, texts: tuple[str, ...], labels: NDArray[np.int64], seed: int
    ) -> tuple[Fitted, float]:
        self.done.append(self.name)
        return self.peer.fit(texts, labels, seed)

    def load(self, path: Path) -> Fitted:
        return self.peer.load(path)


@pytest.fixture
def fits(light: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the peers that were fitted, one entry a fit."""
    done: list[str] = []
    for name in light:
        monkeypatch.setitem(PEERS, name, Counted(name, PEERS[name], done))
    return done


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.mark.usefixtures("tiny", "empty_cache")
def test_runs_are_those_of_the_folds(light: list[str]) -> None:
    found = run_peers("tiny", (3, 0), Protocol.PAPER)
    assert list(found) == light
    dataset = datasets.load("tiny")
    for name, runs in found.items():
        for seed, run in zip((3, 0), runs, strict=True):
            folds = split(dataset, Protocol.PAPER, seed)
            texts, labels = dataset.texts, dataset.labels
            peer, _ = PEERS[name].fit(
                tuple(texts[row] for row in folds.train), labels[folds.train], seed
            )
            for scores, rows in (
                (run.validation_scores, folds.validation),
                (run.test_scores, folds.test),
            ):
                np.testing.assert_array_equal(scores, peer.scores([texts[row] for row in rows]))
            assert run.score_kind == peer.score_kind
            assert run.train_seconds >= 0
            assert run.bytes > 1000
            for microseconds in (run.us_per_text_1, run.us_per_text_256):
                assert (microseconds is None) == (seed != 0)
                assert microseconds is None or microseconds > 0


@pytest.mark.usefixtures("tiny")
def test_finished_fits_are_kept(
    fits: list[str], empty_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(*, seeds: tuple[int, ...] = (0, 1)) -> list[str]:
        fits.clear()
        run_peers("tiny", seeds, Protocol.GROUPED)
        return sorted(fits)

    first = run_peers("tiny", (0, 1), Protocol.GROUPED)
    assert sorted(fits) == sorted([*PEERS, *PEERS])
    assert again() == []
    kept = run_peers("tiny", (0, 1), Protocol.GROUPED)
    for name, runs in kept.items():
        for one, other in zip(runs, first[name], strict=True):
            np.testing.assert_array_equal(one.test_scores, other.test_scores)
            assert one.train_seconds == other.train_seconds

    peers = empty_cache / "peers"
    assert len(list(peers.glob("*.model"))) == len(PEERS), "of seed 0 alone"
    assert not list(peers.glob(".*")), "nothing half-made stays"
    for suffix in ("json", "model"):
        next(peers.glob(f"*.{suffix}")).unlink()
        assert len(again()) == 1
    assert again(seeds=(2,)) == sorted(PEERS)
    monkeypatch.setattr(baselines.metadata, "version", lambda _: "0.0")
    assert again(seeds=(2,)) == sorted(PEERS)


@pytest.mark.usefixtures("tiny", "empty_cache")
def test_timing_fits_nothing_that_is_kept(fits: list[str]) -> None:
    assert list(time_peers("tiny")) == list(PEERS)
    assert sorted(fits) == sorted(PEERS)
    fits.clear()
    found = time_peers("tiny")
    assert fits == []
    assert all(alone > 0 and batch > 0 for alone, batch in found.values())


def test_an_unknown_model_is_told() -> None:
    with pytest.raises(DatasetError, match="no model 'soup'; there are: spam"):
        run_peers("soup", (0,), Protocol.GROUPED)


@pytest.mark.parametrize("name", ["TF-IDF words + balanced LR", "fastText default"])
def test_spam_is_found(name: str, data_dir: Path) -> None:
    dataset = datasets.load("spam", data_dir)
    folds = split(dataset, Protocol.GROUPED, seed=0)
    peer, _ = PEERS[name].fit(
        tuple(dataset.texts[row] for row in folds.train), dataset.labels[folds.train], seed=0
    )
    labels = {fold: dataset.labels[rows] for fold, rows in folds.rows().items()}
    scores = {
        fold: peer.scores([dataset.texts[row] for row in rows])
        for fold, rows in folds.rows().items()
    }
    threshold, _ = fit_threshold(labels["validation"], scores["validation"])
    found = evaluate(labels["test"], scores["test"], threshold)
    assert found["macro_f1"] > 0.95
    assert found["auroc"] > 0.985
