"""The torch network and the one that is served are the same."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import sparse

from dandelion import Classifier
from dandelion import artifact as artifacts
from dandelion.artifact import Artifact, Golden
from dandelion.engines.network import Encoded, Network
from dandelion.engines.network import binary_logits as reduce_logits
from dandelion.manifest import Manifest
from dandelion.quantization import Precision, quantize
from dandelion.text import surface
from dandelion.text.grams import Features
from dandelion.text.vocabulary import TokenBatch, Vocabulary
from training.data import datasets
from training.model import bags
from training.model.bags import Bags
from training.model.network import Batch, WideAndDeep, binary_logits

from ...conftest import ROOT
from ...dandelion.examples import make_grams

ARTIFACTS = ROOT / "artifacts"


class Sizes(NamedTuple):
    """Of a network; 0 of a part that it lacks."""

    outputs: int
    buckets: int
    surface_rows: int
    surface_dimensions: int


PLAIN = Sizes(outputs=1, buckets=0, surface_rows=0, surface_dimensions=0)
WIDE = Sizes(outputs=3, buckets=16, surface_rows=12, surface_dimensions=4)


def random_module(sizes: Sizes = PLAIN, seed: int = 0, *, fine_tune: bool = True) -> WideAndDeep:
    """Weights everywhere: fresh tables of the wide path would be zeros."""
    torch.manual_seed(seed)
    embedding = np.random.default_rng(seed).normal(size=(30, 5)).astype(np.float32)
    module = WideAndDeep(embedding, hidden=8, fine_tune=fine_tune, **sizes._asdict())
    with torch.no_grad():
        for table in (module.grams, module.surface and module.surface.weight):
            if table is not None:
                table.normal_()
    return module


def module_of(network: Network) -> WideAndDeep:
    """Take a served network's weights back into torch."""
    outputs = len(network.output_bias)
    module = WideAndDeep(
        network.embedding,
        len(network.hidden1_bias),
        fine_tune=False,
        outputs=outputs,
        buckets=0 if network.grams is None else len(network.grams),
        surface_rows=0 if network.surface is None else len(network.surface),
        surface_dimensions=0 if network.surface is None else network.surface.shape[1] - outputs,
    )
    names = {"embedding": "embedding.weight", "surface": "surface.weight"}
    state = {
        names.get(name, name.replace("_weight", ".weight").replace("_bias", ".bias")): weight
        for name, weight in network.weights().items()
    }
    module.load_state_dict({name: torch.tensor(weight) for name, weight in state.items()})
    return module


def forward(module: WideAndDeep, tokens: TokenBatch, counted: Bags | None) -> NDArray[np.float32]:
    batch = Batch(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.offsets))
    if counted is not None:
        surfaces = None if counted.surface is None else torch.from_numpy(counted.surface)
        batch = batch._replace(grams=counted.grams, surface=surfaces)
    with torch.no_grad():
        logits: NDArray[np.float32] = module(batch).numpy()
    return logits


SEEDS = st.integers(0, 2**32 - 1)
LENGTHS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6)), min_size=1, max_size=5)


def ragged_batch(
    sizes: Sizes, lengths: list[tuple[int, int]], seed: int
) -> tuple[Encoded, Bags | None]:
    """Make a batch as it is served, and count its grams by hand as training has them.

    Args:
        sizes: of the network that reads it.
        lengths: of each text, in tokens and in grams.
        seed: of what they are.
    """
    rng = np.random.default_rng(seed)
    offsets = np.cumsum([0, *(tokens for tokens, _ in lengths)], dtype=np.int64)
    tokens = TokenBatch(rng.integers(0, 30, offsets[-1], dtype=np.int32), offsets)
    if not sizes.buckets:
        return Encoded(tokens), None
    grams = [rng.integers(0, sizes.buckets, count).tolist() for _, count in lengths]
    counts = np.zeros((len(lengths), sizes.buckets), dtype=np.float32)
    for row, its_grams in enumerate(grams):
        for gram in its_grams:
            counts[row, gram] += 1 / len(its_grams) ** 0.5
    surfaces = None
    if sizes.surface_rows:
        surfaces = rng.integers(0, sizes.surface_rows, (len(lengths), 3), dtype=np.int32)
    encoded = Encoded(tokens, make_grams(grams), surfaces)
    return encoded, Bags(sparse.csr_array(counts), surfaces)


