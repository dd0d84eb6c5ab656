"""The two ways to compute the same scores: compiled where that is possible, NumPy everywhere."""

from collections.abc import Sequence
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from . import grams, kernel, surface
from .artifact import Artifact, packed
from .characters import Page
from .kernel import Kernel
from .network import Encoded, binary_logits, sigmoid, softmax

Engine = Literal["compiled", "numpy"]
EngineChoice = Literal["auto", "compiled", "numpy"]

ENGINES: Final[tuple[EngineChoice, ...]] = get_args(EngineChoice)


class Scorer(Protocol):
    """From texts to scores in two halves; immutable, so threads may share it."""

    @property
    def name(self) -> Engine:
        """What it is called."""

    def encode(self, texts: Sequence[str]) -> Any:
        """Find tokens, grams and surface of texts."""

    def infer(self, batch: Any) -> NDArray[np.float32]:
        """Score what `encode` found: float32[n], or float32[n, k] beyond two labels."""


class NumPyScorer:
    """The engine that defines the scores, and that is always there."""

    name: Final[Engine] = "numpy"

    def __init__(self, source: Artifact) -> None:
        self._vocabulary = source.vocabulary
        self._network = source.network
        self._features = source.features
        self._is_binary = source.manifest.task == "binary"

    def encode(self, texts: Sequence[str]) -> Encoded:
        """Find tokens, grams and surface of texts."""
        page = Page(texts)
        tokens = self._vocabulary.encode_page(page)
        if self._features is None:
            return Encoded(tokens)
        return Encoded(
            tokens,
            grams.encode(page, self._features),
            surface.encode(page) if self._features.surface else None,
        )

    def infer(self, batch: Encoded) -> NDArray[np.float32]:
        """Score what `encode` found: float32[n], or float32[n, k] beyond two labels.

        Raises:
            ValueError: the compiled engine encoded it.
        """
        if not isinstance(batch, Encoded):
            raise ValueError(  # noqa: TRY004 - as the compiled engine has it
                "the batch was encoded by another classifier; give its own encode()'s"
            )
        logits = self._network.logits(batch)
        return sigmoid(binary_logits(logits)) if self._is_binary else softmax(logits)


def scorer(source: Artifact, engine: EngineChoice) -> Scorer:
    """Make an artifact's scorer; ``auto`` takes the compiled engine where there is one.

    Raises:
        KernelError: the compiled engine is asked for, but there is none.
        ValueError: there is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; expected one of {', '.join(ENGINES)}")
    if engine == "numpy" or (engine == "auto" and not kernel.is_available()):
        return NumPyScorer(source)
    return Kernel(
        source.vocabulary,
        source.features,
        source.network,
        packed(source),
        is_binary=source.manifest.task == "binary",
    )
