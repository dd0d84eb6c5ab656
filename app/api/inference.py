"""From a request's body to a response, within the service's limits: the same for every protocol."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple, TypeVar

from starlette.types import Receive, Scope

from dandelion.manifest import Manifest

from ..serving.admission import SMALL_BODY, Admission
from ..serving.callers import Caller
from ..serving.classification import INLINE_TEXTS, Batch, Classification, Encode
from ..serving.measured import Measured
from ..serving.record import DecisionRecord, Made
from . import body

T = TypeVar("T")

JSON: Final = (b"application/json",)


class Texts(NamedTuple):
    """How many texts an undecoded body holds.

    Attributes:
        are_few: whether a small body may be decoded at once, in the event loop.
        most: an upper bound, at least 1: what it takes of the capacity before it is decoded.
    """

    are_few: Callable[[bytes], bool]
    most: Callable[[bytes], int]


def _has_few_strings(content: bytes) -> bool:
    return body.has_few_strings(content, INLINE_TEXTS + body.NAMES)


STRINGS: Final = Texts(_has_few_strings, body.most_strings)
"""Of a body in JSON: no text is there without a string."""


class Inference:
    """Reads a request's body and classifies its texts.

    Args:
        classification: runs the models.
        admission: bounds what is read and classified at a time.
        max_body_bytes: the size of a body at most.
        max_texts: the number of texts at most.
        record: keeps what was decided; None for nothing.

    Attributes:
        is_recording: whether there is a record.
    """

    def __init__(
        self,
        classification: Classification,
        admission: Admission,
        *,
        max_body_bytes: int,
        max_texts: int,
        record: DecisionRecord | None = None,
    ) -> None:
        self._classification = classification
        self._admission = admission
        self.max_body_bytes = max_body_bytes
        self.max_texts = max_texts
        self._record = record
        self.is_recording = record is not None

    async def respond(  # noqa: PLR0913
        self,
        scope: Scope,
        receive: Receive,
        decode: Callable[[bytes], Batch],
        encode: Encode[T],
        *,
        texts: Texts = STRINGS,
        costly: Sequence[str] = (),
        media_types: Sequence[bytes] = JSON,
    ) -> T:
        """Return the body of a response. A large body is decoded only when it is its turn.

        Args:
            scope: ASGI's; its ``caller``, if there is one, is charged for the texts, and its
                ``measured`` is given what is measured. With a decision record it gets a
                ``decision_id`` before ``encode`` is called, unless nothing was recorded.
            receive: ASGI's.
            decode: turns the body into a batch; called in the event loop.
            encode: turns the decisions on the batch into a response, in any thread.
            texts: how many there are in an undecoded body.
            costly: fields with which a request takes long, however few texts it has.
            media_types: what the body may be, lower case.

        Raises:
            Problem: 413, 415, 429, 504, or what ``decode`` raises.
            ClientDisconnect: the client closed the connection.
        """
        admitted = self._admission.enter(receive)
        try:
            content = await body.read(
                receive,
                scope["first_headers"],
                self.max_body_bytes,
                admitted.take_bytes,
                SMALL_BODY,
                media_types=media_types,
            )
            admitted.has_body(len(content))
            if "caller" in scope:
                decode = partial(_charged, scope["caller"], decode)
            if "measured" in scope:
                scope["measured"].has_body()
                decode = partial(_measured, scope["measured"], decode)
            if self._record is not None:
                decode, encode = self._record.attach(scope, decode, encode)
            classification = self._classification
            if len(content) <= SMALL_BODY and texts.are_few(content):
                return await classification.run(decode(content), encode, admitted)
            most = min(texts.most(content), self.max_texts)
            if costly and body.may_name(content, *costly):
                most = max(most, classification.costly_texts)
            return await classification.run_in_turn(
                partial(decode, content), most, encode, admitted
            )
        finally:
            admitted.leave()

    async def respond_to_each(
        self,
        scope: Scope,
        receive: Receive,
        decode: Callable[[bytes], Sequence[Batch]],
        encode: Encode[T],
    ) -> list[T]:
        """Return what ``encode`` makes of each batch of a request: of several models, one text.

        They are classified one after the other, within one time limit.

        Args:
            scope: see `respond`.
            receive: see `respond`.
            decode: turns the body, in JSON, into batches, at least one; called in the event loop.
            encode: turns the decisions on a batch into a part of the response, in any thread.

        Raises:
            Problem: 413, 415, 429, 504, or what ``decode`` raises.
            ClientDisconnect: the client closed the connection.
        """
        admitted = self._admission.enter(receive)
        try:
            content = await body.read(
                receive,
                scope["first_headers"],
                self.max_body_bytes,
                admitted.take_bytes,
                SMALL_BODY,
            )
            admitted.has_body(len(content))
            batches: list[Batch] = []
            made: list[tuple[Any, ...]] = []
            if self._record is not None:
                encode = partial(_collected, made, encode)
            if "measured" in scope:
                scope["measured"].has_body()

            def first() -> Batch:
                batches.extend(decode(content))
                if "measured" in scope:
                    batches[:] = [_with_measured(scope["measured"], batch) for batch in batches]
                if "caller" in scope:
                    batches[:] = _all_charged(scope["caller"], batches)
                return batches[0]

            classification = self._classification
            if len(content) <= SMALL_BODY and STRINGS.are_few(content):
                found = [await classification.run(first(), encode, admitted)]
            else:
                found = [await classification.run_in_turn(first, 1, encode, admitted)]
            for batch in batches[1:]:
                admitted.give_back_texts()
                found.append(await classification.run(batch, encode, admitted))
            if self._record is not None:
                pairs = zip(batches, made, strict=True)
                self._record.write(scope, [Made(batch, *one) for batch, one in pairs])
            return found
        finally:
            admitted.leave()


def _charged(caller: Caller, decode: Callable[[bytes], Batch], content: bytes) -> Batch:
    """Decode a body, and charge the caller for its texts.

    Raises:
        Problem: 429, or what ``decode`` raises.
    """
    batch = decode(content)
    caller.take(len(batch.texts))
    return batch._replace(caller=caller)


def _all_charged(caller: Caller, batches: Sequence[Batch]) -> list[Batch]:
    """Charge the caller for the texts of all batches.

    Raises:
        Problem: 429.
    """
    caller.take(sum(len(batch.texts) for batch in batches))
    return [batch._replace(caller=caller) for batch in batches]


def _measured(measured: Measured, decode: Callable[[bytes], Batch], content: bytes) -> Batch:
    """Decode a body, and measure its texts.

    Raises:
        Problem: what ``decode`` raises.
    """
    return _with_measured(measured, decode(content))


def _with_measured(measured: Measured, batch: Batch) -> Batch:
    measured.has_texts(batch.texts, batch.served.manifest.variant)
    return batch._replace(measured=measured)


def _collected(
    made: list[tuple[Any, ...]], encode: Encode[T], manifest: Manifest, *decisions: Any
) -> T:
    """Keep the decisions on a batch, and encode them."""
    made.append(decisions)
    return encode(manifest, *decisions)
