"""Which parts of a text move its logit, and by how much.

    logit = base + surface + penalty + contributions of spans + rest

The logit is the uncalibrated one: the log-odds of the positive label or, with more than two labels,
of the chosen label against all others. It is explained from an empty text on:

- *base* is the logit of the empty text;
- *surface* is what the surface of the text (`dandelion.text.surface`) changes in it. It describes
  the text as a whole, and is not spread over it;
- a *span* is a word, a run of signs, a link or a mention. Its tokens enter by integrated gradients
  along the line from no tokens to the average of all, its grams by their weights. A gram that
  covers several spans counts for each of them in equal parts;
- *rest* is the sum of the spans that are not listed, which are those that raise the logit least;
- *penalty* is that of `dandelion.text.windows`. The window with the largest logit is explained,
  since the others do not enter the logit.

A contribution is a fact about this model and not a reason why the text is what it is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain, pairwise
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .decision.rule import Decision
from .engines.attribution import Float64, Layers, log_odds, log_odds_coefficients
from .engines.network import Encoded, Network, binary_logits
from .spans import PlacedTokens, find_tokens, in_raw, units
from .text import grams, surface
from .text.alignment import Alignment, align
from .text.characters import TextBatch
from .text.grams import GAP, Features
from .text.tokenizer import clean
from .text.vocabulary import Vocabulary
from .text.windows import Windows

DEFAULT_TOP: Final = 10
MAX_SPANS: Final = 50
"""What the service and the command list of a text at most."""

Gradient = Literal["integrated", "local"]


@dataclass(frozen=True, slots=True)
class Contribution:
    """A span of the raw text and what it adds to the logit.

    Attributes:
        start: the place of its first character, in code points of the raw text.
        end: the place after its last character.
        contribution: to the logit; below 0 if the span lowers it.
    """

    start: int
    end: int
    contribution: float


@dataclass(frozen=True, slots=True)
class WindowLogit:
    """A window of a long text.

    Attributes:
        start: the place of its first character, in code points of the raw text.
        end: the place after its last character.
        logit: uncalibrated.
    """

    start: int
    end: int
    logit: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """How the logit of a text comes about; the parts add up to it.

    Attributes:
        label: whose logit it is: the positive label; with more than two, the chosen one.
        logit: uncalibrated: the log-odds of the label.
        base: the logit of the empty text.
        surface: what the surface of the text adds.
        penalty: for several windows, at most 0.
        spans: those that raise the logit most, the largest contribution first; disjoint.
        rest: the sum of all other contributions.
        windows: in the order of the text; empty for a text that is not cut.
    """

    label: str
    logit: float
    base: float
    surface: float
    penalty: float
    spans: tuple[Contribution, ...]
    rest: float
    windows: tuple[WindowLogit, ...]

    def to_json(self) -> dict[str, Any]:
        """Return what a response of the service has: penalty and windows only if there are any."""
        values = {
            "logit": self.logit,
            "base": self.base,
            "surface": self.surface,
            "penalty": self.penalty,
            "spans": [
                {"start": one.start, "end": one.end, "contribution": one.contribution}
                for one in self.spans
            ],
            "rest": self.rest,
            "windows": [
                {"start": one.start, "end": one.end, "logit": one.logit} for one in self.windows
            ],
        }
        if not self.windows:
            del values["penalty"], values["windows"]
        return values


class _Read(NamedTuple):
    """A batch of n clean texts, and what the network reads of them.

    Attributes:
        batch: the texts.
        tokens: n times those of a text.
        encoded: the same for the network.
    """

    batch: TextBatch
    tokens: Sequence[PlacedTokens]
    encoded: Encoded


class _Parts(NamedTuple):
    """What a batch of n texts consists of, each part with its place in the batch.

    p parts: every token, then every gram.

    Attributes:
        starts: intp[p], the first character of each.
        stops: intp[p], after its last one.
        texts: intp[p], the text of each.
        vectors: float64[tokens, d], of each token, divided by their number in the text.
        weights: float64[p - tokens, k], of each gram, divided by the root of that number.
        averages: float64[n, d], the sums of the vectors.
        sums: float64[n, k], those of the weights.
        surface: float64[n, k + e], the average of its rows; [n, k] zeros without a surface.
    """

    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    texts: NDArray[np.intp]
    vectors: Float64
    weights: Float64
    averages: Float64
    sums: Float64
    surface: Float64


class _Contributions(NamedTuple):
    """What the parts of n texts add to their log-odds.

    Attributes:
        base: of the empty text, for the target of each.
        surface: float64[n].
        values: float64[p], of each part.
    """

    base: list[float]
    surface: Float64
    values: Float64


class Explainer:
    """Explains the logits of one model; immutable, so threads may share it.

    Args:
        vocabulary: of the known tokens.
        features: of the wide path; None without one.
        network: the weights.
        windows: how long texts are cut; None for not at all.
        decision: the labels.
        gradient: how tokens enter: by integrated gradients or, for comparison, by the gradient at
            the text itself, times the input; then ``base`` holds what this leaves.
    """

    def __init__(  # noqa: PLR0913
        self,
        vocabulary: Vocabulary,
        features: Features | None,
        network: Network,
        windows: Windows | None,
        decision: Decision,
        *,
        gradient: Gradient = "integrated",
    ) -> None:
        self._vocabulary = vocabulary
        self._features = features
        self._network = network
        self._windows = windows
        self._decision = decision
        self._gradient = gradient
        self._layers = Layers.of(network)
        self._empty = self._parts(self._read([""])).surface[0]

    def explain(self, text: str, top: int = DEFAULT_TOP) -> Explanation:
        """Explain the logit of a text, see `explain_batch`."""
        return self.explain_batch([text], top)[0]

    def explain_batch(self, texts: Sequence[str], top: int = DEFAULT_TOP) -> list[Explanation]:
        """Explain the logits of texts; each is explained as it would be alone, but for rounding.

        Args:
            texts: raw; memory grows with their length.
            top: list at most this many spans of each text.

        Raises:
            ValueError: ``top`` is less than 1.
        """
        if top < 1:
            raise ValueError(f"top is {top}; expected at least 1")
        if not texts:
            return []
        readings = [clean(text) for text in texts]
        cuts = [
            [(0, len(one))] if self._windows is None else self._windows.spans(one)
            for one in readings
        ]
        windows = [
            one[start:stop] for one, own in zip(readings, cuts, strict=True) for start, stop in own
        ]
        read = self._read(windows)
        logits, of_windows = self._logits(read.encoded)
        ends = list(accumulate(map(len, cuts), initial=0))
        by_text = [of_windows[first:last] for first, last in pairwise(ends)]
        chosen = [int(own.argmax()) for own in by_text]
        if len(windows) > len(texts):
            read = self._read(
                [windows[first + one] for first, one in zip(ends[:-1], chosen, strict=True)]
            )
        # More than two labels have no windows.
        targets = [0] * len(texts) if self._decision.is_binary else logits.argmax(axis=1).tolist()
        parts = self._parts(read)
        found = self._contributions(parts, targets)
        spans, apart = _spread(read, parts, found.values)
        explanations = []
        for row, (text, reading, own) in enumerate(zip(texts, readings, cuts, strict=True)):
            alignment = align(text, reading)
            listed = in_raw(spans[row], own[chosen[row]][0], alignment)
            listed.sort(key=lambda one: (-one[2], one[0]))
            penalty = 0.0
            if self._windows is not None and len(own) > 1:
                penalty = -self._windows.penalty * float(np.log(len(own)))
            explanations.append(
                Explanation(
                    label=self._decision.labels[1 if self._decision.is_binary else targets[row]],
                    logit=float(by_text[row][chosen[row]]) + penalty,
                    base=found.base[row],
                    surface=float(found.surface[row]),
                    penalty=penalty,
                    spans=tuple(Contribution(*one) for one in listed[:top]),
                    rest=sum(value for _, _, value in listed[top:]) + float(apart[row]),
                    windows=_window_logits(own, by_text[row], alignment) if len(own) > 1 else (),
                )
            )
        return explanations

    def _read(self, texts: Sequence[str]) -> _Read:
        """Find tokens, grams and surface of clean texts."""
        batch, features = TextBatch(texts, is_clean=True), self._features
        tokens = [find_tokens(text) for text in texts]
        encoded = Encoded(
            self._vocabulary.look_up(one.tokens for one in tokens),
            None if features is None else grams.encode(batch, features),
            surface.encode(batch) if features is not None and features.surface else None,
        )
        return _Read(batch, tokens, encoded)

    def _logits(self, encoded: Encoded) -> tuple[NDArray[np.float32], Float64]:
        """Return the logits of n texts, float32[n, k], and their log-odds, float64[n]."""
        logits = self._network.logits(encoded)
        if self._decision.is_binary:
            return logits, binary_logits(logits).astype(np.float64)
        rows = logits.astype(np.float64)
        return logits, np.array([log_odds(row, _only(row.argmax(), len(row))) for row in rows])

    def _contributions(self, parts: _Parts, targets: Sequence[int]) -> _Contributions:
        """Return what the parts of n texts add, given the logit that is explained of each."""
        bias = self._network.output_bias.astype(np.float64)
        outputs, dimensions = len(bias), parts.averages.shape[1]
        # Extended by the vector of the surface.
        empty = np.append(np.zeros(dimensions), self._empty[outputs:])
        starts = np.hstack([np.zeros_like(parts.averages), parts.surface[:, outputs:]])
        stops = np.hstack([parts.averages, parts.surface[:, outputs:]])
        base = self._layers.logits(empty) + bias + self._empty[:outputs]
        deep, wide = self._layers.logits(starts), bias + parts.surface[:, :outputs]
        with_surface = deep + wide
        deep_change = self._layers.logits(stops) - deep
        logits = with_surface + deep_change + parts.sums
        coefficients = np.empty_like(logits)  # [n, k]
        gradients = np.empty_like(stops)  # [n, d + e]
        of_base = []
        for row, target in enumerate(targets):
            is_positive = _only(target, outputs) ^ self._decision.is_binary
            coefficients[row] = log_odds_coefficients(base, logits[row], is_positive)
            of_base.append(log_odds(base, is_positive))
            start, stop, own = starts[row], stops[row], coefficients[row]
            if self._gradient == "integrated":
                gradients[row] = self._layers.mean_gradient(start, stop, own)
            else:
                gradients[row] = self._layers.gradient(stop, own)
                of_base[row] += float(own @ deep_change[row] - gradients[row] @ (stop - start))
        by_token = gradients[parts.texts[: len(parts.vectors)], :dimensions]
        by_gram = coefficients[parts.texts[len(parts.vectors) :]]
        values = np.append(
            # Not a product of matrices, so that equal tokens get equal values.
            np.einsum("td,td->t", parts.vectors, by_token),
            np.einsum("gk,gk->g", parts.weights, by_gram),
        )
        of_surface = np.einsum("nk,nk->n", coefficients, with_surface - base)
        return _Contributions(of_base, of_surface, values)

    def _parts(self, read: _Read) -> _Parts:
        """Look up the weights of what was found in n texts."""
        batch, features, network = read.batch, self._features, self._network
        before = (batch.bounds[:-1] + 1).repeat([len(one.tokens) for one in read.tokens])
        starts = before + _joined(one.starts for one in read.tokens)
        stops = before + _joined(one.stops for one in read.tokens)
        ids, offsets = read.encoded.tokens
        counts = np.diff(offsets)
        texts = np.arange(len(counts)).repeat(counts)
        vectors = network.embedding[ids].astype(np.float64) / counts[texts, None]
        outputs, size = len(network.output_bias), len(counts)
        averages = np.zeros((size, network.embedding.shape[1]))
        filled = np.flatnonzero(counts)
        averages[filled] = np.add.reduceat(vectors, offsets[filled], axis=0)
        weights, sums = np.zeros((0, outputs)), np.zeros((size, outputs))
        of_surface = np.zeros((size, outputs))
        found = read.encoded.grams
        if features is not None and found is not None and network.grams is not None:
            is_gram = found.ids < GAP
            buckets, rows = found.pairs()
            weights = network.grams[buckets].astype(np.float64)
            weights /= np.sqrt(found.counts)[rows, None]
            for column in range(outputs):
                sums[:, column] = np.bincount(rows, weights[:, column], size)
            first, last = (places[is_gram] for places in grams.spans(batch, features))
            starts, stops = np.append(starts, first), np.append(stops, last)
            texts = np.append(texts, rows)
        if network.surface is not None and read.encoded.surface is not None:
            of_surface = network.surface[read.encoded.surface].mean(axis=1, dtype=np.float64)
        return _Parts(starts, stops, texts, vectors, weights, averages, sums, of_surface)


def _joined(places: Iterable[list[int]]) -> NDArray[np.intp]:
    return np.fromiter(chain.from_iterable(places), np.intp)


def _only(position: int, count: int) -> NDArray[np.bool_]:
    is_it: NDArray[np.bool_] = np.arange(count) == position
    return is_it


def _spread(
    read: _Read, parts: _Parts, values: Float64
) -> tuple["list[list[tuple[int, int, float]]]", Float64]:
    """Distribute the values of parts over the spans that each of them covers.

    Args:
        read: n texts.
        parts: p parts.
        values: float64[p], of each part.

    Returns:
        Start, stop and sum of each span of each text, and the sums of the parts that cover none,
        float64[n].
    """
    spans = [units(one) for one in read.tokens]
    offsets = list(accumulate(map(len, spans), initial=0))
    places = np.array([*chain.from_iterable(spans)], dtype=np.intp).reshape(-1, 2)
    places += (read.batch.bounds[:-1] + 1).repeat([len(one) for one in spans])[:, None]
    begins = places[:, 1].searchsorted(parts.starts, "right")
    counts = places[:, 0].searchsorted(parts.stops, "left") - begins
    covers = counts > 0
    apart = np.bincount(parts.texts[~covers], values[~covers], len(spans)).astype(np.float64)
    begins, counts, values = begins[covers], counts[covers], values[covers]
    shares = (values / counts).repeat(counts)
    within = np.arange(len(shares)) - (np.cumsum(counts) - counts).repeat(counts)
    sums = np.bincount(begins.repeat(counts) + within, shares, len(places)).tolist()
    return [
        [(start, stop, value) for (start, stop), value in zip(own, sums[first:last], strict=True)]
        for own, (first, last) in zip(spans, pairwise(offsets), strict=True)
    ], apart


def _window_logits(
    cuts: Sequence[tuple[int, int]], logits: Float64, alignment: Alignment
) -> tuple[WindowLogit, ...]:
    return tuple(
        WindowLogit(*alignment.span(start, stop), logit)
        for (start, stop), logit in zip(cuts, logits.tolist(), strict=True)
    )
