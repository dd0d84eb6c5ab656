"""``POST /classify/{model}``."""

from collections.abc import Awaitable, Mapping, Sequence
from functools import partial
from http import HTTPMethod
from typing import Any, Final
from urllib.parse import quote

from msgspec import Struct
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dandelion.decision.rule import Decision
from dandelion.explanation import DEFAULT_TOP

from .. import errors
from ..api import body, openapi, problems, queries, responses
from ..api.explanations import ErrorResult
from ..api.inference import Inference
from ..api.items import ItemDecoder
from ..api.responses import ClassifyResponse, MulticlassResponse, ReportedResponse
from ..api.schemas import (
    MULTICLASS_REQUEST_EXAMPLES,
    POINT_EXAMPLES,
    REQUEST_EXAMPLES,
    ClassifyRequest,
    MulticlassRequest,
    model_examples,
)
from ..errors import FieldError, Problem
from ..serving.classification import Batch
from ..serving.extras import Extras
from ..serving.registry import Registry, Served

_PREFIX: Final = "/classify/"
_JSON: Final = (b"content-type", b"application/json")
# Fields with which a request takes long, however few texts it has: it explains, or fits a point.
_COSTLY: Final = ("explain", "operating_point", "prior")

# For the OpenAPI description, which adds those that every route has.
_ERRORS: Final = (
    errors.not_json("trailing comma in array (byte 14)"),
    errors.unknown_model(["cyberbullying", "spam"]),
    errors.method_not_allowed(),
    errors.too_large(8_000_000),
    errors.unsupported_media_type(),
    errors.invalid(FieldError(pointer="#/texts/3", detail="Expected a string, got a number")),
    errors.overloaded(),
    errors.not_ready(),
    errors.deadline_exceeded(10_000),
)


