"""What the client does, without sending anything: which requests, when again, what comes of them.

A call is a generator. It yields what is to be done, a `Send` or a `Sleep`, and is sent the outcome:
so the client that blocks and the asynchronous one share everything but the sending.
"""

import json
import time
from collections.abc import Callable, Generator, Mapping
from math import inf
from typing import Final, Literal, NamedTuple, TypedDict, TypeVar
from urllib.parse import quote

from . import results, retries
from .batching import Batch, Batcher, Limits
from .errors import ClientError, DeadlineError, ResponseError, UnreachableError, refusal, text_at
from .results import Result
from .retries import RETRIED, Retries

T = TypeVar("T")

_OK: Final = 200
_TOO_LARGE: Final = 413
_INVALID: Final = 422

# The service explains at most as many texts, and characters, in one request.
_MAX_EXPLAINED_TEXTS: Final = 32
_MAX_EXPLAINED_CHARS: Final = 100_000


class Send(NamedTuple):
    """A request to send.

    Attributes:
        method: of HTTP.
        path: encoded, below the service's URL.
        parameters: of the query.
        content: the body, JSON; None for none.
        timeout_s: seconds that it may take.
        left_s: seconds that the whole call has left, infinite without a deadline.
    """

    method: str
    path: str
    parameters: Mapping[str, str]
    content: bytes | None
    timeout_s: float = inf
    left_s: float = inf


class Sleep(NamedTuple):
    """A time to wait, in seconds."""

    seconds: float


