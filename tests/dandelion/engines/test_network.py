"""The forward pass against a plain one for a single text."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from dandelion.engines import network as network_module
from dandelion.engines.network import Encoded, Network, binary_logits, sigmoid, softmax
from dandelion.text.vocabulary import TokenBatch

from ..examples import make_grams, make_network

ROWS, DIMENSIONS, HIDDEN, BUCKETS, SURFACE_ROWS, COUNTS = 30, 5, 4, 16, 12, 3

PLAIN = make_network(rows=ROWS, dimensions=DIMENSIONS, hidden=HIDDEN)
THREE_LOGITS = make_network(rows=ROWS, dimensions=DIMENSIONS, hidden=HIDDEN, outputs=3)
WIDE = make_network(rows=ROWS, dimensions=DIMENSIONS, hidden=HIDDEN, buckets=BUCKETS)
FULL = make_network(
    rows=ROWS,
    dimensions=DIMENSIONS,
    hidden=HIDDEN,
    outputs=3,
    buckets=BUCKETS,
    surface_rows=SURFACE_ROWS,
)
NETWORKS = st.sampled_from([PLAIN, THREE_LOGITS, WIDE, FULL])


class Text(NamedTuple):
    tokens: list[int]
    grams: list[int]
    surface: list[int]


def token_batch(texts: list[list[int]]) -> TokenBatch:
    ids = np.array([token for text in texts for token in text], dtype=np.int32)
    return TokenBatch(ids, np.cumsum([0, *map(len, texts)], dtype=np.int64))


def make_batch(texts: list[Text]) -> Encoded:
    """Encode texts with tokens, grams and surface."""
    return Encoded(
        token_batch([text.tokens for text in texts]),
        make_grams([text.grams for text in texts]),
        np.array([text.surface for text in texts], dtype=np.int32).reshape(-1, COUNTS),
    )


def plain_logits(network: Network, text: Text) -> NDArray[np.float64]:
    """Compute the logits of one text in float64, following the formulas."""
    outputs = len(network.output_bias)
    hidden = np.zeros(DIMENSIONS)
    if text.tokens:
        hidden = np.mean([network.embedding[one].astype(np.float64) for one in text.tokens], axis=0)
    wide = np.zeros(outputs)
    if network.grams is not None and text.grams:
        wide += sum(network.grams[one].astype(np.float64) for one in text.grams) / np.sqrt(
            len(text.grams)
        )
    if network.surface is not None:
        surface = np.mean([network.surface[one].astype(np.float64) for one in text.surface], axis=0)
        wide += surface[:outputs]
        hidden = np.append(hidden, surface[outputs:])
    hidden = np.maximum(network.hidden1_weight @ hidden + network.hidden1_bias, 0)
    hidden = np.maximum(network.hidden2_weight @ hidden + network.hidden2_bias, 0)
    logits: NDArray[np.float64] = network.output_weight @ hidden + network.output_bias + wide
    return logits


TEXT = st.builds(
    Text,
    st.lists(st.integers(0, ROWS - 1), max_size=40),
    st.lists(st.integers(0, BUCKETS - 1), max_size=60),
    st.lists(st.integers(0, SURFACE_ROWS - 1), min_size=COUNTS, max_size=COUNTS),
)
TEXTS = st.lists(TEXT, max_size=12)
NO_TEXT = Text([], [], [0, 4, 8])


@pytest.mark.parametrize("network", [PLAIN, THREE_LOGITS, WIDE, FULL])
@pytest.mark.parametrize(
    "texts",
    [[], [[]], [[], [], []], [[], [1]], [[1], [], [2, 3]], [[1], []], [[], [1], [], [], [2], []]],
)
def test_empty_texts(network: Network, texts: list[list[int]]) -> None:
    encoded = [NO_TEXT._replace(tokens=ids, grams=ids) for ids in texts]
    logits = network.logits(make_batch(encoded))
    assert logits.dtype == np.float32
    assert logits.shape == (len(texts), len(network.output_bias))
    for found, text in zip(logits, encoded, strict=True):
        np.testing.assert_allclose(found, plain_logits(network, text), atol=1e-5)


@given(NETWORKS, TEXTS, st.integers(1, 50))
def test_agrees_with_the_plain_pass_for_any_block_size(
    network: Network, texts: list[Text], block_tokens: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(network_module, "BLOCK_TOKENS", block_tokens)
        logits = network.logits(make_batch(texts))
    for found, text in zip(logits, texts, strict=True):
        np.testing.assert_allclose(found, plain_logits(network, text), atol=2e-5)


@given(NETWORKS, TEXTS.filter(bool), st.data())
def test_a_score_does_not_depend_on_the_other_texts(
    network: Network, texts: list[Text], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(texts))
    together = sigmoid(network.logits(make_batch(order)))
    for scores, text in zip(together, order, strict=True):
        alone = sigmoid(network.logits(make_batch([text])))[0]
        assert np.abs(scores - alone).max() <= 1e-6


def test_a_network_reads_only_the_parts_that_it_has() -> None:
    text = Text([1], [2, 3], [0, 4, 8])
    batch = make_batch([text])
    tokens_alone = Encoded(batch.tokens)
    np.testing.assert_array_equal(PLAIN.logits(tokens_alone), PLAIN.logits(batch))
    with pytest.raises(ValueError, match="the network reads 'grams', but the batch has none"):
        WIDE.logits(tokens_alone)
    with pytest.raises(ValueError, match="the network reads 'surface', but the batch has none"):
        FULL.logits(batch._replace(surface=None))


def test_a_long_text_is_its_average() -> None:
    once, *longer = (
        Encoded(token_batch([[3, 4, 5] * times, *others]))
        for times, others in ((1, []), (500, []), (500, [[6]]), (100_000, []), (100_000, [[6]]))
    )
    for encoded in longer:
        np.testing.assert_allclose(PLAIN.logits(encoded)[:1], PLAIN.logits(once), atol=1e-6)


def test_sigmoid() -> None:
    logits = np.array([-1e4, -30, -1, 0, 1, 30, 1e4], dtype=np.float32)
    scores = sigmoid(logits)
    assert scores.dtype == np.float32
    expected = [0, np.exp(-30), 1 / (1 + np.e), 0.5, np.e / (1 + np.e), 1, 1]
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


# Logits of any size, and close to each other at any size.
LOGITS = hnp.arrays(
    np.float32,
    st.tuples(st.integers(0, 4), st.integers(2, 6)),
    elements=st.floats(-1e4, 1e4, width=32) | st.sampled_from([-1e4, -9999.5, 9999.5, 1e4]),
)


@given(LOGITS)
def test_softmax(logits: NDArray[np.float32]) -> None:
    scores = softmax(logits)
    assert scores.dtype == np.float32
    exact = logits.astype(np.float64)
    powers = np.exp(exact - exact.max(axis=1, keepdims=True))
    np.testing.assert_allclose(scores, powers / powers.sum(axis=1, keepdims=True), atol=1e-6)


@given(LOGITS)
def test_binary_logits_are_the_log_odds_against_the_first_class(
    logits: NDArray[np.float32],
) -> None:
    reduced = binary_logits(logits)
    assert reduced.dtype == np.float32
    exact = logits.astype(np.float64)
    expected = np.logaddexp.reduce(exact[:, 1:], axis=1) - exact[:, 0]
    np.testing.assert_allclose(reduced, expected, rtol=1e-6, atol=1e-6)


@given(LOGITS)
def test_binary_logits_of_two_give_the_softmax_of_the_rest(logits: NDArray[np.float32]) -> None:
    rest = softmax(logits)[:, 1:].sum(axis=1)
    np.testing.assert_allclose(sigmoid(binary_logits(logits)), rest, atol=1e-6)


def test_one_logit_is_its_own_log_odds() -> None:
    logits = np.array([[-1e4], [0.5], [1e4]], dtype=np.float32)
    np.testing.assert_array_equal(binary_logits(logits), logits[:, 0])


def test_saturated_logits() -> None:
    logits = np.array([[1e4, -1e4, -1e4], [-1e4, 1e4, -1e4], [1e4] * 3], dtype=np.float32)
    np.testing.assert_allclose(softmax(logits), [[1, 0, 0], [0, 1, 0], [1 / 3] * 3], rtol=1e-6)
    np.testing.assert_allclose(binary_logits(logits), [-2e4 + np.log(2), 2e4, np.log(2)], rtol=1e-6)


def float32(*shape: int) -> NDArray[np.float32]:
    return np.zeros(shape, dtype=np.float32)


@pytest.mark.parametrize(
    ("network", "name", "value", "message"),
    [
        (PLAIN, "output_bias", float32(2), r"'output_weight' has shape \(1, 4\), expected \(2, 4"),
        (PLAIN, "output_bias", float32(0), "'output_bias' is empty"),
        (PLAIN, "output_bias", float32(), r"'output_bias' has shape \(\), expected \(1,\)"),
        (PLAIN, "hidden1_bias", np.zeros(HIDDEN), "'hidden1_bias' has dtype float64"),
        (PLAIN, "hidden2_bias", np.full_like(float32(HIDDEN), np.nan), "not finite"),
        (PLAIN, "embedding", float32(3), "matrices"),
        (PLAIN, "embedding", float32(0, DIMENSIONS), "not empty"),
        (PLAIN, "embedding", float32(ROWS, 3), "reads 5 numbers, but 'embedding' has 3"),
        (FULL, "embedding", float32(ROWS, 8), "reads 7 numbers, but 'embedding' has 8"),
        (WIDE, "grams", float32(BUCKETS, 2), r"'grams' has shape \(16, 2\), expected \(16, 1\)"),
        (WIDE, "grams", float32(BUCKETS), r"'grams' has shape \(16,\), expected \(16, 1\)"),
        (WIDE, "grams", float32(), r"'grams' has shape \(\), expected"),
        (WIDE, "grams", np.zeros((BUCKETS, 1)), "'grams' has dtype float64"),
        (
            WIDE,
            "grams",
            np.full_like(float32(BUCKETS, 1), np.inf),
            "'grams' contains a value",
        ),
        (FULL, "surface", float32(9, 3), r"'surface' has shape \(9, 3\), expected \(9, 5\)"),
        (FULL, "surface", float32(), r"'surface' has shape \(\), expected"),
    ],
)
def test_refuses_weights(
    network: Network, name: str, value: NDArray[np.float32], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Network.from_weights(network.weights() | {name: value})


@pytest.mark.parametrize("network", [PLAIN, WIDE, FULL])
def test_weights_round_trip(network: Network) -> None:
    weights = network.weights()
    assert ("grams" in weights, "surface" in weights) == (
        network.grams is not None,
        network is FULL,
    )
    again = Network.from_weights(weights).weights()
    assert list(again) == list(weights)
    assert all(again[name] is weight for name, weight in weights.items())


@pytest.mark.parametrize("missing", ["embedding", "output_bias"])
def test_refuses_missing_weights(missing: str) -> None:
    weights = FULL.weights()
    del weights[missing]
    with pytest.raises(ValueError, match=r"expected .*'embedding'.* and optionally .'grams'"):
        Network.from_weights(weights)


def test_refuses_unknown_weights() -> None:
    with pytest.raises(ValueError, match=r"weights are .*'other'.*expected"):
        Network.from_weights(PLAIN.weights() | {"other": float32(1)})
