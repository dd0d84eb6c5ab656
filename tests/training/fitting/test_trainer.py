"""One fit."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from dandelion.decision.threshold import fit_threshold
from dandelion.engines.network import Encoded, Network, binary_logits, sigmoid
from dandelion.text import grams, surface
from dandelion.text.characters import TextBatch
from dandelion.text.vocabulary import TokenBatch
from training.configuration import Configuration, Sampling, Wide
from training.fitting import trainer
from training.fitting.batches import (
    Fold,
)
from training.fitting.trainer import Curves, Epoch, Fit, fit
from training.losses.registry import LOSSES, Registered
from training.model import bags

CONFIG = Configuration(
    model="spam",
    variant="test",
    loss="weighted_bce",
    dimensions=8,
    hidden=8,
    batch_size=16,
    epochs=6,
    layer_rate=0.01,
    embedding_rate=0.01,
)
CLASSES = CONFIG.model_copy(update={"loss": "cross_entropy"})
EAGER = {"hidden": 32, "word_dropout": 0.0, "layer_rate": 0.02, "embedding_rate": 0.05}
SHORT = CONFIG.model_copy(update={"epochs": 2, "restore": "last"})
WIDE = CONFIG.model_copy(
    update={"wide": Wide(bits=8, chars=None, surface_dimensions=2, rate=0.05), "epochs": 3}
)


def make_ids(labels: NDArray[np.int64], seed: int) -> TokenBatch:
    """Texts of three tokens; one of class c > 0 begins with a token of 4 c − 3 … 4 c."""
    rng = np.random.default_rng(seed)
    ids = rng.integers(13, 20, (len(labels), 3), dtype=np.int32)
    marked = labels > 0
    ids[marked, 0] = 4 * labels[marked] - rng.integers(0, 4, marked.sum())
    return TokenBatch(ids.ravel(), np.arange(len(labels) + 1, dtype=np.int64) * 3)


def make_fold(count: int, seed: int) -> Fold:
    """Every fourth text is positive."""
    labels = (np.arange(count) % 4 == 0).astype(np.int64)
    return Fold(make_ids(labels, seed), labels)


def make_classes(count: int, seed: int) -> Fold:
    """Half of the texts are of class 0, a quarter of class 1, an eighth of 2 and of 3."""
    labels = np.array([0, 1, 0, 2, 0, 1, 0, 3])[np.arange(count) % 8]
    return Fold(make_ids(labels, seed), labels)


def with_types(fold: Fold) -> Fold:
    """Learn whether there is a class, and which."""
    return replace(fold, labels=(fold.labels > 0).astype(np.int64), types=fold.labels)


def texts_of(fold: Fold) -> list[str]:
    """Return texts with these tokens, for the wide path."""
    return [" ".join(f"w{one}" for one in row) for row in fold.tokens.ids.reshape(-1, 3).tolist()]


def widened(fold: Fold, config: Configuration = WIDE) -> Fold:
    assert config.wide is not None
    return replace(fold, bags=bags.count(texts_of(fold), config.wide.features()))


TRAIN, VALIDATION = make_fold(160, 1), make_fold(40, 2)
TRAIN_CLASSES, VALIDATION_CLASSES = make_classes(160, 1), make_classes(80, 2)
EMBEDDING = np.random.default_rng(3).normal(size=(20, 8)).astype(np.float32)


def run(config: Configuration = CONFIG, seed: int = 0) -> Fit:
    return fit(config, TRAIN, VALIDATION, embedding=EMBEDDING, seed=seed)


def run_classes(config: Configuration = CLASSES, seed: int = 0) -> Fit:
    folds = TRAIN_CLASSES, VALIDATION_CLASSES
    return fit(config, *folds, embedding=EMBEDDING, classes=4, seed=seed)


def run_types(config: Configuration, seed: int = 0) -> Fit:
    folds = with_types(TRAIN_CLASSES), with_types(VALIDATION_CLASSES)
    return fit(config, *folds, embedding=EMBEDDING, seed=seed)


def run_wide(config: Configuration = WIDE, seed: int = 0) -> Fit:
    folds = widened(TRAIN, config), widened(VALIDATION, config)
    return fit(config, *folds, embedding=EMBEDDING, seed=seed)


def untrained(config: Configuration, runs: Callable[[Configuration], Fit] = run) -> Network:
    """Return the network as it starts."""
    still = {"layer_rate": 1e-30, "embedding_rate": 1e-30, "epochs": 1}
    return runs(config.model_copy(update=still)).network


def assert_equal(first: Network, second: Network, tolerance: float = 0) -> None:
    for name, weight in first.weights().items():
        np.testing.assert_allclose(
            second.weights()[name], weight, rtol=0, atol=tolerance, err_msg=name
        )


def differ(first: Network, second: Network) -> bool:
    return not np.array_equal(first.hidden1_weight, second.hidden1_weight)


class Batches(NamedTuple):
    """What a loss was called with in training.

    Attributes:
        targets: of each batch.
        priors: of each batch.
    """

    targets: list[NDArray[Any]]
    priors: list[float | Tensor]


@pytest.fixture
def spy(monkeypatch: pytest.MonkeyPatch) -> Batches:
    """A binary loss named ``spy``, which records its arguments."""
    seen = Batches([], [])

    def loss(logits: Tensor, targets: Tensor, prior: float) -> Tensor:
        if logits.requires_grad:  # curves are measured without
            seen.targets.append(targets.numpy())
            seen.priors.append(prior)
        return logits.mean()

    monkeypatch.setitem(LOSSES, "spy", Registered(loss))
    return seen


# Every loss


def losses(task: str) -> list[str]:
    return [name for name, loss in LOSSES.items() if loss.task == task]


# The gradient of the ratio is the same for every text, and the majority has more of them.
HELP = {"nll_ratio": {"sampling": Sampling.OVERSAMPLE}}


@pytest.mark.parametrize("loss", losses("binary"))
def test_every_binary_loss_learns(loss: str) -> None:
    fitted = run(CONFIG.model_copy(update={"loss": loss, "epochs": 4} | EAGER | HELP.get(loss, {})))
    assert fitted.history[-1]["train"]["loss"] < fitted.history[0]["train"]["loss"]
    assert max(epoch["macro_f1"] for epoch in fitted.history) > 0.9
    assert len(fitted.network.output_bias) == 1


@pytest.mark.parametrize("loss", losses("multiclass"))
def test_every_loss_of_classes_learns(loss: str) -> None:
    fitted = run_classes(CLASSES.model_copy(update={"loss": loss, "epochs": 10} | EAGER))
    assert fitted.history[-1]["train"]["loss"] < fitted.history[0]["train"]["loss"]
    assert max(epoch["macro_f1"] for epoch in fitted.history) > 0.7
    assert len(fitted.network.output_bias) == 4


def test_the_loss_gets_the_share_of_positives(spy: Batches) -> None:
    run(SHORT.model_copy(update={"loss": "spy"}))
    assert set(spy.priors) == {0.25}
    assert {targets.dtype for targets in spy.targets} == {np.dtype(np.float32)}


def test_a_loss_of_classes_gets_every_share(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[float]] = []

    def loss(logits: Tensor, targets: Tensor, priors: Tensor) -> Tensor:
        assert targets.dtype == torch.int64
        seen.append(priors.tolist())
        return logits.mean()

    monkeypatch.setitem(LOSSES, "spy", Registered(loss, "multiclass", "softmax"))
    run_classes(CLASSES.model_copy(update={"loss": "spy", "epochs": 1}))
    assert seen
    assert all(priors == [0.5, 0.25, 0.125, 0.125] for priors in seen)


def test_loss_options_reach_the_loss() -> None:
    config = SHORT.model_copy(update={"loss": "dice"})
    smooth = config.model_copy(update={"loss_options": {"smoothing": 100.0}})
    assert run(config).history[0]["train"]["loss"] != run(smooth).history[0]["train"]["loss"]


# Determinism and history


@pytest.mark.parametrize("runs", [run, run_wide, run_classes])
def test_the_seed_decides_every_weight(runs: Callable[..., Fit]) -> None:
    first, again, other = (runs(seed=seed) for seed in (1, 1, 2))
    assert_equal(first.network, again.network)
    assert first.history == again.history
    assert differ(first.network, other.network)


def test_torch_is_left_as_it_was() -> None:
    before = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    run(SHORT)
    assert before == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())


def test_history_has_loss_accuracy_and_f1_of_both_folds() -> None:
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
        assert set(epoch["train"]) == set(epoch["validation"]) == {"loss", "accuracy", "f1"}
        assert 0 <= epoch["validation"]["accuracy"] <= 1


def test_the_last_entry_is_of_the_last_network() -> None:
    fitted = run(SHORT)
    labels = VALIDATION.labels
    logits = binary_logits(fitted.network.logits(Encoded(VALIDATION.tokens)))
    predicted = logits >= 0
    last = fitted.history[-1]
    assert last["validation"]["accuracy"] == (predicted == labels).mean()
    hits = (predicted & (labels == 1)).sum()
    assert last["validation"]["f1"] == pytest.approx(2 * hits / (predicted.sum() + labels.sum()))
    assert last["macro_f1"] == pytest.approx(fit_threshold(labels, sigmoid(logits))[1])


def test_of_classes_the_highest_logit_counts() -> None:
    fitted = run_classes(CLASSES.model_copy(update={"epochs": 3, "restore": "last"}))
    logits = fitted.network.logits(Encoded(VALIDATION_CLASSES.tokens))
    predicted = logits.argmax(axis=1)
    labels = VALIDATION_CLASSES.labels
    last = fitted.history[-1]
    assert last["validation"]["accuracy"] == (predicted == labels).mean()
    f1s = [
        2 * ((predicted == one) & (labels == one)).sum()
        / ((predicted == one).sum() + (labels == one).sum())
        for one in range(4)
    ]  # fmt: skip
    assert last["macro_f1"] == last["validation"]["f1"] == pytest.approx(np.mean(f1s))


def fake_epochs(monkeypatch: pytest.MonkeyPatch, ranks: list[tuple[float, float]]) -> None:
    curves = Curves(loss=0.0, accuracy=0.0, f1=0.0)
    epochs = iter(
        [
            Epoch(train=curves, validation=curves, macro_f1=macro_f1, average_precision=precision)
            for macro_f1, precision in ranks
        ]
    )
    monkeypatch.setattr(trainer, "measure", lambda *_: next(epochs))


RANKS = [(0.5, 0.5), (0.8, 0.6), (0.8, 0.7), (0.7, 0.9), (0.8, 0.7), (0.9, 0.9)]


@pytest.mark.parametrize("averaging", [0.0, 0.9])
def test_it_stops_when_patience_ends_and_restores_the_best(
    monkeypatch: pytest.MonkeyPatch, averaging: float
) -> None:
    config = CONFIG.model_copy(update={"epochs": 30, "patience": 2, "averaging": averaging})
    fake_epochs(monkeypatch, RANKS)
    fitted = run(config)
    assert len(fitted.history) == 5  # the sixth is never reached
    assert fitted.kept_epoch == 3  # equal macro-F1: average precision decides
    fake_epochs(monkeypatch, RANKS[:3])
    assert_equal(run(config.model_copy(update={"epochs": 3})).network, fitted.network)


def test_the_last_epoch_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_epochs(monkeypatch, RANKS)
    config = CONFIG.model_copy(update={"epochs": 5, "patience": 1, "restore": "last"})
    fitted = run(config)
    assert (fitted.kept_epoch, len(fitted.history)) == (5, 5)
    fake_epochs(monkeypatch, RANKS)
    assert differ(run(config.model_copy(update={"restore": "best"})).network, fitted.network)


# What is trained, and how fast


def test_a_frozen_embedding_stays() -> None:
    frozen = run(CONFIG.model_copy(update={"fine_tune": False}))
    np.testing.assert_array_equal(frozen.network.embedding, EMBEDDING)
    assert not np.array_equal(run().network.embedding, EMBEDDING)


RATES = {
    "layer_rate": ("hidden1_weight", "hidden2_bias", "output_weight"),
    "embedding_rate": ("embedding",),
    "rate": ("grams",),
    "surface_rate": ("surface",),
}


@pytest.mark.parametrize("rate", RATES)
def test_every_part_has_its_own_rate(rate: str) -> None:
    changes: dict[str, Any] = {"epochs": 1}
    if rate in Wide.model_fields:
        changes["wide"] = WIDE.wide.model_copy(update={rate: 1e-30})  # type: ignore[union-attr]
    else:
        changes[rate] = 1e-30
    still = {"layer_rate": 1e-30, "embedding_rate": 1e-30, "epochs": 1}
    wide = WIDE.wide.model_copy(update={"rate": 1e-30, "surface_rate": 1e-30})  # type: ignore[union-attr]
    start = run_wide(WIDE.model_copy(update=still | {"wide": wide})).network.weights()
    found = run_wide(WIDE.model_copy(update=changes)).network.weights()
    for name in RATES[rate]:
        np.testing.assert_allclose(found[name], start[name], rtol=0, atol=1e-20)
    for name in (name for other in RATES.keys() - {rate} for name in RATES[other]):
        assert np.abs(found[name] - start[name]).max() > 1e-4, name


def test_decay_shrinks_the_wide_path() -> None:
    def size(decay: float) -> float:
        wide = WIDE.wide.model_copy(update={"decay": decay})  # type: ignore[union-attr]
        grams = run_wide(WIDE.model_copy(update={"wide": wide, "epochs": 2})).network.grams
        assert grams is not None
        return float(np.abs(grams).mean())

    assert size(0.1) < size(1e-5) / 2


def test_weight_decay_shrinks_the_layers() -> None:
    start = untrained(SHORT).hidden2_weight
    decayed = untrained(SHORT.model_copy(update={"weight_decay": 1e29}))
    # Decoupled: each of ten steps takes away the rate times the decay of a weight.
    np.testing.assert_allclose(decayed.hidden2_weight, start * 0.9**10, rtol=1e-5)


@pytest.mark.parametrize("sampling", list(Sampling))
def test_a_cosine_ends_at_nothing(monkeypatch: pytest.MonkeyPatch, sampling: Sampling) -> None:
    made: list[torch.optim.lr_scheduler.LRScheduler] = []

    class Remembered(torch.optim.lr_scheduler.CosineAnnealingLR):
        def __init__(self, optimizer: torch.optim.Optimizer, steps: int) -> None:
            super().__init__(optimizer, steps)
            made.append(self)

    monkeypatch.setattr(torch.optim.lr_scheduler, "CosineAnnealingLR", Remembered)
    rates: list[list[float]] = []
    config = WIDE.model_copy(
        update={"schedule": "cosine", "sampling": sampling, "epochs": 4, "patience": 4}
    )
    fit(
        config,
        widened(TRAIN),
        widened(VALIDATION),
        embedding=EMBEDDING,
        seed=0,
        on_epoch=lambda *_: rates.append([rate for one in made for rate in one.get_last_lr()]),
    )
    shares = (1 + np.cos(np.pi * np.arange(1, 5) / 4)) / 2
    start = [0.01, 0.01, 0.05, 0.03]  # layers, embedding, grams, surface
    np.testing.assert_allclose(rates, np.outer(shares, start), rtol=1e-6, atol=1e-12)


def test_a_constant_schedule_is_the_default() -> None:
    constant = SHORT.model_copy(update={"schedule": "constant"})
    assert_equal(run(SHORT).network, run(constant).network)
    assert differ(run(SHORT).network, run(SHORT.model_copy(update={"schedule": "cosine"})).network)


def test_averaging_is_exponential() -> None:
    # A batch an epoch: every epoch's network is a step of the average.
    config = CONFIG.model_copy(update={"batch_size": 160, "restore": "last"})
    steps = [
        run(config.model_copy(update={"epochs": epochs})).network.weights()
        for epochs in (1, 2, 3)
    ]  # fmt: skip
    averaged = run(config.model_copy(update={"epochs": 3, "averaging": 0.75})).network
    for name, weight in averaged.weights().items():
        expected = 0.75 * (0.75 * steps[0][name] + 0.25 * steps[1][name]) + 0.25 * steps[2][name]
        np.testing.assert_allclose(weight, expected, rtol=0, atol=1e-6)


def test_the_average_is_what_is_measured() -> None:
    config = SHORT.model_copy(update={"averaging": 0.9})
    fitted = run(config)
    logits = binary_logits(fitted.network.logits(Encoded(VALIDATION.tokens)))
    accuracy = ((logits >= 0) == VALIDATION.labels).mean()
    assert fitted.history[-1]["validation"]["accuracy"] == accuracy
    assert fitted.history != run(SHORT).history


def test_prior_bias_starts_at_the_log_odds() -> None:
    config = SHORT.model_copy(update={"prior_bias": True})
    np.testing.assert_allclose(untrained(config).output_bias, [np.log(40 / 120)], rtol=1e-6)
    assert untrained(SHORT).output_bias[0] != pytest.approx(np.log(40 / 120), rel=1e-3)


def test_prior_bias_of_classes_and_types() -> None:
    shares = np.log([1 / 2, 1 / 4, 1 / 8, 1 / 8])
    classes = CLASSES.model_copy(update={"prior_bias": True})
    np.testing.assert_allclose(untrained(classes, run_classes).output_bias, shares, rtol=1e-6)
    types = CONFIG.model_copy(update={"prior_bias": True, "types_weight": 1.0})
    np.testing.assert_allclose(untrained(types, run_types).output_bias, shares, rtol=1e-6)


@pytest.mark.parametrize(
    ("runs", "loss", "entropy"),
    [(run, "mse", "bce"), (run_classes, "softmax_dice", "cross_entropy")],
)
def test_a_warm_up_is_under_cross_entropy(
    runs: Callable[..., Fit], loss: str, entropy: str
) -> None:
    config = SHORT.model_copy(update={"loss": loss})
    plain = runs(config).network
    never_over = runs(config.model_copy(update={"warm_up_epochs": 2})).network
    assert_equal(runs(config.model_copy(update={"loss": entropy})).network, never_over)
    half = runs(config.model_copy(update={"warm_up_epochs": 1})).network
    assert differ(half, plain)
    assert differ(half, never_over)


def test_a_warm_up_leaves_types_out() -> None:
    config = SHORT.model_copy(update={"types_weight": 5.0, "warm_up_epochs": 2})
    bce = config.model_copy(update={"loss": "bce", "types_weight": 0.0, "warm_up_epochs": 0})
    assert_equal(run_types(config).network, run_types(bce).network)


def test_clipping_holds_the_layers_gradient() -> None:
    start = untrained(SHORT)
    # Adam divides by the gradient's size, but for its ε = 1e-8: less than that hardly moves.
    tiny = run(SHORT.model_copy(update={"clip_norm": 1e-14})).network
    np.testing.assert_allclose(tiny.hidden1_weight, start.hidden1_weight, rtol=0, atol=1e-6)
    assert np.abs(tiny.embedding - EMBEDDING).max() > 0.05
    assert_equal(run(SHORT).network, run(SHORT.model_copy(update={"clip_norm": 1e9})).network)


def test_the_logit_penalty_holds_logits_small() -> None:
    def size(penalty: float) -> float:
        network = run(CONFIG.model_copy(update={"logit_penalty": penalty} | EAGER)).network
        return float(np.abs(network.logits(Encoded(VALIDATION.tokens))).mean())

    assert size(10.0) < size(0.0) / 4


def test_the_objective_by_hand() -> None:
    config = SHORT.model_copy(update={"loss": "bce", "types_weight": 0.5, "logit_penalty": 0.25})
    fitted = run_types(config)
    fold = with_types(VALIDATION_CLASSES)
    assert fold.types is not None
    logits = fitted.network.logits(Encoded(fold.tokens)).astype(np.float64)
    powers = np.exp(logits)
    shares = powers / powers.sum(axis=1, keepdims=True)
    positive = 1 - shares[:, 0]
    entropy = -np.log(np.where(fold.labels == 1, positive, shares[:, 0])).mean()
    of_types = -np.log(shares[np.arange(len(fold.types)), fold.types]).mean()
    expected = entropy + 0.5 * of_types + 0.25 * (logits**2).mean()
    assert fitted.history[-1]["validation"]["loss"] == pytest.approx(expected, rel=1e-4)


def test_types_give_a_logit_each_and_are_learnt() -> None:
    config = CONFIG.model_copy(update={"types_weight": 1.0, "epochs": 10} | EAGER)
    network = run_types(config).network
    assert len(network.output_bias) == 4
    logits = network.logits(Encoded(VALIDATION_CLASSES.tokens))
    labels = VALIDATION_CLASSES.labels
    assert (logits.argmax(axis=1) == labels).mean() > 0.8
    assert ((binary_logits(logits) >= 0) == (labels > 0)).mean() > 0.9


# The wide path


@pytest.mark.parametrize("idf", [True, False])
def test_the_fitted_network_is_the_served_one(idf: bool) -> None:
    """From raw text, unweighted: what a gram counts is part of its weight."""
    wide = WIDE.wide.model_copy(update={"idf": idf})  # type: ignore[union-attr]
    config = WIDE.model_copy(update={"wide": wide, "restore": "last", "loss": "bce"})
    fitted = run_wide(config)
    batch = TextBatch(texts_of(VALIDATION))
    encoded = Encoded(
        VALIDATION.tokens, grams.encode(batch, wide.features()), surface.encode(batch)
    )  # fmt: skip
    logits = binary_logits(fitted.network.logits(encoded)).astype(np.float64)
    margins = np.where(VALIDATION.labels == 1, logits, -logits)
    assert fitted.history[-1]["validation"]["loss"] == pytest.approx(
        np.logaddexp(0, -margins).mean(), rel=1e-4
    )
    assert fitted.network.surface is not None
    assert fitted.network.surface.shape == (surface.COUNTS * surface.LEVELS, 3)


def test_grams_are_weighted_by_the_training_fold() -> None:
    wide = WIDE.wide.model_copy(update={"idf": False})  # type: ignore[union-attr]
    by_hand = WIDE.model_copy(update={"wide": wide})
    train, validation = widened(TRAIN), widened(VALIDATION)
    assert train.bags is not None
    assert validation.bags is not None
    weights = bags.inverse_document_frequency(train.bags)
    fitted = fit(
        by_hand,
        replace(train, bags=bags.weigh(train.bags, weights)),
        replace(validation, bags=bags.weigh(validation.bags, weights)),
        embedding=EMBEDDING,
        seed=0,
    )
    weighed = run_wide(WIDE)
    assert weighed.history == fitted.history
    assert fitted.network.grams is not None
    np.testing.assert_allclose(
        weighed.network.grams, fitted.network.grams * weights[:, None], rtol=1e-6
    )


def test_the_wide_path_learns_what_the_deep_one_cannot_see() -> None:
    blind = {"embedding": np.zeros_like(EMBEDDING), "seed": 0}
    config = WIDE.model_copy(update={"fine_tune": False, "epochs": 10, "patience": 10})
    deep = fit(config.model_copy(update={"wide": None}), TRAIN, VALIDATION, **blind)
    wide = fit(config, widened(TRAIN), widened(VALIDATION), **blind)
    assert max(epoch["average_precision"] for epoch in deep.history) < 0.5
    assert max(epoch["average_precision"] for epoch in wide.history) > 0.95


# What an epoch draws reaches the loss


def sampled(sampling: Sampling, **changes: Any) -> Configuration:
    return SHORT.model_copy(update={"loss": "spy", "sampling": sampling} | changes)


@pytest.mark.parametrize(
    ("sampling", "negatives", "positives"),
    [
        (Sampling.NONE, 120, 40),
        (Sampling.OVERSAMPLE, 120, 120),
        (Sampling.UNDERSAMPLE, 40, 40),
    ],
)
@pytest.mark.parametrize("stratified", [False, True])
def test_an_epoch_draws_what_its_sampling_says(
    spy: Batches, sampling: Sampling, negatives: int, positives: int, stratified: bool
) -> None:
    run(sampled(sampling, stratified=stratified))
    epochs = np.split(np.concatenate(spy.targets), 2)
    for epoch in epochs:
        assert (len(epoch) - epoch.sum(), epoch.sum()) == (negatives, positives)
    share = positives / (positives + negatives)
    assert set(spy.priors) == {share}
    assert {len(targets) for targets in spy.targets} == {16}
    by_batch = {int(targets.sum()) for targets in spy.targets}
    if stratified:
        assert max(by_batch) <= 16 * share + 1
        assert min(by_batch) >= 16 * share - 1
    else:
        assert len(by_batch) > 3


@pytest.mark.parametrize("stratified", [False, True])
def test_effective_numbers_draw_by_chance(spy: Batches, stratified: bool) -> None:
    run(sampled(Sampling.EFFECTIVE_NUMBER, epochs=20, stratified=stratified))
    # Cui et al. 2019: a class of n texts weighs as (1 − βⁿ) / (1 − β), β = .999.
    effective = np.array([1 - 0.999**120, 1 - 0.999**40]) / (1 - 0.999)
    chances = np.array([120, 40]) / effective
    expected = chances[1] / chances.sum()
    assert spy.priors == [pytest.approx(expected)] * 200
    drawn = np.concatenate(spy.targets)
    assert len(drawn) == 20 * 160
    assert drawn.mean() == pytest.approx(expected, abs=0.03)  # three standard errors
    if stratified:
        for epoch in np.split(drawn, 20):
            batches = epoch.reshape(10, 16).sum(axis=1)
            assert np.ptp(batches) <= 2