@pytest.mark.parametrize(
    "sizes",
    [
        PLAIN,
        PLAIN._replace(outputs=4),
        WIDE,
        WIDE._replace(outputs=1, surface_dimensions=0),
        WIDE._replace(surface_rows=0, surface_dimensions=0),
    ],
)
@settings(max_examples=30)
@given(lengths=LENGTHS, seed=SEEDS)
def test_both_agree_on_ragged_batches(
    sizes: Sizes, lengths: list[tuple[int, int]], seed: int
) -> None:
    encoded, counted = ragged_batch(sizes, lengths, seed)
    module = random_module(sizes, seed)
    served = module.export().logits(encoded)
    assert served.shape == (len(encoded.tokens.offsets) - 1, sizes.outputs)
    np.testing.assert_allclose(
        served, forward(module, encoded.tokens, counted), rtol=1e-5, atol=1e-5
    )


@settings(max_examples=30)
@given(LENGTHS, SEEDS)
def test_the_weights_of_grams_become_part_of_their_rows(
    lengths: list[tuple[int, int]], seed: int
) -> None:
    encoded, counted = ragged_batch(WIDE, lengths, seed)
    assert counted is not None
    module = random_module(WIDE, seed)
    weights = np.linspace(0.2, 3, WIDE.buckets, dtype=np.float32)
    trained = forward(module, encoded.tokens, bags.weigh(counted, weights))
    np.testing.assert_allclose(
        module.export(weights).logits(encoded), trained, rtol=1e-5, atol=1e-5
    )


def test_a_plain_export_has_neither_grams_nor_surface() -> None:
    network = random_module(PLAIN).export()
    assert network.grams is None
    assert network.surface is None


def test_an_export_is_a_copy() -> None:
    module = random_module(WIDE)
    network = module.export()
    before = {name: weight.copy() for name, weight in network.weights().items()}
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    for name, weight in network.weights().items():
        np.testing.assert_array_equal(weight, before[name])


def test_a_fresh_wide_path_adds_nothing() -> None:
    embedding = np.ones((4, 5), dtype=np.float32)
    sizes = WIDE._asdict()
    network = WideAndDeep(embedding, hidden=8, fine_tune=True, **sizes).export()
    assert network.grams is not None
    assert network.surface is not None
    assert not network.grams.any()
    assert not network.surface[:, :3].any()
    assert network.surface[:, 3:].any()


def test_frozen_embedding_is_not_trained() -> None:
    assert random_module().embedding.weight.requires_grad
    assert not random_module(fine_tune=False).embedding.weight.requires_grad


def test_frozen_columns_stay_and_change_no_score() -> None:
    embedding = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    batch = Batch(torch.tensor([1, 2, 3, 1]), torch.tensor([0, 2, 2, 4]))

    def fitted(frozen: int) -> WideAndDeep:
        torch.manual_seed(0)
        module = WideAndDeep(embedding, hidden=8, fine_tune=True, frozen=frozen)
        module(batch).square().sum().backward()
        trained = [one for one in module.parameters() if one.grad is not None]
        torch.optim.SGD(trained, lr=0.1).step()
        return module

    moved, held = fitted(0).export(), fitted(2).export()
    np.testing.assert_array_equal(held.embedding[:, 3:], embedding[:, 3:])
    np.testing.assert_allclose(held.embedding[:, :3], moved.embedding[:, :3], rtol=1e-6)
    assert (moved.embedding[1:4, 3:] != embedding[1:4, 3:]).any()
    torch.manual_seed(0)
    whole = WideAndDeep(embedding, hidden=8, fine_tune=False)
    torch.manual_seed(0)
    parted = WideAndDeep(embedding, hidden=8, fine_tune=False, frozen=2)
    torch.testing.assert_close(parted(batch), whole(batch))


def test_gradients_of_the_wide_path_are_those_of_dense_matrices() -> None:
    rng = np.random.default_rng(0)
    counts = rng.integers(0, 3, (6, WIDE.buckets)).astype(np.float32)
    module = random_module(WIDE)
    tokens = TokenBatch(np.arange(6, dtype=np.int32), np.arange(7, dtype=np.int64))
    surfaces = torch.from_numpy(rng.integers(0, WIDE.surface_rows, (6, 3)))
    batch = Batch(torch.from_numpy(tokens.ids), torch.from_numpy(tokens.offsets))
    outer = torch.from_numpy(rng.normal(size=(6, WIDE.outputs)).astype(np.float32))
    module(batch._replace(grams=sparse.csr_array(counts), surface=surfaces)).backward(outer)
    assert module.grams is not None
    assert module.grams.grad is not None
    np.testing.assert_allclose(module.grams.grad, counts.T @ outer.numpy(), rtol=1e-5)


