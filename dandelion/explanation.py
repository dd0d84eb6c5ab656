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

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate, zip_longest
from typing import Any, Final, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .decision.rule import Decision
from .engines.attribution import Float64, Layers, log_odds, log_odds_coefficients
from .engines.network import Encoded, Network, binary_logits
from .text import grams, surface
from .text.alignment import Alignment, align
from .text.characters import TextBatch
from .text.grams import GAP, Features
from .text.tokenizer import MENTION, URL, clean, place
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
        values = {name: _listed(value) for name, value in asdict(self).items()}
        del values["label"]
        if not self.windows:
            del values["penalty"], values["windows"]
        return values


def _listed(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


class _Parts(NamedTuple):
    """What an encoded text consists of, each part with its place in the text.

    p parts: every token, then every gram.

    Attributes:
        starts: intp[p], the first character of each.
        stops: intp[p], after its last one.
        vectors: float64[tokens, d], of each token, divided by their number.
        weights: float64[p - tokens, k], of each gram, divided by the root of their number.
        surface: float64[k + e], the average of its rows; empty without a surface.
    """

    starts: NDArray[np.intp]
    stops: NDArray[np.intp]
    vectors: Float64
    weights: Float64
    surface: Float64


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

    def explain(self, text: str, top: int = DEFAULT_TOP) -> Explanation:
        """Explain the logit of a text.

        Args:
            text: raw.
            top: list at most this many spans.

        Raises:
            ValueError: ``top`` is less than 1.
        """
        if top < 1:
            raise ValueError(f"top is {top}; expected at least 1")
        reading = clean(text)
        alignment = align(text, reading)
        cuts = [(0, len(reading))] if self._windows is None else self._windows.spans(reading)
        logits, by_window = self._logits([reading[start:stop] for start, stop in cuts])
        # More than two labels have no windows.
        chosen = int(by_window.argmax())
        start, stop = cuts[chosen]
        target = 0 if self._decision.is_binary else int(logits[0].argmax())
        base, of_surface, spans, apart = self._contributions(reading[start:stop], target)
        found = _in_raw(spans, start, alignment)
        found.sort(key=lambda one: (-one.contribution, one.start))
        logit = float(by_window[chosen])
        penalty = 0.0
        if self._windows is not None and len(cuts) > 1:
            penalty = -self._windows.penalty * float(np.log(len(cuts)))
        return Explanation(
            label=self._decision.labels[1 if self._decision.is_binary else target],
            logit=logit + penalty,
            base=base,
            surface=of_surface,
            penalty=penalty,
            spans=tuple(found[:top]),
            rest=sum(one.contribution for one in found[top:]) + apart,
            windows=_window_logits(cuts, by_window, alignment) if len(cuts) > 1 else (),
        )

    def _logits(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], Float64]:
        """Return the logits of clean texts, float32[n, k], and their log-odds, float64[n]."""
        batch = TextBatch(texts, is_clean=True)
        features = self._features
        encoded = Encoded(
            self._vocabulary.encode_batch(batch),
            None if features is None else grams.encode(batch, features),
            surface.encode(batch) if features is not None and features.surface else None,
        )
        logits = self._network.logits(encoded)
        if self._decision.is_binary:
            return logits, binary_logits(logits).astype(np.float64)
        rows = logits.astype(np.float64)
        return logits, np.array([log_odds(row, _only(row.argmax(), len(row))) for row in rows])

    def _contributions(
        self, text: str, target: int
    ) -> tuple[float, float, "list[tuple[int, int, float]]", float]:
        """Return base, surface, the spans of a clean text, and what belongs to none of them."""
        parts, empty = self._parts(text), self._parts("")
        outputs = len(self._network.output_bias)
        is_positive = _only(target, outputs) ^ self._decision.is_binary
        nothing = np.zeros(self._network.embedding.shape[1])
        average = parts.vectors.sum(axis=0)
        # Extended by the vector of the surface.
        base_input, start, stop = (
            np.append(values, one.surface[outputs:])
            for values, one in ((nothing, empty), (nothing, parts), (average, parts))
        )
        bias = self._network.output_bias.astype(np.float64)
        base = self._layers.logits(base_input) + bias + _wide(empty, outputs)
        with_surface = self._layers.logits(start) + bias + _wide(parts, outputs)
        logits = (
            self._layers.logits(stop) + bias + _wide(parts, outputs) + parts.weights.sum(axis=0)
        )
        coefficients = log_odds_coefficients(base, logits, is_positive)
        of_base = log_odds(base, is_positive)
        if self._gradient == "integrated":
            gradient = self._layers.mean_gradient(start, stop, coefficients)
        else:
            gradient = self._layers.gradient(stop, coefficients)
            deep = coefficients @ (self._layers.logits(stop) - self._layers.logits(start))
            of_base += float(deep - gradient @ (stop - start))
        values = np.append(parts.vectors @ gradient[: len(nothing)], parts.weights @ coefficients)
        spans, apart = _spread(text, parts.starts, parts.stops, values)
        return of_base, float(coefficients @ (with_surface - base)), spans, apart

    def _parts(self, text: str) -> _Parts:
        """Find tokens, grams and surface of a clean text."""
        tokens, starts, stops = _tokens(text)
        ids = self._vocabulary.look_up([tokens]).ids
        vectors = self._network.embedding[ids].astype(np.float64) / max(len(ids), 1)
        outputs = len(self._network.output_bias)
        weights, of_surface = np.zeros((0, outputs)), np.zeros(0)
        batch, features = TextBatch([text], is_clean=True), self._features
        if features is not None and self._network.grams is not None:
            found = grams.encode(batch, features)
            is_gram = found.ids < GAP
            weights = self._network.grams[found.ids[is_gram]].astype(np.float64)
            weights /= np.sqrt(max(found.counts[0], 1))
            # Without the space before the text.
            first, last = (places[is_gram] - 1 for places in grams.spans(batch, features))
            starts, stops = np.append(starts, first), np.append(stops, last)
        if self._network.surface is not None:
            rows = self._network.surface[surface.encode(batch)[0]]
            of_surface = rows.astype(np.float64).mean(axis=0)
        return _Parts(starts, stops, vectors, weights, of_surface)


