"""The torch network and the one that is served are the same."""

from pathlib import Path

import numpy as np
import pytest
import torch

from dandelion import artifact
from dandelion.vocabulary import TokenBatch
from training import datasets
from training.network import DeepAveragingNetwork

ARTIFACTS = Path(__file__).parent.parent.parent / "artifacts"


def random_module(*, fine_tune: bool = True) -> DeepAveragingNetwork:
    torch.manual_seed(0)
    embedding = np.random.default_rng(0).normal(size=(30, 5)).astype(np.float32)
    return DeepAveragingNetwork(embedding, hidden=8, fine_tune=fine_tune)


def forward(module: DeepAveragingNetwork, batch: TokenBatch) -> np.ndarray:
    with torch.no_grad():
        logits = module(torch.from_numpy(batch.ids), torch.from_numpy(batch.offsets))
    return logits.numpy()


def test_both_agree_on_a_ragged_batch_with_empty_texts() -> None:
    module = random_module()
    ids = np.array([3, 7, 0, 29, 1], dtype=np.int32)
    batch = TokenBatch(ids, np.array([0, 0, 2, 2, 5, 5], dtype=np.int64))
    np.testing.assert_allclose(module.export().logits(batch), forward(module, batch), atol=1e-5)


def test_export_and_back() -> None:
    network = random_module().export()
    again = DeepAveragingNetwork.from_network(network).export()
    for name, weight in network.weights().items():
        np.testing.assert_array_equal(again.weights()[name], weight)


def test_frozen_embedding_is_not_trained() -> None:
    assert random_module().embedding.weight.requires_grad
    assert not random_module(fine_tune=False).embedding.weight.requires_grad


@pytest.mark.parametrize("model", ["spam", "cyberbullying"])
def test_both_agree_on_real_texts_with_the_shipped_weights(data_dir: Path, model: str) -> None:
    texts = datasets.load(model, data_dir).texts[:3000]
    directories = sorted((ARTIFACTS / model).iterdir())
    assert directories
    for directory in directories:
        shipped = artifact.load(directory)
        batch = shipped.vocabulary.encode(texts)
        module = DeepAveragingNetwork.from_network(shipped.network)
        theirs = torch.sigmoid(torch.from_numpy(forward(module, batch))).numpy()
        np.testing.assert_allclose(shipped.network.scores(batch), theirs, rtol=0, atol=1e-5)