class ClassifyEndpoint:
    """Handles every request to ``/classify/{model}``, and passes all others on.

    Plain ASGI, in front of FastAPI: its middleware, routing and parameters cost several times what
    a classification costs.

    Args:
        app: handles every other path.
        registry: the served models.
        inference: runs them.
        schema: of the request, with its limits.
        max_text_chars: the length of a text at most, which is also in the schema.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        registry: Registry,
        inference: Inference,
        schema: type[ClassifyRequest],
        max_text_chars: int,
    ) -> None:
        self._app = app
        self._registry = registry
        self._inference = inference
        self._decoder = Decoder(schema)
        self._items = ItemDecoder(schema, inference.max_texts, max_text_chars)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        model = requested_model(scope)
        if not model:
            await self._app(scope, receive, send)
            return
        scope["model"] = model
        try:
            content = await self._classify(model, scope, receive)
        except Problem as problem:
            await problems.response(problem, scope)(scope, receive, send)
        except ClientDisconnect:  # nobody reads this response; the metrics count its status
            await Response(status_code=errors.CLIENT_CLOSED)(scope, receive, send)
        else:
            headers = [(b"content-length", b"%d" % len(content)), _JSON]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": content})

    def _classify(self, model: str, scope: Scope, receive: Receive) -> Awaitable[bytes]:
        """Return the body of the response.

        Raises:
            Problem: 404, 405, 413, 415, 400, 422, 429, 503 or 504.
            ClientDisconnect: the client closed the connection.
        """
        if scope["method"] != HTTPMethod.POST:
            raise errors.method_not_allowed({"Allow": "POST"})
        served = self._registry.get(model)
        query = scope.get("query_string")
        if query:
            served = self._registry.get(model, queries.variant(query))
            scope["model"] = served.series
        return self._inference.respond(
            scope,
            receive,
            partial(self._decode, served),
            partial(responses.encode_recorded, scope)
            if self._inference.is_recording
            else responses.encode,
            costly=_COSTLY,
        )

    def _decode(self, served: Served, content: bytes) -> Batch:
        """Decode the body.

        Raises:
            Problem: 400 or 422.
        """
        found: Mapping[int, str] = {}
        try:
            request = body.decode(self._decoder, content, self._inference.max_texts)
        except Problem as problem:
            request, found = self._items.decode(content, problem)
        policies, policy = served.policies, request.policy
        point, prior = request.operating_point, request.prior
        decision = (
            served.classifier.decision.at(request.threshold)  # the usual case
            if policies.is_plain and policy is None and point is None and prior is None
            else policies.find(request.threshold, policy, point, prior)
        )
        extras = _extras(request, found) if request.explain or request.on_error else None
        if isinstance(decision, Decision):
            return Batch(served, request.texts, decision, extras=extras)
        return Batch(served, request.texts, served.classifier.decision, decision, extras)


def _extras(request: ClassifyRequest, found: Mapping[int, str]) -> Extras:
    """Return what a request wants in addition to decisions.

    Raises:
        Problem: 422, there is too much to explain.
    """
    # true equals 1, but stands for the default.
    top = DEFAULT_TOP if request.explain is True else int(request.explain or 0)
    extras = Extras(top, is_reporting=request.on_error == "report", errors=found)
    extras.check(request.texts)
    return extras


def requested_model(scope: Scope) -> str:
    """Return the model in the path, "" if this is another path."""
    path: str = scope["path"] if scope["type"] == "http" else ""
    if not path.startswith(_PREFIX):
        return ""
    model = path.removeprefix(_PREFIX)
    return "" if "/" in model else model


def describe(
    registry: Registry, schema: type[ClassifyRequest], multiclass: type[MulticlassRequest]
) -> openapi.Description:
    """Return OpenAPI's description of the paths, which FastAPI does not route.

    A model with more than two labels gets its own path, which takes precedence over the one with a
    parameter (OpenAPI's "Path Templating Matching"): its requests have no threshold.

    Args:
        registry: the served models; only those that are loaded are described.
        schema: of the request, with its limits.
        multiclass: of the request to a model with more than two labels, with its limits.

    Returns:
        Path → method → operation, and the types that the operations refer to.
    """
    served = registry.all() if registry.is_ready else ()
    labels = {one.manifest.model: one.manifest.labels for one in served}
    has_points = all(one.policies.has_evidence for one in served if len(one.manifest.labels) == 2)
    two = [model for model, found in labels.items() if len(found) == 2]
    parameter = {
        "name": "model",
        "in": "path",
        "required": True,
        "schema": {"type": "string", "title": "Model"} | ({"enum": two} if two else {}),
        "examples": model_examples(two),
    }
    general = {
        "summary": "Classify",
        "description": "Label a batch of texts. The results are in the order of the texts. "
        "Models with more than two labels have their own paths: their requests have no threshold.",
        "operationId": "classify_classify__model__post",
        "parameters": [parameter, queries.VARIANT_PARAMETER],
        **_body(schema, REQUEST_EXAMPLES | (POINT_EXAMPLES if has_points else {})),
        **_responses([ClassifyResponse, MulticlassResponse, ReportedResponse], responses.EXAMPLES),
    }
    paths = {f"{_PREFIX}{{model}}": {"post": {"tags": ["classify"], **general}}}
    for model, found in labels.items():
        if len(found) > 2:
            own = {
                "summary": f"Classify with {model}",
                "description": "Label a batch of texts. The results are in the order of the texts. "
                f"Labels: {', '.join(found)}.",
                "operationId": f"classify_{model}_post",
                "parameters": [queries.VARIANT_PARAMETER],
                **_body(multiclass, MULTICLASS_REQUEST_EXAMPLES),
                **_responses([MulticlassResponse, ReportedResponse], responses.MULTICLASS_EXAMPLES),
            }
            paths[f"{_PREFIX}{quote(model)}"] = {"post": {"tags": ["classify"], **own}}
    results = (ClassifyResponse, MulticlassResponse, ReportedResponse, ErrorResult)
    return paths, [schema, multiclass, *results]


def _body(schema: type[Struct], examples: Mapping[str, Any]) -> dict[str, Any]:
    content = {"schema": openapi.reference(schema), "examples": examples}
    return {"requestBody": {"required": True, "content": {"application/json": content}}}


def _responses(schemas: Sequence[type[Struct]], examples: Mapping[str, Any]) -> dict[str, Any]:
    references = [openapi.reference(schema) for schema in schemas]
    content = {
        "schema": {"anyOf": references} if len(references) > 1 else references[0],
        "examples": examples,
    }
    success = {"description": "Successful Response", "content": {"application/json": content}}
    return {"responses": {"200": success, **problems.documented(*_ERRORS)}}
