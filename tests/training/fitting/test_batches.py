"""Which texts an epoch draws, and the batches they form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.text.vocabulary import TokenBatch
from training.configuration import Configuration, Sampling
from training.fitting.batches import (
    Fold,
    batches_per_epoch,
    draw,
    drop_words,
    sampled_priors,
    sampling_record,
    take_tokens,
)
from training.quality.metrics import Labels

CONFIG = Configuration(model="spam", variant="test", loss="bce", batch_size=16)

# Every fourth text is positive; of four classes the shares are 1/2, 1/4, 1/8 and 1/8.
OF_TWO = (np.arange(160) % 4 == 0).astype(np.int64)
OF_FOUR = np.array([0, 1, 0, 2, 0, 1, 0, 3])[np.arange(160) % 8]


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_word_dropout_leaves_a_word_in_every_text(seed: int, share: float) -> None:
    lengths = np.random.default_rng(seed).integers(0, 6, 30)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    tokens = TokenBatch(np.arange(offsets[-1], dtype=np.int32), offsets)
    ids, kept = drop_words(tokens, share, np.random.default_rng(seed))
    for row, length in enumerate(lengths):
        left = ids[kept[row] : kept[row + 1]].tolist()
        assert (len(left) > 0) == (length > 0)
        whole = range(offsets[row], offsets[row + 1])
        assert left == [token for token in whole if token in left]


def test_word_dropout_drops_its_share() -> None:
    offsets = np.arange(0, 50_001, 50)
    tokens = TokenBatch(np.zeros(50_000, dtype=np.int32), offsets)
    ids, _ = drop_words(tokens, 0.3, np.random.default_rng(0))
    assert len(ids) / 50_000 == pytest.approx(0.7, abs=0.01)
    assert drop_words(tokens, 0.0, np.random.default_rng(0)) is tokens


def test_take_copies_some_texts() -> None:
    tokens = TokenBatch(np.arange(6, dtype=np.int32), np.array([0, 2, 2, 5, 6]))
    ids, offsets = take_tokens(tokens, np.array([2, 1, 0]))
    assert ids.tolist() == [2, 3, 4, 0, 1]
    assert offsets.tolist() == [0, 3, 3, 5]


@pytest.mark.parametrize("sampling", list(Sampling))
def test_classes_are_drawn_by_the_shares_that_are_recorded(sampling: Sampling) -> None:
    config = CONFIG.model_copy(update={"sampling": sampling, "batch_size": 64})
    labels = OF_FOUR
    rng = np.random.default_rng(0)
    epochs = [draw(labels, config, rng) for _ in range(50)]
    drawn = np.concatenate([rows for batches in epochs for rows in batches])
    shares = np.bincount(labels[drawn]) / len(drawn)
    assert shares == pytest.approx(sampled_priors(labels, config), abs=0.02)
    assert set(drawn.tolist()) == set(range(160))  # drawn anew, every text has its turn


@pytest.mark.parametrize("stratified", [False, True])
def test_batches_hold_every_row_once(stratified: bool) -> None:
    config = CONFIG.model_copy(update={"stratified": stratified})
    batches = list(draw(OF_TWO, config, np.random.default_rng(0)))
    assert sorted(np.concatenate(batches).tolist()) == list(range(160))


def test_oversampling_repeats_all_texts_alike() -> None:
    labels = np.array([1] * 7 + [0] * 17)
    config = CONFIG.model_copy(update={"sampling": Sampling.OVERSAMPLE})
    rows = np.concatenate(list(draw(labels, config, np.random.default_rng(0))))
    counts = np.bincount(rows)
    assert sorted(counts[:7].tolist()) == [2] * 4 + [3] * 3
    assert counts[7:].tolist() == [1] * 17


def test_batches_are_drawn_anew() -> None:
    for sampling in Sampling:
        config = CONFIG.model_copy(update={"stratified": True, "sampling": sampling})
        rng = np.random.default_rng(0)
        first, second = (next(iter(draw(OF_TWO, config, rng))) for _ in range(2))
        assert sorted(first.tolist()) != sorted(second.tolist())


@pytest.mark.parametrize("batch", [0, 4, 9])
def test_every_stratified_batch_has_its_share_on_average(batch: int) -> None:
    """Also the first and the last one: 3 of 30 texts are positive, so each batch has 0 or 1."""
    labels = (np.arange(30) % 10 == 0).astype(np.int64)
    config = CONFIG.model_copy(update={"stratified": True, "batch_size": 3})
    rng = np.random.default_rng(0)
    counts = [int(labels[list(draw(labels, config, rng))[batch]].sum()) for _ in range(600)]
    assert set(counts) == {0, 1}
    # Unshifted, the first batch would always begin with a text of each class.
    assert 0.2 < np.mean(counts) < 0.4


@pytest.mark.parametrize("sampling", list(Sampling))
@pytest.mark.parametrize("labels", [OF_TWO, OF_FOUR])
def test_the_batches_of_an_epoch_are_counted_in_advance(
    sampling: Sampling, labels: np.ndarray
) -> None:
    config = CONFIG.model_copy(update={"sampling": sampling, "batch_size": 7})
    batches = list(draw(labels, config, np.random.default_rng(0)))
    assert len(batches) == batches_per_epoch(labels, config)
    assert max(map(len, batches)) <= 7


def test_what_sampling_changes_is_recorded() -> None:
    fold = fold_of(OF_TWO)
    assert sampling_record(fold, CONFIG) is None
    config = CONFIG.model_copy(update={"sampling": Sampling.OVERSAMPLE})
    assert sampling_record(fold, config) == {
        "method": "oversample",
        "prior": [0.75, 0.25],
        "sampled_prior": [0.5, 0.5],
    }


def test_what_weights_change_is_recorded() -> None:
    weights = np.where(OF_TWO == 1, 9.0, 1.0)
    assert sampling_record(replace(fold_of(OF_TWO), weights=weights), CONFIG) == {
        "method": "weights",
        "prior": [0.75, 0.25],
        "sampled_prior": [0.25, 0.75],
    }


def fold_of(labels: Labels) -> Fold:
    """A fold of empty texts."""
    empty = TokenBatch(np.array([], np.int64), np.zeros(len(labels) + 1, np.int64))
    return Fold(empty, labels)