class Reply(NamedTuple):
    """A response; its headers' names are in lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Failure(NamedTuple):
    """There is no response.

    Attributes:
        reason: why, without anything of the request.
        is_final: whether it would fail again.
    """

    reason: str
    is_final: bool = False


Outcome = Reply | Failure | None
Call = Generator[Send | Sleep, Outcome, T]


class Choice(TypedDict, total=False):
    """How texts are classified: the fields of a request, and the variant.

    Attributes:
        threshold: in [0, 1]: positive at ``score >= threshold``.
        policy: the name of a configured one, instead.
        operating_point: such as ``fpr<=0.005``, instead.
        prior: the share of positive texts in the traffic, which corrects the scores.
        variant: a loaded one, instead of the one that is served.
        explain: whether results have an explanation, or how many spans it lists.
        on_error: with ``report``, a text with an error has a result that says so, and the others
            are classified; by default the call fails.
    """

    threshold: float | None
    policy: str | None
    operating_point: str | None
    prior: float | None
    variant: str | None
    explain: bool | int
    on_error: Literal["report"] | None


class Classifying:
    """A call that classifies texts.

    Args:
        calls: of the client.
        model: its name.
        choice: how texts are classified.
        deadline_s: seconds until all of it must be done; None for no deadline.

    Raises:
        TypeError: there is no such choice.
    """

    def __init__(
        self, calls: "Calls", model: str, choice: Choice, deadline_s: float | None
    ) -> None:
        self._calls = calls
        if unknown := sorted(choice.keys() - Choice.__optional_keys__):
            known = ", ".join(sorted(Choice.__optional_keys__))
            raise TypeError(f"there is no {unknown[0]!r}; expected some of {known}")
        given = {
            name: value
            for name, value in choice.items()
            if value is not None and value is not False
        }
        variant = given.pop("variant", None)
        self._parameters = {} if variant is None else {"variant": str(variant)}
        self._path = f"/classify/{quote(model, safe='')}"
        self._fields = json.dumps(given, allow_nan=False).encode().removeprefix(b"{")
        self._explains = "explain" in given
        self._deadline = calls.deadline(deadline_s)

    def batcher(self) -> Batcher:
        """Return what puts the texts of the call into batches."""
        limits = self._calls.limits
        if self._explains:
            return Batcher(limits, _MAX_EXPLAINED_TEXTS, _MAX_EXPLAINED_CHARS)
        return Batcher(limits, limits.max_texts, limits.max_bytes)

    def classify(self, batch: Batch) -> Call[list[Result]]:
        """Classify a batch; in parts, if the service refuses it as too large.

        Raises:
            ClientError: see `Calls.attempt`, or the service refuses a text.
        """
        found: list[Result] = []
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            if at := self._calls.limits.excess(part):  # lowered in the meantime
                waiting += reversed(part.split(at))
                continue
            comma = b"," if len(self._fields) > 1 else b""
            content = b'{"texts":[%s]%s%s' % (b",".join(part.texts), comma, self._fields)
            send = Send("POST", self._path, self._parameters, content)
            reply = yield from self._calls.attempt(send, self._deadline)
            request_id = reply.headers.get("x-request-id", "")
            if reply.status == _OK:
                found += results.read_results(reply.content, request_id, len(part.texts))
                continue
            error = refusal(reply.status, request_id, reply.content, part.first)
            at = self._calls.where_to_split(part, error)
            if at is None:
                raise error
            waiting += reversed(part.split(at))
        return found


class Calls:
    """The calls of a client, and the limits on requests that it has learned.

    Args:
        retries: of requests that failed.
        limits: on the batches.
        timeout_s: seconds that one request may take.
        clock: returns seconds.

    Raises:
        ValueError: the timeout is not positive.
    """

    def __init__(
        self,
        retries: Retries,
        limits: Limits,
        timeout_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not timeout_s > 0:
            raise ValueError(f"timeout_s is {timeout_s}; expected a positive number of seconds")
        self.limits = limits
        self._timeout_s = timeout_s
        self._retries = retries
        self._clock = clock

    def deadline(self, seconds: float | None) -> float | None:
        """Return when a call must be done that begins now; None for no deadline.

        Raises:
            ValueError: the seconds are not positive.
        """
        if seconds is None:
            return None
        if not seconds > 0:
            raise ValueError(f"deadline_s is {seconds}; expected a positive number of seconds")
        return self._clock() + seconds

    def get(
        self,
        path: str,
        read: Callable[[bytes], T],
        parameters: Mapping[str, object],
        deadline_s: float | None,
    ) -> Call[T]:
        """Read a resource.

        Args:
            path: encoded.
            read: turns the body of the response into what is returned.
            parameters: of the query; those that are None are left out.
            deadline_s: seconds until it must be there; None for no deadline.

        Raises:
            ClientError: see `attempt`, or the service refuses the request.
        """
        given = {name: str(value) for name, value in parameters.items() if value is not None}
        send = Send("GET", path, given, None)
        reply = yield from self.attempt(send, self.deadline(deadline_s))
        if reply.status != _OK:
            raise refusal(reply.status, reply.headers.get("x-request-id", ""), reply.content)
        return read(reply.content)

    def attempt(self, send: Send, deadline: float | None) -> Call[Reply]:
        """Send a request until there is a response that is not about load, or no attempt is left.

        Raises:
            UnreachableError: there is no response.
            DeadlineError: there is none in time.
        """
        attempts = 0
        outcome: Outcome = None
        while True:
            left = self._left(deadline, outcome)
            outcome = yield send._replace(timeout_s=min(self._timeout_s, left), left_s=left)
            attempts += 1
            if isinstance(outcome, Reply):
                if outcome.status not in RETRIED:
                    return outcome
                wait = self._retries.wait_s(attempts, retries.asked_s(outcome.headers))
                if wait is None:
                    return outcome
            else:
                failure = outcome or Failure("no outcome", is_final=True)
                wait = None if failure.is_final else self._retries.wait_s(attempts)
                if wait is None:
                    self._left(deadline, outcome)
                    tried = "1 attempt" if attempts == 1 else f"{attempts} attempts"
                    raise UnreachableError(f"no response after {tried}: {failure.reason}")
            if wait >= self._left(deadline, outcome):
                raise _late(outcome)
            yield Sleep(wait)

    def _left(self, deadline: float | None, outcome: Outcome) -> float:
        """Return the seconds that are left.

        Raises:
            DeadlineError: none are.
        """
        left = inf if deadline is None else deadline - self._clock()
        if left <= 0:
            raise _late(outcome)
        return left

    def where_to_split(self, batch: Batch, error: ResponseError) -> int | None:
        """Return where to split a batch that the service refuses; None if that does not help.

        If it is the batch that is too large, the next ones will be smaller.
        """
        texts = len(batch.texts)
        if texts == 1:
            return None
        half = texts // 2
        if error.status == _TOO_LARGE:
            self.limits.max_bytes = min(self.limits.max_bytes, max(1, batch.size // 2))
            return half
        if error.status != _INVALID or not error.errors:
            return None
        pointer = error.errors[0].pointer
        if pointer == "#/texts":
            self.limits.max_texts = min(self.limits.max_texts, half)
            return half
        if pointer == "#/explain":
            return half
        # Up to this text they may be too long together; if it is too long itself, it stays first.
        return text_at(pointer) or None


def _late(outcome: Outcome) -> ClientError:
    """Return the error for a call that is not done in time, with what came last."""
    if isinstance(outcome, Reply):
        return DeadlineError(f"no result before the deadline; the last status was {outcome.status}")
    if outcome is not None:
        return DeadlineError(f"no result before the deadline; the last attempt: {outcome.reason}")
    return DeadlineError("no result before the deadline")
