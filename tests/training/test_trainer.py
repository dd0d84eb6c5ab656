"""One fit."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dandelion.vocabulary import TokenBatch
from training import trainer
from training.configuration import Configuration
from training.losses import LOSSES
from training.trainer import Epoch, Fit, Fold, fit

CONFIG = Configuration(
    model="spam",
    variant="test",
    loss="weighted_bce",
    dimensions=4,
    hidden=8,
    batch_size=16,
    epochs=6,
    layer_rate=0.01,
    embedding_rate=0.01,
)


def make_fold(count: int, seed: int) -> Fold:
    """Texts of five tokens; a positive one holds a token from 1 to 4."""
    rng = np.random.default_rng(seed)
    labels = (np.arange(count) % 4 == 0).astype(np.int64)
    ids = rng.integers(5, 20, (count, 5), dtype=np.int32)
    ids[labels == 1, 0] = rng.integers(1, 5, labels.sum())
    return Fold(TokenBatch(ids.ravel(), np.arange(count + 1, dtype=np.int64) * 5), labels)


TRAIN, VALIDATION = make_fold(160, 1), make_fold(40, 2)
EMBEDDING = np.random.default_rng(3).normal(size=(20, 4)).astype(np.float32)


def run(config: Configuration = CONFIG, seed: int = 0) -> Fit:
    return fit(config, TRAIN, VALIDATION, embedding=EMBEDDING, seed=seed)


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns(loss: str) -> None:
    fitted = run(CONFIG.model_copy(update={"loss": loss, "epochs": 15, "patience": 15}))
    assert fitted.history[-1].train["loss"] < fitted.history[0].train["loss"]
    assert max(epoch.macro_f1 for epoch in fitted.history) > 0.75


def test_the_seed_decides_every_weight() -> None:
    first, again, other = (run(seed=seed) for seed in (1, 1, 2))
    for name, weight in first.network.weights().items():
        np.testing.assert_array_equal(again.network.weights()[name], weight)
    assert first.history == again.history
    assert not np.array_equal(first.network.hidden1_weight, other.network.hidden1_weight)


def test_history_tells_loss_accuracy_and_f1_of_both_folds() -> None:
    seen: list[int] = []
    fitted = fit(
        CONFIG,
        TRAIN,
        VALIDATION,
        embedding=EMBEDDING,
        seed=0,
        on_epoch=lambda number, _: seen.append(number),
    )
    assert seen == list(range(1, len(fitted.history) + 1))
    for epoch in fitted.history:
        assert set(epoch.train) == set(epoch.validation) == {"loss", "accuracy", "f1"}
        assert 0 <= epoch.validation["accuracy"] <= 1


def fake_epochs(monkeypatch: pytest.MonkeyPatch, ranks: list[tuple[float, float]]) -> None:
    curves = {"loss": 0.0, "accuracy": 0.0, "f1": 0.0}
    epochs = iter([Epoch(curves, curves, *rank) for rank in ranks])
    monkeypatch.setattr(trainer, "_measure", lambda *_: next(epochs))


def test_it_stops_when_patience_ends_and_restores_the_best(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    config = CONFIG.model_copy(update={"epochs": 30, "patience": 2})
    ranks = [(0.5, 0.5), (0.8, 0.6), (0.8, 0.7), (0.7, 0.9), (0.8, 0.7), (0.9, 0.9)]
    fake_epochs(monkeypatch, ranks)
    fitted = run(config)
    assert len(fitted.history) == 5  # the sixth is never reached
    assert fitted.kept_epoch == 3  # equal macro-F1: average precision decides
    fake_epochs(monkeypatch, ranks[:3])
    three = run(config.model_copy(update={"epochs": 3}))
    np.testing.assert_array_equal(fitted.network.embedding, three.network.embedding)


def test_the_last_epoch_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_epochs(monkeypatch, [(0.9, 0.9), (0.5, 0.5), (0.4, 0.4)])
    config = CONFIG.model_copy(update={"epochs": 3, "patience": 1, "restore": "last"})
    assert run(config).kept_epoch == 3


def test_a_frozen_embedding_stays() -> None:
    frozen = run(CONFIG.model_copy(update={"fine_tune": False}))
    np.testing.assert_array_equal(frozen.network.embedding, EMBEDDING)
    assert not np.array_equal(run().network.embedding, EMBEDDING)


def test_the_two_rates_are_apart() -> None:
    config = CONFIG.model_copy(update={"embedding_rate": 1e-9, "epochs": 1})
    fitted = run(config)
    np.testing.assert_allclose(fitted.network.embedding, EMBEDDING, atol=1e-6)
    torch.manual_seed(0)
    assert np.abs(fitted.network.hidden1_weight).max() > 0.1


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_word_dropout_leaves_a_word_in_every_text(seed: int, share: float) -> None:
    lengths = np.random.default_rng(seed).integers(0, 6, 30)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = TokenBatch(np.arange(offsets[-1], dtype=np.int32), offsets)
    ids, kept = trainer._drop_words(tokens, share, np.random.default_rng(seed))
    for row, length in enumerate(lengths):
        left = ids[kept[row] : kept[row + 1]].tolist()
        assert (len(left) > 0) == (length > 0)
        whole = range(offsets[row], offsets[row + 1])
        assert left == [token for token in whole if token in left]


def test_word_dropout_drops_its_share() -> None:
    offsets = np.arange(0, 50_001, 50)
    tokens = TokenBatch(np.zeros(50_000, dtype=np.int32), offsets)
    ids, _ = trainer._drop_words(tokens, 0.3, np.random.default_rng(0))
    assert len(ids) / 50_000 == pytest.approx(0.7, abs=0.01)
    assert trainer._drop_words(tokens, 0.0, np.random.default_rng(0)) is tokens


@pytest.mark.parametrize("stratified", [False, True])
def test_batches_hold_every_row_once(stratified: bool) -> None:
    config = CONFIG.model_copy(update={"stratified": stratified})
    batches = list(trainer._batches(TRAIN.labels, config, np.random.default_rng(0)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(160))
    assert {len(batch) for batch in batches} == {16}
    positives = {int(TRAIN.labels[batch].sum()) for batch in batches}
    if stratified:
        assert positives <= {3, 4, 5}
    else:
        assert len(positives) > 3


def test_stratified_batches_are_random() -> None:
    config = CONFIG.model_copy(update={"stratified": True})
    rng = np.random.default_rng(0)
    first, second = (next(iter(trainer._batches(TRAIN.labels, config, rng))) for _ in range(2))
    assert sorted(first.tolist()) != sorted(second.tolist())


def test_take_copies_some_texts() -> None:
    tokens = TokenBatch(np.arange(6, dtype=np.int32), np.array([0, 2, 2, 5, 6]))
    ids, offsets = trainer._take(tokens, np.array([2, 1, 0]))
    assert ids.tolist() == [2, 3, 4, 0, 1]
    assert offsets.tolist() == [0, 3, 3, 5]


def test_loss_options_reach_the_loss() -> None:
    config = CONFIG.model_copy(update={"loss": "dice", "epochs": 1})
    plain = run(config)
    smooth = run(config.model_copy(update={"loss_options": {"smoothing": 100.0}}))
    assert plain.history[0].train["loss"] != smooth.history[0].train["loss"]
    assert replace(plain.history[0]) == plain.history[0]
