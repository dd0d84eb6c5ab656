"""The decision record: a line of JSON for each text that was decided on, without the text."""

import hmac
import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import accumulate, chain, count, islice, repeat
from typing import Any, Final, Literal, NamedTuple, Protocol, TypeVar

import msgspec
from msgspec import Struct
from starlette.types import Scope

from dandelion.decision.rule import Decided, Decision, Verdict
from dandelion.manifest import Manifest

from .classification import Batch, Encode
from .extras import Extras

T = TypeVar("T")

# Lines that are encoded at a time: the event loop waits for a thread that does so.
_CHUNK: Final = 128
_NO_EXTRAS: Final = Extras()

_encode_lines: Final = msgspec.json.Encoder().encode_lines


class Line(Struct, frozen=True, kw_only=True, gc=False):
    """The decision on one text.

    Attributes:
        id: the decision id of the response, a dot, and the text's position in the request.
        time: RFC 3339, UTC.
        key: name of the API key; None without keys.
        request_id: as in the header X-Request-ID.
        checksum: the artifact's content hash, SHA-256 in hexadecimal.
        generation: of the models; None if it is not known.
        policy: that was in force; None for none, as for what a request asks for itself.
        operating_point: what the threshold was fitted to; None if it was given as a number.
        threshold: positive at ``score >= threshold``; None for more than two labels.
        review_threshold: for review from there on; None for no review band.
        prior: that scores were corrected to; None for no correction.
        score: in [0, 1], of the positive label; with more than two labels, of the chosen one. None
            for a text without content, with two labels.
        decision: under a policy or an operating point, or on a text without content.
        low_evidence: whether few of the text's words are known.
        hmac: HMAC-SHA-256 of the text as it was sent, in UTF-8, in hexadecimal; None without a key.
    """

    id: str
    time: str
    key: str | None
    request_id: str
    model: str
    variant: str
    checksum: str
    generation: int | None
    policy: str | None
    operating_point: str | None
    threshold: float | None
    review_threshold: float | None
    prior: float | None
    score: float | None
    label: str
    decision: Verdict | None
    reason: Literal["no_content"] | None
    low_evidence: bool
    hmac: str | None


class Made(NamedTuple):
    """The decisions on a batch.

    Attributes:
        batch: as it was decoded: its texts as they were sent.
        decision: the rule that was applied.
        decided: its result.
        extras: the errors of texts, which get no line.
    """

    batch: Batch
    decision: Decision
    decided: Decided
    extras: Extras = _NO_EXTRAS

    @property
    def places(self) -> int:
        """How many texts were sent, whatever they are."""
        undecoded = () if self.batch.extras is None else self.batch.extras.errors
        return len(self.batch.texts) + len(undecoded)


class File(Protocol):
    """Where the lines go."""

    def append(self, lines: bytes, count: int) -> bool:
        """Append lines, all or none; returns whether they are in the file."""

    def close(self) -> None:
        """Close the file, if it is open."""