def _only(position: int, count: int) -> NDArray[np.bool_]:
    is_it: NDArray[np.bool_] = np.arange(count) == position
    return is_it


def _wide(parts: _Parts, outputs: int) -> Float64:
    """Return what the surface adds to the logits, without the deep part: float64[k]."""
    return parts.surface[:outputs] if len(parts.surface) else np.zeros(outputs)


def _tokens(text: str) -> tuple[list[str], NDArray[np.intp], NDArray[np.intp]]:
    """Return the tokens of a clean text and their places in it, not in its lower case."""
    lower = text.lower()
    found = place(lower)
    starts = np.array([start for _, start, _ in found], dtype=np.intp)
    stops = np.array([stop for _, _, stop in found], dtype=np.intp)
    if len(lower) != len(text):
        ends = np.array(list(accumulate(len(one.lower()) for one in text)))
        starts, stops = ends.searchsorted(starts, "right"), ends.searchsorted(stops, "left") + 1
    return [token for token, _, _ in found], starts, stops


def _units(text: str) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return start and stop of the words, runs of signs, links and mentions of a clean text.

    Neighbouring tokens are one word or one run of signs; all but white space is in one.
    """
    tokens, starts, stops = _tokens(text)
    found: list[list[int]] = []
    before = ""
    for token, start, stop in zip(tokens, starts.tolist(), stops.tolist(), strict=True):
        kind = _kind(token)
        overlaps = found and start < found[-1][1]
        if overlaps or (found and start == found[-1][1] and kind == before != "single"):
            found[-1][1] = max(stop, found[-1][1])
            continue
        found.append([start, stop])
        before = kind
    places = np.array(found, dtype=np.intp).reshape(-1, 2)
    return places[:, 0], places[:, 1]


def _kind(token: str) -> str:
    if token in (URL, MENTION):
        return "single"
    # A clitic begins with an apostrophe, and long digits with a bracket.
    return "word" if token[0].isalnum() or (len(token) > 1 and token[1].isalnum()) else "signs"


def _spread(
    text: str, starts: NDArray[np.intp], stops: NDArray[np.intp], values: Float64
) -> tuple["list[tuple[int, int, float]]", float]:
    """Distribute the values of parts over the spans that each of them covers.

    Args:
        text: clean.
        starts: intp[p], the first character of each part.
        stops: intp[p], after its last one.
        values: float64[p].

    Returns:
        Start, stop and sum of each span, and the sum of the parts that cover none.
    """
    firsts, lasts = _units(text)
    begins, ends = lasts.searchsorted(starts, "right"), firsts.searchsorted(stops, "left")
    counts = ends - begins
    covers = counts > 0
    apart = float(values[~covers].sum())
    shares = (values[covers] / counts[covers]).repeat(counts[covers])
    within = np.arange(len(shares)) - (np.cumsum(counts[covers]) - counts[covers]).repeat(
        counts[covers]
    )
    units = begins[covers].repeat(counts[covers]) + within
    sums = np.bincount(units, weights=shares, minlength=len(firsts))
    return list(zip(firsts.tolist(), lasts.tolist(), sums.tolist(), strict=True)), apart


def _in_raw(
    spans: Sequence[tuple[int, int, float]], offset: int, alignment: Alignment
) -> list[Contribution]:
    """Return the spans in the raw text, in its order; those that coincide there are merged."""
    found: list[Contribution] = []
    raw = [alignment.span(offset + start, offset + stop) for start, stop, _ in spans]
    following = [start for start, _ in raw[1:]]
    for (start, stop), after, (_, _, value) in zip_longest(raw, following, spans):
        # The next one begins earlier where only a part of a run was kept.
        end = stop if after is None or after <= start else min(stop, after)
        if found and start < found[-1].end:
            last = found[-1]
            found[-1] = Contribution(last.start, max(last.end, end), last.contribution + value)
        else:
            found.append(Contribution(start, end, value))
    return found


def _window_logits(
    cuts: Sequence[tuple[int, int]], logits: Float64, alignment: Alignment
) -> tuple[WindowLogit, ...]:
    return tuple(
        WindowLogit(*alignment.span(start, stop), logit)
        for (start, stop), logit in zip(cuts, logits.tolist(), strict=True)
    )
