"""The forward pass against a plain one, a text at a time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from dandelion import network as network_module
from dandelion.network import Network, sigmoid
from dandelion.vocabulary import TokenBatch

ROWS, DIMENSIONS, HIDDEN = 30, 5, 4


def make_network(seed: int = 0) -> Network:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return rng.normal(size=shape).astype(np.float32)

    return Network(
        embedding=draw(ROWS, DIMENSIONS),
        hidden1_weight=draw(HIDDEN, DIMENSIONS),
        hidden1_bias=draw(HIDDEN),
        hidden2_weight=draw(HIDDEN, HIDDEN),
        hidden2_bias=draw(HIDDEN),
        output_weight=draw(1, HIDDEN),
        output_bias=draw(1),
    )


def make_batch(texts: list[list[int]]) -> TokenBatch:
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    return TokenBatch(ids, np.cumsum([0, *map(len, texts)], dtype=np.int64))


def plain_logit(network: Network, text: list[int]) -> float:
    """Compute one text's logit in float64, as the paper writes it."""
    hidden = np.zeros(DIMENSIONS)
    if text:
        hidden = np.mean([network.embedding[token].astype(np.float64) for token in text], axis=0)
    hidden = np.maximum(network.hidden1_weight @ hidden + network.hidden1_bias, 0)
    hidden = np.maximum(network.hidden2_weight @ hidden + network.hidden2_bias, 0)
    return (network.output_weight @ hidden + network.output_bias).item()


TEXTS = st.lists(st.lists(st.integers(0, ROWS - 1), max_size=40), max_size=12)


@pytest.mark.parametrize(
    "texts",
    [[], [[]], [[], [], []], [[], [1]], [[1], [], [2, 3]], [[1], []], [[], [1], [], [], [2], []]],
)
def test_empty_texts(texts: list[list[int]]) -> None:
    network = make_network()
    logits = network.logits(make_batch(texts))
    assert logits.dtype == np.float32
    assert logits.shape == (len(texts),)
    np.testing.assert_allclose(logits, [plain_logit(network, text) for text in texts], atol=1e-5)


@given(TEXTS, st.integers(1, 50))
def test_agrees_with_the_plain_pass_whatever_the_block(
    texts: list[list[int]], block_tokens: int
) -> None:
    network = make_network()
    expected = [plain_logit(network, text) for text in texts]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_module, "_BLOCK_TOKENS", block_tokens)
        np.testing.assert_allclose(network.logits(make_batch(texts)), expected, atol=1e-5)


@given(TEXTS.filter(bool), st.data())
def test_a_score_does_not_depend_on_its_neighbours(
    texts: list[list[int]], data: st.DataObject
) -> None:
    network = make_network()
    order = data.draw(st.permutations(range(len(texts))))
    together = network.scores(make_batch([texts[position] for position in order]))
    for score, position in zip(together, order, strict=True):
        alone = network.scores(make_batch([texts[position]]))[0]
        assert abs(score - alone) <= 1e-6


def test_a_long_text_is_its_average() -> None:
    network = make_network()
    once, often = make_batch([[3, 4, 5]]), make_batch([[3, 4, 5] * 100_000])
    np.testing.assert_allclose(network.logits(often), network.logits(once), atol=1e-4)


def test_sigmoid() -> None:
    logits = np.array([-1e4, -30, -1, 0, 1, 30, 1e4], dtype=np.float32)
    scores = sigmoid(logits)
    assert scores.dtype == np.float32
    expected = [0, np.exp(-30), 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1, 1]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("output_bias", np.zeros(2, dtype=np.float32), r"'output_bias' has shape \(2,\)"),
        ("hidden1_bias", np.zeros(HIDDEN), "'hidden1_bias' has dtype float64"),
        ("hidden2_bias", np.full(HIDDEN, np.nan, dtype=np.float32), "not finite"),
        ("embedding", np.zeros(3, dtype=np.float32), "matrices"),
        ("embedding", np.zeros((0, DIMENSIONS), dtype=np.float32), "at least one row"),
    ],
)
def test_refuses_weights(name: str, value: NDArray[np.float32], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_weights(make_network().weights() | {name: value})


def test_refuses_missing_weights() -> None:
    with pytest.raises(ValueError, match="expected"):
        Network.from_weights({})
