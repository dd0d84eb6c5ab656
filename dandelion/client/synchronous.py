"""The client that blocks."""

import time
from collections.abc import Callable, Iterable, Iterator
from os import PathLike, fspath
from types import TracebackType
from typing import Any, Self, TypeVar, Unpack
from urllib.parse import quote

from . import connection, results
from .batching import Limits, iterated
from .calls import Call, Calls, Choice, Classifying, Failure, Outcome, Reply, Send, Sleep
from .results import Model, Result
from .retries import Retries

T = TypeVar("T")


class Client:
    """Calls the service. Threads may share it; close it, or use it in a ``with`` statement.

    Args:
        base_url: of the service, with the prefix of its paths, if any.
        api_key: sent with each request; None for none.
        uds: path of the Unix domain socket on which the service listens, instead of a port.
        timeout_s: seconds that one attempt at a request may take.
        retries: of requests that failed.
        max_texts: texts in one request at most; not more than the service allows.
        max_bytes: the size of the texts in one request at most. A million bytes stay within the
            service's default limit on characters, whatever Unicode normalization makes of them.
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
        transport: Any = None,
    ) -> None:
        self._calls = Calls(retries, Limits(max_texts, max_bytes), timeout_s)
        library = connection.library()
        if uds is not None and transport is None:
            transport = library.HTTPTransport(uds=fspath(uds))
        settings = connection.settings(base_url, api_key, timeout_s)
        self._http = library.Client(**settings, transport=transport)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({connection.shown(self._http.base_url)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def classify(
        self,
        model: str,
        texts: Iterable[str],
        *,
        deadline_s: float | None = None,
        **choice: Unpack[Choice],
    ) -> list[Result]:
        """Classify texts, any number of them.

        Args:
            model: its name.
            texts: raw; sent in batches, one after the other.
            deadline_s: seconds until all must be classified; None for no deadline.
            choice: how: ``threshold``, ``policy``, ``operating_point``, ``prior``, ``variant``,
                ``explain``, ``on_error``; see `dandelion.client.calls.Choice`.

        Returns:
            The results, in the order of the texts. Without texts no request is sent.

        Raises:
            ResponseError: the service refuses the request.
            UnreachableError: there is no response.
            DeadlineError: not all are classified in time.
            TypeError: ``texts`` is one string, or an item is none; or there is no such choice.
            ValueError: a text has half of a surrogate pair; or a number is not finite.
        """
        return list(self.stream(model, texts, deadline_s=deadline_s, **choice))

    def stream(
        self,
        model: str,
        texts: Iterable[str],
        *,
        deadline_s: float | None = None,
        **choice: Unpack[Choice],
    ) -> Iterator[Result]:
        """Classify texts while they are read, in the memory of one batch.

        Args:
            model: its name.
            texts: raw; read as far as the next batch takes.
            deadline_s: seconds from now until all must be classified; None for no deadline.
            choice: see `classify`.

        Returns:
            Yields the results, in the order of the texts; raises what `classify` raises.
        """
        call = Classifying(self._calls, model, choice, deadline_s)
        return self._stream(call, iterated(texts))

    def _stream(self, call: Classifying, texts: Iterator[object]) -> Iterator[Result]:
        batcher = call.batcher()
        for text in texts:
            if batch := batcher.add(text):
                yield from self._run(call.classify(batch))
        if batch := batcher.rest():
            yield from self._run(call.classify(batch))

    def models(self, *, deadline_s: float | None = None) -> list[Model]:
        """Return the models that are served.

        Raises:
            ClientError: see `classify`.
        """
        return self._get("/models", results.read_models, {}, deadline_s)

    def model(
        self, name: str, *, variant: str | None = None, deadline_s: float | None = None
    ) -> Model:
        """Return everything that is known about a model.

        Args:
            name: of the model.
            variant: a loaded one; None for the one that is served.
            deadline_s: see `classify`.

        Raises:
            ClientError: see `classify`.
        """
        path = f"/models/{quote(name, safe='')}"
        return self._get(path, results.read_model, {"variant": variant}, deadline_s)

    def operating_points(
        self,
        model: str,
        *,
        policy: str | None = None,
        prior: float | None = None,
        variant: str | None = None,
        deadline_s: float | None = None,
    ) -> dict[str, Any]:
        """Return usual operating points of a model, fitted, or why they cannot be promised.

        Args:
            model: its name.
            policy: whose calibration and evidence are used.
            prior: the share of positive texts in the traffic.
            variant: a loaded one; None for the one that is served.
            deadline_s: see `classify`.

        Returns:
            The response of the service, see the guide on its HTTP API.

        Raises:
            ClientError: see `classify`.
        """
        path = f"/models/{quote(model, safe='')}/operating-points"
        asked = {"policy": policy, "prior": prior, "variant": variant}
        return self._get(path, results.read_object, asked, deadline_s)

    def _get(
        self,
        path: str,
        read: Callable[[bytes], T],
        parameters: dict[str, Any],
        deadline_s: float | None,
    ) -> T:
        return self._run(self._calls.get(path, read, parameters, deadline_s))

    def _run(self, call: Call[T]) -> T:
        outcome: Outcome = None
        while True:
            try:
                step = call.send(outcome)
            except StopIteration as stop:
                found: T = stop.value
                return found
            if isinstance(step, Sleep):
                time.sleep(step.seconds)
                outcome = None
            else:
                outcome = self._send(step)

    def _send(self, send: Send) -> Outcome:
        """Send a request. The library bounds each read, and this the response as a whole."""
        library = connection.library()
        ends = time.monotonic() + send.timeout_s
        request = self._http.build_request(**connection.request(send))
        try:
            response = self._http.send(request, stream=True)
            try:
                parts = []
                for part in response.iter_bytes():
                    parts.append(part)
                    if time.monotonic() > ends:
                        return Failure("the response took too long")
                return Reply(response.status_code, response.headers, b"".join(parts))
            finally:
                response.close()
        except library.RequestError as error:
            return connection.failure(error)
