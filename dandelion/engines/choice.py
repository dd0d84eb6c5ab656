"""Two engines that compute the same scores: compiled where it could be built, NumPy everywhere."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate
from types import MappingProxyType
from typing import Any, Final, Literal, Protocol, get_args

import numpy as np
from numpy.typing import NDArray

from ..decision.calibration import Calibration
from ..decision.notices import LOW_SHARE, Notice, notice
from ..text import grams, surface
from ..text.characters import TextBatch
from ..text.grams import Features
from ..text.reading import read
from ..text.tokenizer import is_word, split
from ..text.vocabulary import UNKNOWN_ID, Vocabulary
from ..text.windows import Windows
from . import library
from .compiled import CompiledScorer, Packed
from .network import Encoded, Network, binary_logits, sigmoid, softmax

Engine = Literal["compiled", "numpy"]
EngineChoice = Literal["auto", "compiled", "numpy"]

ENGINES: Final[tuple[EngineChoice, ...]] = get_args(EngineChoice)


# More than the sums of a batch are off by.
_ROUNDING: Final = 1e-3


class Scorer(Protocol):
    """Computes scores in two steps; immutable, so threads may share it."""

    @property
    def name(self) -> Engine:
        """The name of the engine."""

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> Any:
        """Find tokens, grams and surface of texts, which may be in NFKC already."""

    def infer(self, batch: Any) -> NDArray[np.float32]:
        """Score what `encode` found: float32[n], or float32[n, k] for more than two labels."""

    def logits(self, batch: Any) -> NDArray[np.float32]:
        """Return uncalibrated log-odds of the positive label, float32[n]; or float32[n, k]."""

    def notices(self, batch: Any) -> dict[int, Notice]:
        """Return the notice of each text that has one, by its position: of nearly all, none."""

    def restore(self) -> tuple[Vocabulary, Network]:
        """Return vocabulary and weights, for explanations; the compiled engine rebuilds them."""


class NumPyScorer:
    """The engine that defines the scores and is always available.

    Args:
        vocabulary: of v − 1 known tokens.
        features: of the wide path; None without one.
        network: the weights.
        windows: how long texts are cut; None for not at all.
        calibration: of the logits; None for none.
        is_binary: whether there are two labels.
        read: raw text → what the network reads, for ablations; None for `tokenizer.clean`.
    """

    name: Final[Engine] = "numpy"

    def __init__(  # noqa: PLR0913
        self,
        vocabulary: Vocabulary,
        features: Features | None,
        network: Network,
        windows: Windows | None = None,
        *,
        calibration: Calibration | None = None,
        is_binary: bool,
        read: Callable[[str], str] | None = None,
    ) -> None:
        self._vocabulary = vocabulary
        self._features = features
        self._network = network
        self._windows = windows
        self._calibration = calibration
        self._is_binary = is_binary
        self._read = read

    def encode(self, texts: Sequence[str], *, is_nfkc: bool = False) -> Encoded:
        """Find tokens, grams and surface of texts, which may be in NFKC already."""
        if self._read is None:
            batch = read(texts, is_nfkc=is_nfkc)
        else:
            batch = TextBatch(list(map(self._read, texts)), is_clean=True)
        counts = None
        if self._windows is not None:
            cut = list(map(self._windows.cut, batch.texts))
            counts = list(map(len, cut))
            if sum(counts) > len(cut):
                batch = TextBatch([one for windows in cut for one in windows], is_clean=True)
        tokens = self._vocabulary.encode_batch(batch)
        if self._features is None:
            return Encoded(tokens, windows=counts, texts=batch.texts)
        return Encoded(
            tokens,
            grams.encode(batch, self._features),
            surface.encode(batch) if self._features.surface else None,
            counts,
            batch.texts,
        )

    def restore(self) -> tuple[Vocabulary, Network]:
        """Return vocabulary and weights, for explanations."""
        return self._vocabulary, self._network

    def logits(self, batch: Encoded) -> NDArray[np.float32]:
        """Return uncalibrated log-odds of the positive label, float32[n]; or float32[n, k].

        Raises:
            ValueError: the compiled engine encoded it.
        """
        _check(batch)
        logits = self._network.logits(batch)
        if not self._is_binary:
            return logits
        logits = binary_logits(logits)
        if self._windows is None or batch.windows is None:
            return logits
        return self._windows.combine(logits, batch.windows)

    def infer(self, batch: Encoded) -> NDArray[np.float32]:
        """Score what `encode` found: float32[n], or float32[n, k] for more than two labels.

        Raises:
            ValueError: the compiled engine encoded it.
        """
        logits = self.logits(batch)
        compute = sigmoid if self._is_binary else softmax
        return compute(logits if self._calibration is None else self._calibration.logits(logits))

    def notices(self, batch: Encoded) -> dict[int, Notice]:
        """Return the notice of each text that has one, by its position.

        Raises:
            ValueError: the compiled engine encoded it.
        """
        _check(batch)
        ids, bounds = batch.tokens
        rows: Sequence[int] = range(len(bounds))  # text i has the texts encoded from rows[i] on
        if batch.windows is not None and len(batch.windows) < len(batch.texts):
            rows = [0, *accumulate(batch.windows)]
            bounds = bounds[rows]
        # Each known word adds what it has over the share, and each unknown token, which may be a
        # word, lacks it.
        sums = np.zeros(len(ids) + 1)
        self._over_low_share.take(ids).cumsum(out=sums[1:])
        (suspects,) = (sums[bounds[1:]] - sums[bounds[:-1]] < _ROUNDING).nonzero()
        found = {}
        for at in suspects.tolist():
            texts = batch.texts[rows[at] : rows[at + 1]]
            words = sum(is_word(token) for text in texts for token in split(text.lower()))
            known = int(self._vocabulary.words[ids[bounds[at] : bounds[at + 1]]].sum())
            if (of_text := notice(words, known)) is not None:
                found[at] = of_text
        return found

    @cached_property
    def _over_low_share(self) -> NDArray[np.float64]:
        over = np.where(self._vocabulary.words, 1 - LOW_SHARE, 0)
        over[UNKNOWN_ID] = -LOW_SHARE
        return over


def _check(batch: Encoded) -> None:
    """Check that it was not the compiled engine that encoded a batch.

    Raises:
        ValueError: it was.
    """
    if not isinstance(batch, Encoded):
        raise ValueError(  # noqa: TRY004 - the same as the compiled engine's
            "the batch was encoded by another classifier; expected this one's"
        )


def scorer(  # noqa: PLR0913
    vocabulary: Vocabulary,
    features: Features | None,
    network: Network,
    packed: Mapping[str, Packed] = MappingProxyType({}),
    *,
    windows: Windows | None = None,
    calibration: Calibration | None = None,
    is_binary: bool,
    engine: EngineChoice = "auto",
) -> Scorer:
    """Create the scorer of a network; ``auto`` uses the compiled engine where it is available.

    Args:
        vocabulary: of v − 1 known tokens.
        features: of the wide path; None without one.
        network: the weights.
        packed: the tables that int8 represents exactly, see `CompiledScorer`; NumPy needs none.
        windows: how long texts are cut, for two labels only; None for not at all.
        calibration: of the logits; None for none.
        is_binary: whether there are two labels.
        engine: which engine to use.

    Raises:
        KernelError: the compiled engine is requested, but cannot be used.
        ValueError: the engine is unknown.
    """
    if engine not in ENGINES:
        raise ValueError(f"unknown engine {engine!r}; expected one of {', '.join(ENGINES)}")
    if engine == "numpy" or (engine == "auto" and not library.is_available()):
        return NumPyScorer(
            vocabulary,
            features,
            network,
            windows,
            calibration=calibration,
            is_binary=is_binary,
        )
    return CompiledScorer(
        vocabulary,
        features,
        network,
        packed,
        windows=windows,
        calibration=calibration,
        is_binary=is_binary,
    )
