"""The short way of a request to classify that has nothing wrong.

FastAPI's way of a request (its own middleware, routing through included routers, exit stacks,
parameters, the response class) costs several times the model. A request to classify a served model
with a JSON body of a declared and allowed length needs none of it: here it is read, validated once
and answered. Whatever is the least unusual goes on to the route in `routes.classify`, with the
messages that were already received: that route is the specification of this module, and words every
error.
"""

from typing import Final

from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..serving.classification import Classification
from ..serving.registry import Registry, Served
from . import body
from .middleware import asked_model
from .schemas import ClassifyRequest

_JSON: Final = (b"content-type", b"application/json")


class DirectMiddleware:
    """Answers plain requests to classify, and leaves all others to the application.

    Args:
        app: the application.
        registry: of the models.
        classification: answers.
        schema: of the request, with its limits.
        max_body_bytes: of a body at most.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        registry: Registry,
        classification: Classification,
        schema: type[ClassifyRequest],
        max_body_bytes: int,
    ) -> None:
        self._app = app
        self._registry = registry
        self._classification = classification
        # What `schema.model_validate_json` calls, without its checks of options nobody gives.
        self._validate = schema.__pydantic_validator__.validate_json
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        served = self._served(scope)
        if served is None:
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        asked = self._asked(messages, served)
        if asked is None:
            await self._app(scope, _again(messages, receive), send)
            return
        answer = await self._classification.answer(served, asked)
        headers = [(b"content-length", b"%d" % len(answer)), _JSON]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})

    def _served(self, scope: Scope) -> Served | None:
        """Return the model that is asked, if all but the body is as it should be."""
        if scope["type"] != "http" or scope["method"] != "POST":
            return None
        served = self._registry.find(asked_model(scope))
        if served is None:
            return None
        headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]) or b"transfer-encoding" in headers:
            return None  # of two headers of one name this is not the place to choose
        length = headers.get(b"content-length", b"")
        if not (length.isdigit() and int(length) <= self._max_body_bytes):
            return None
        return served if body.is_json(headers.get(b"content-type", b"")) else None

    def _asked(self, messages: list[Message], served: Served) -> ClassifyRequest | None:
        """Return the request that the body holds, None if it holds none for this model."""
        if messages[-1]["type"] != "http.request":  # the client went away
            return None
        try:
            asked = self._validate(b"".join([message.get("body", b"") for message in messages]))
        except ValidationError:
            return None
        is_needless = asked.threshold is not None and served.manifest.threshold is None
        return None if is_needless else asked


def _again(messages: list[Message], receive: Receive) -> Receive:
    """Give messages once more, then those that follow."""
    rest = iter(messages)

    async def receive_again() -> Message:
        message = next(rest, None)
        return await receive() if message is None else message

    return receive_again