class DecisionRecord:
    """Records the decisions of requests, before their responses are encoded.

    Args:
        file: where the lines go.
        key: of the HMAC of each text; None for no HMAC.
        generation: of the models, if it is known.
    """

    def __init__(self, file: File, key: bytes | None = None, generation: int | None = None) -> None:
        self._file = file
        self._key = key
        self._generation = generation

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def attach(
        self, scope: Scope, decode: Callable[[bytes], Batch], encode: Encode[T]
    ) -> tuple[Callable[[bytes], Batch], Encode[T]]:
        """Return the two steps of a request so that its decisions are recorded in between.

        Then ``scope["decision_id"]`` is the id of the response; without any line it is absent.

        Args:
            scope: ASGI's, with its request id.
            decode: turns the body into a batch, whose texts are as they were sent.
            encode: turns the decisions into a response.
        """
        recording = _Recording(self, scope, decode, encode)
        return recording.decode, recording.encode

    def write(self, scope: Scope, made: Sequence[Made]) -> None:
        """Write the lines of a request; if they are in the file, the scope gets a ``decision_id``.

        Args:
            scope: ASGI's, with its request id.
            made: the decisions on each of its batches. Positions count through all of them.
        """
        lines = sum(len(one.decided.positions) for one in made)
        if not lines:
            return
        decision_id = secrets.token_hex(16)
        starts = accumulate((one.places for one in made), initial=0)
        found = chain.from_iterable(
            self._lines(f"{decision_id}.", start, one, scope["request_id"])
            for start, one in zip(starts, made, strict=False)
        )
        chunks = iter(lambda: list(islice(found, _CHUNK)), [])
        if self._file.append(b"".join(map(_encode_lines, chunks)), lines):
            scope["decision_id"] = decision_id

    def _lines(self, prefix: str, start: int, made: Made, request_id: str) -> Iterator[Line]:
        batch, decision, decided, extras = made
        line = self._line(batch, decision, request_id)
        places = (start + place for place in count() if place not in extras.errors)
        names, remarks = decision.names(decided), decided.remarks()
        hashes = repeat(None) if self._key is None else _hashes(self._key, batch, extras)
        return (
            line(
                id=f"{prefix}{place}",
                score=score,
                label=label,
                decision=verdict,
                reason=reason,
                low_evidence=is_low,
                hmac=hashed,
            )
            for place, label, score, (verdict, reason, is_low), hashed in zip(
                places, names, decided.scores, remarks, hashes, strict=False
            )
        )

    def _line(self, batch: Batch, decision: Decision, request_id: str) -> Callable[..., Line]:
        """Return what completes a line with the fields in which those of a batch differ."""
        manifest, policy = batch.served.classifier.manifest, decision.policy
        return partial(
            Line,
            time=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            key=None if batch.caller is None else batch.caller.name,
            request_id=request_id,
            model=manifest.model,
            variant=manifest.variant,
            checksum=manifest.content_hash,
            generation=self._generation,
            policy=None if policy is None else policy.name,
            operating_point=None if policy is None else policy.operating_point,
            threshold=decision.threshold,
            review_threshold=None if policy is None else policy.review,
            prior=None if policy is None else policy.prior,
        )


def _hashes(key: bytes, batch: Batch, extras: Extras) -> Iterator[str]:
    """Yield the HMAC of each text that was decided on."""
    # What is no text at all was left out when the body was decoded.
    undecoded = () if batch.extras is None else batch.extras.errors
    places = (place for place in count() if place not in undecoded)
    for place, text in zip(places, batch.texts, strict=False):
        if place not in extras.errors:
            # A protocol's decoder may accept lone surrogates, which UTF-8 cannot encode.
            sent = text.encode("utf-8", "surrogatepass")
            yield hmac.digest(key, sent, "sha256").hex()


class _Recording:
    """One request."""

    __slots__ = ("_batch", "_decode", "_encode", "_record", "_scope")

    def __init__(
        self,
        record: DecisionRecord,
        scope: Scope,
        decode: Callable[[bytes], Batch],
        encode: Encode[Any],
    ) -> None:
        self._record = record
        self._scope = scope
        self._decode = decode
        self._encode = encode
        self._batch: Batch | None = None

    def decode(self, content: bytes) -> Batch:
        """Decode the body; keep the texts as they were sent."""
        self._batch = batch = self._decode(content)
        return batch

    def encode(
        self, manifest: Manifest, decision: Decision, decided: Decided, *extras: Extras
    ) -> Any:
        """Record the decisions, then encode the response; in any thread."""
        batch, self._batch = self._batch, None
        assert batch is not None  # noqa: S101 - decoded before # nosec B101
        self._record.write(self._scope, [Made(batch, decision, decided, *extras)])
        return self._encode(manifest, decision, decided, *extras)
