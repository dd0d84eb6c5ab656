"""The client for asyncio: several requests at a time."""

import asyncio
from collections import deque
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Iterator,
)
from contextlib import aclosing
from math import isfinite
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

from . import connection, results
from .batching import Batch, Limits, iterated
from .calls import Call, Calls, Choice, Classifying, Failure, Outcome, Reply, Send, Sleep
from .results import Model, Result
from .retries import Retries

T = TypeVar("T")


class AsyncClient:
    """Calls the service, in one event loop of asyncio; close it, or use it in ``async with``.

    Args:
        base_url: of the service, with the prefix of its paths, if any.
        api_key: sent with each request; None for none.
        uds: path of the Unix domain socket on which the service listens, instead of a port.
        timeout_s: seconds that one attempt at a request may take.
        retries: of requests that failed.
        max_texts: texts in one request at most; not more than the service allows.
        max_bytes: the size of the texts in one request at most. A million bytes stay within the
            service's default limit on characters, whatever Unicode normalization makes of them.
        concurrency: requests at a time at most, of all calls together.
        transport: of httpx2, instead of its own: for proxies, certificates or tests.

    Raises:
        ModuleNotFoundError: httpx2 is not installed.
        ValueError: an argument cannot be used.
    """

    def __init__(  # noqa: PLR0913
        self,
        base_url: str = connection.DEFAULT_URL,
        *,
        api_key: str | None = None,
        uds: str | PathLike[str] | None = None,
        timeout_s: float = 30.0,
        retries: Retries = Retries(),  # noqa: B008 - immutable
        max_texts: int = 1000,
        max_bytes: int = 1_000_000,
        concurrency: int = 4,
        transport: Any = None,
    ) -> None:
        if concurrency < 1:
            raise ValueError(f"concurrency is {concurrency}; expected at least 1")
        self._calls = Calls(retries, Limits(max_texts, max_bytes), timeout_s)
        self._concurrency = concurrency
        self._sending = asyncio.Semaphore(concurrency)
        library = connection.library()
        if uds is not None and transport is None:
            transport = library.AsyncHTTPTransport(uds=fspath(uds))
        settings = connection.settings(base_url, api_key, timeout_s)
        self._http = library.AsyncClient(**settings, transport=transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({connection.shown(self._http.base_url)!r})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def classify(
        self,
        model: str,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        deadline_s: float | None = None,
        **choice: Unpack[Choice],
    ) -> list[Result]:
        """Classify texts, any number of them; see `Client.classify`.

        Batches are sent at the same time, as many as ``concurrency``. The results are in the order
        of the texts. If one batch fails, those that are being sent are abandoned.
        """
        stream = self.stream(model, texts, deadline_s=deadline_s, **choice)
        async with aclosing(stream):
            return [result async for result in stream]

    def stream(
        self,
        model: str,
        texts: Iterable[str] | AsyncIterable[str],
        *,
        deadline_s: float | None = None,
        **choice: Unpack[Choice],
    ) -> AsyncGenerator[Result, None]:
        """Classify texts while they are read, in the memory of ``concurrency`` batches.

        Args:
            model: its name.
            texts: raw; read as far as the next batches take.
            deadline_s: seconds from now until all must be classified; None for no deadline.
            choice: see `Client.classify`.

        Returns:
            Yields the results, in the order of the texts; raises what `Client.classify` raises.
            Close it if it is not read to its end.
        """
        call = Classifying(self._calls, model, choice, deadline_s)
        batches = _batches(call, _iterated(texts))
        return self._stream(call, batches)

    async def _stream(
        self, call: Classifying, batches: AsyncGenerator[Batch, None]
    ) -> AsyncGenerator[Result, None]:
        pending: deque[asyncio.Task[list[Result]]] = deque()
        try:
            async with aclosing(batches):
                async for batch in batches:
                    pending.append(asyncio.create_task(self._run(call.classify(batch))))
                    if len(pending) >= self._concurrency:
                        for result in await pending[0]:
                            yield result
                        pending.popleft()
            while pending:
                for result in await pending[0]:
                    yield result
                pending.popleft()
        finally:
            for task in pending:
                task.cancel()
            await asyncio.gather(*pending, return_exceptions=True)

    async def models(self, *, deadline_s: float | None = None) -> list[Model]:
        """Return the models that are served; see `Client.models`."""
        return await self._get("/models", results.read_models, {}, deadline_s)

    async def model(
        self, name: str, *, variant: str | None = None, deadline_s: float | None = None
    ) -> Model:
        """Return everything that is known about a model; see `Client.model`."""
        path = f"/models/{quote(name, safe='')}"
        return await self._get(path, results.read_model, {"variant": variant}, deadline_s)

    async def operating_points(
        self,
        model: str,
        *,
        policy: str | None = None,
        prior: float | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Return usual operating points of a model; see `Client.operating_points`."""
        path = f"/models/{quote(model, safe='')}/operating-points"
        asked = {"policy": policy, "prior": prior, "variant": variant}
        return await self._get(path, results.read_object, asked, deadline_s)

    async def _get(
        self,
        path: str,
        read: Callable[[bytes], T],
        parameters: dict[str, Any],
        deadline_s: float | None,
    ) -> T:
        return await self._run(self._calls.get(path, read, parameters, deadline_s))

    async def _run(self, call: Call[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = call.send(outcome)
            except StopIteration as stop:
                found: T = stop.value
                return found
            if isinstance(step, Sleep):
                await asyncio.sleep(step.seconds)
                outcome = None
            else:
                outcome = await self._send(step)

    async def _send(self, send: Send) -> Outcome:
        library = connection.library()
        left_s = send.left_s if isfinite(send.left_s) else None
        try:
            # The time to wait for a place counts for the call, but not for this attempt.
            async with (
                asyncio.timeout(left_s),
                self._sending,
                asyncio.timeout(send.timeout_s),
            ):
                response = await self._http.request(**connection.request(send))
        except TimeoutError:
            return Failure("the response took too long")
        except library.RequestError as error:
            return connection.failure(error)
        return Reply(response.status_code, response.headers, response.content)


async def _batches(
    call: Classifying, texts: Iterator[object] | AsyncIterator[object]
) -> AsyncGenerator[Batch, None]:
    batcher = call.batcher()
    if isinstance(texts, AsyncIterator):
        async for text in texts:
            if batch := batcher.add(text):
                yield batch
    else:
        for text in texts:
            if batch := batcher.add(text):
                yield batch
    if batch := batcher.rest():
        yield batch


def _iterated(
    texts: Iterable[str] | AsyncIterable[str],
) -> Iterator[object] | AsyncIterator[object]:
    """Return an iterator over texts.

    Raises:
        TypeError: it is one string, or nothing to iterate over.
    """
    return aiter(texts) if isinstance(texts, AsyncIterable) else iterated(texts)