def test_layers_are_all_but_the_tables() -> None:
    module = random_module(WIDE)
    assert module.surface is not None
    tables = {id(module.grams), id(module.surface.weight), id(module.embedding.weight)}
    layers = {id(layer) for layer in module.layers()}
    assert len(layers) == 6
    assert layers | tables == {id(parameter) for parameter in module.parameters()}
    assert not layers & tables


@settings(max_examples=30)
@given(st.integers(1, 5), SEEDS)
def test_binary_logits_are_the_served_ones(outputs: int, seed: int) -> None:
    logits = np.random.default_rng(seed).normal(0, 5, (7, outputs)).astype(np.float32)
    found = binary_logits(torch.from_numpy(logits)).numpy()
    assert found.shape == (7,)
    np.testing.assert_allclose(found, reduce_logits(logits), atol=1e-5)


# On real texts the two code paths differ from the first step on: grams are counted in training,
# and summed one by one when served.


def classifier(vocabulary: Vocabulary, network: Network, **facts: Any) -> Classifier:
    labels = tuple(f"class {label}" for label in range(len(network.output_bias)))
    values = {
        "model": "made_up",
        "variant": "test",
        "task": "multiclass",
        "labels": labels,
        "loss": "cross_entropy",
        "threshold": None,
        "score_kind": "softmax",
        "config": {},
        "dataset": {},
        "protocol": "paper",
        "split": {},
        "seed": 0,
        "metrics": {},
        "library_versions": {},
    }
    return Classifier(
        Artifact(Manifest(**values | facts), vocabulary, network, Golden((), ()))  # type: ignore[arg-type]
    )


FEATURES = Features(bits=14, chars=(2, 5), words=2, signs=True, shapes=True, surface=True)


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("model", ["spam", "cyberbullying"])
def test_both_agree_on_real_texts(data_dir: Path, model: str, precision: Precision) -> None:
    texts = datasets.load(model, data_dir).texts[:1500]
    vocabulary = Vocabulary(sorted({word for text in texts for word in text.lower().split()})[:29])
    sizes = Sizes(3, 2**FEATURES.bits, surface.COUNTS * surface.LEVELS, 4)
    module = random_module(sizes)
    counted = bags.count(texts, FEATURES)
    weights = bags.inverse_document_frequency(counted)
    exported = module.export(weights)
    network = quantize(exported, precision)
    if precision == "float32":
        counted = bags.weigh(counted, weights)
    else:
        assert not np.array_equal(network.weights()["grams"], exported.weights()["grams"])
        module = module_of(network)
    logits = forward(module, vocabulary.encode(texts), counted)
    served = classifier(
        vocabulary,
        network,
        precision=precision,
        features={name: getattr(FEATURES, name) for name in FEATURES.__slots__},
    )
    theirs = torch.from_numpy(logits).softmax(1).numpy()
    np.testing.assert_allclose(served.scores(texts), theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("model", sorted(one.name for one in ARTIFACTS.iterdir() if one.is_dir()))
def test_both_agree_on_real_texts_with_the_shipped_weights(data_dir: Path, model: str) -> None:
    # Any real texts will do; abuse has no benchmark of its own.
    benchmark = model if model in datasets.SOURCES else "cyberbullying"
    texts = datasets.load(benchmark, data_dir).texts[:1500]
    directories = sorted((ARTIFACTS / model).iterdir())
    assert directories
    for directory in directories:
        shipped = artifacts.load(directory)
        # What is compared is the network: windows and calibration have tests of their own.
        shipped = replace(
            shipped, manifest=replace(shipped.manifest, windows=None, calibration=None)
        )
        features = shipped.manifest.wide_features
        counted = None if features is None else bags.count(texts, features)
        module = module_of(shipped.network)
        logits = torch.from_numpy(forward(module, shipped.vocabulary.encode(texts), counted))
        if shipped.manifest.task == "binary":
            theirs = torch.sigmoid(binary_logits(logits))
        else:
            theirs = logits.softmax(1)
        served = Classifier(shipped).scores(texts)
        np.testing.assert_allclose(served, theirs.numpy(), rtol=0, atol=1e-5)
