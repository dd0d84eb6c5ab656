"""The Open Inference Protocol, version 2, over HTTP: what clients of KServe and Triton send.

Sources: `specification/protocol/inference_rest.md` in github.com/kserve/open-inference-protocol;
for tensors as binary data, `docs/protocol/extension_binary_data.md` in
github.com/triton-inference-server/server.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from importlib import metadata
from typing import Any, Final

import msgspec
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest

from .. import errors
from ..api.inference import STRINGS, Inference
from ..errors import Problem
from ..serving.classification import Batch
from ..serving.registry import Registry, Served
from ..settings import Settings
from . import tensors

PREFIXES: Final = ("/v2",)

_BINARY: Final = ("label", "score", "decision")
_MULTICLASS: Final = ("label", "score", "scores")

_JSON: Final = b"application/json"
_OCTETS: Final = b"application/octet-stream"
_HEADER: Final = b"inference-header-content-length"
_LENGTH: Final = re.compile(rb"[0-9]{1,18}")
_COSTLY: Final = ("operating_point", "prior")

_PACK: Final[Mapping[str, Callable[[Sequence[Any]], bytes]]] = {
    "BYTES": tensors.pack_strings,
    "FP32": tensors.pack_floats,
}

_encode = msgspec.json.Encoder().encode


def render(problem: Problem) -> Response:
    """Write an error as the protocol does; what is 422 elsewhere is 400 in it."""
    wrong = [f"{error.pointer.removeprefix('#/')}: {error.detail}." for error in problem.errors]
    is_invalid = problem.status is HTTPStatus.UNPROCESSABLE_ENTITY
    return Response(
        _encode({"error": " ".join((problem.detail, *wrong))}),
        HTTPStatus.BAD_REQUEST if is_invalid else problem.status,
        headers=dict(problem.headers or {}),
        media_type=_JSON.decode(),
    )


def wrap(
    app: ASGIApp, settings: Settings, registry: Registry, inference: Inference
) -> "OpenInferenceEndpoint":
    """Serve the protocol in front of an application."""
    return OpenInferenceEndpoint(app, registry, inference, settings.max_text_chars)


class OpenInferenceEndpoint:
    """Handles every request to ``/v2`` and below, and passes all others on.

    A model has one input, `text`, BYTES of shape [n] or [n, 1]. Its outputs have the same shape:
    `label` (BYTES), `score` (FP32) and, with two labels, `decision` (BYTES); with more, `scores`
    (FP32, [n, k]) has one score for each label. A score is NaN, in JSON null, and the decision
    `none`, for a text without content.

    Args:
        app: handles every other path, and reports whether the service is ready.
        registry: the served models.
        inference: runs them.
        max_text_chars: the length of a text at most.
    """

    def __init__(
        self, app: ASGIApp, registry: Registry, inference: Inference, max_text_chars: int
    ) -> None:
        self._app = app
        self._registry = registry
        self._inference = inference
        self._reader = tensors.Reader(inference.max_texts, max_text_chars)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path: str = scope["path"] if scope["type"] == "http" else ""
        if not f"{path}/".startswith("/v2/"):
            await self._app(scope, receive, send)
            return
        scope["render_problem"] = render
        try:
            response = await self._respond(path.split("/")[2:], scope, receive)
        except Problem as problem:
            response = render(problem)
        except ClientDisconnect:  # nobody reads this response; the metrics count its status
            response = Response(status_code=errors.CLIENT_CLOSED)
        if scope["method"] == HTTPMethod.HEAD:
            response.body = b""
        await response(scope, receive, send)

    async def _respond(self, path: Sequence[str], scope: Scope, receive: Receive) -> Response:
        """Return the response.

        Args:
            path: what follows ``/v2``, at its slashes.
            scope: ASGI's.
            receive: ASGI's.

        Raises:
            Problem: 404, 405, 413, 415, 400, 422, 429, 503 or 504.
            ClientDisconnect: the client closed the connection.
        """
        match path:
            case [] | [""]:
                _check_method(scope, "GET", "HEAD")
                return _resource(_server())
            case ["health", ("live" | "ready") as state]:
                _check_method(scope, "GET", "HEAD")
                await self._check_health(f"/{state}z", scope, receive)
                return _resource({state: True})
            case ["models", model, "versions", version, *rest]:
                return await self._of_model(model, version, rest, scope, receive)
            case ["models", model, *rest]:
                return await self._of_model(model, None, rest, scope, receive)
        raise errors.not_found()

    async def _of_model(
        self, model: str, version: str | None, path: Sequence[str], scope: Scope, receive: Receive
    ) -> Response:
        match path:
            case []:
                _check_method(scope, "GET", "HEAD")
                manifest = self._find(model, version).manifest
                return _resource(_facts(manifest, [*self._versions(model)]))
            case ["ready"]:
                _check_method(scope, "GET", "HEAD")
                return _resource({"name": self._find(model, version).manifest.model, "ready": True})
            case ["infer"]:
                scope["model"] = model
                _check_method(scope, "POST")
                served = self._find(model, version)
                scope["model"] = served.series
                return await self._infer(served, scope, receive)
        raise errors.not_found()

    def _find(self, model: str, version: str | None) -> Served:
        """Return a loaded variant of a model; without a version, the served one.

        Raises:
            Problem: 404, there is no such model or version; 503.
        """
        if version is None:
            return self._registry.get(model)
        versions = self._versions(model)
        if version not in versions:
            available = f"Available versions: {', '.join(versions)}."
            raise Problem(HTTPStatus.NOT_FOUND, f"Unknown version of this model. {available}")
        return versions[version]

    def _versions(self, model: str) -> dict[str, Served]:
        """Return the loaded variants of a model by their versions, the served one first."""
        names = self._registry.get(model).variants
        loaded = [self._registry.get(model, name) for name in names]
        return {served.manifest.version: served for served in loaded}

    async def _infer(self, served: Served, scope: Scope, receive: Receive) -> Response:
        headers = scope["first_headers"]
        given = headers.get(_HEADER)
        if given is not None and not _LENGTH.fullmatch(given):
            raise tensors.invalid_header("Expected a number of bytes")
        length = None if given is None else int(given)
        max_texts = self._inference.max_texts
        call = _Call(served, self._reader, length, scope)
        return await self._inference.respond(
            scope,
            receive,
            call.decode,
            call.encode,
            texts=STRINGS if length is None else tensors.texts_after(length, max_texts),
            costly=_COSTLY,
            # Triton's client for Python declares none.
            media_types=(_JSON, _OCTETS) if b"content-type" in headers else (b"",),
        )

    async def _check_health(self, path: str, scope: Scope, receive: Receive) -> None:
        """Ask a probe of the service itself.

        Raises:
            Problem: 503, it does not report 200.
        """
        statuses = []

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        await self._app({**scope, "path": path}, receive, send)
        if statuses != [HTTPStatus.OK]:
            raise errors.not_ready() if not self._registry.is_ready else errors.shutting_down()


class _Call:
    """One request to infer: decoded, then its response encoded.

    Args:
        served: the model.
        reader: decodes it.
        length: of the JSON in its body, if the header gives one.
        scope: ASGI's.
    """

    def __init__(
        self, served: Served, reader: tensors.Reader, length: int | None, scope: Scope
    ) -> None:
        self._scope = scope
        self._served = served
        self._reader = reader
        self._length = length
        self._request: tensors.InferRequest

    def decode(self, content: bytes) -> Batch:
        """Return the texts of the request, and how to decide on them.

        Raises:
            Problem: 400 or 422.
        """
        served = self._served
        own = served.classifier.decision
        outputs = _BINARY if own.is_binary else _MULTICLASS
        self._request = self._reader.read(content, self._length, outputs)
        asked = self._request.parameters
        decision = served.policies.find(
            asked.threshold, asked.policy, asked.operating_point, asked.prior
        )
        if isinstance(decision, Decision):
            return Batch(served, self._request.texts, decision)
        return Batch(served, self._request.texts, own, decision)

    def encode(self, manifest: Manifest, decision: Decision, decided: Decided) -> Response:
        """Return the response: JSON, then the tensors that are binary."""
        outputs = []
        binary = []
        request = self._request
        shape = [len(request.texts), 1] if request.is_column else [len(request.texts)]
        for name, is_binary in request.outputs:
            values = _values(name, decision, decided)
            output: dict[str, Any] = {
                "name": name,
                "shape": [len(request.texts), len(decision.labels)] if name == "scores" else shape,
                "datatype": _datatype(name),
            }
            if is_binary:
                pack = _PACK[_datatype(name)]
                binary.append(pack(values))
                output["parameters"] = {"binary_data_size": len(binary[-1])}
            else:
                output["data"] = values
            outputs.append(output)
        found = {
            "model_name": manifest.model,
            "model_version": manifest.version,
            **({} if request.id is None else {"id": request.id}),
            "parameters": _in_force(manifest, decision, self._scope.get("decision_id")),
            "outputs": outputs,
        }
        head = _encode(found)
        if not binary:
            return Response(head, media_type=_JSON.decode())
        headers = {_HEADER.decode(): str(len(head))}
        return Response(b"".join((head, *binary)), headers=headers, media_type=_OCTETS.decode())


def _check_method(scope: Scope, *allowed: str) -> None:
    if scope["method"] not in allowed:
        raise errors.method_not_allowed({"Allow": ", ".join(allowed)})


def _resource(content: Any) -> Response:
    return Response(
        _encode(content), headers={"cache-control": "no-store"}, media_type=_JSON.decode()
    )


def _server() -> dict[str, Any]:
    version = metadata.version("dandelion-text")
    return {"name": "dandelion", "version": version, "extensions": ["binary_tensor_data"]}


def _facts(manifest: Manifest, versions: list[str]) -> dict[str, Any]:
    """Describe a model, the versions of it that are loaded, and its tensors."""
    labels = list(manifest.labels)
    names = _BINARY if len(labels) == 2 else _MULTICLASS
    return {
        "name": manifest.model,
        "versions": versions,
        "platform": "dandelion",
        "inputs": [{"name": tensors.INPUT, "datatype": "BYTES", "shape": [-1]}],
        "outputs": [
            {
                "name": name,
                "datatype": _datatype(name),
                "shape": [-1, len(labels)] if name == "scores" else [-1],
            }
            for name in names
        ],
        "parameters": {"variant": manifest.variant, "labels": labels},
    }


def _datatype(output: str) -> str:
    return "FP32" if output.startswith("score") else "BYTES"


def _in_force(manifest: Manifest, decision: Decision, decision_id: str | None) -> dict[str, Any]:
    """Return the parameters of a response: what decided, and its id in the decision record."""
    policy = decision.policy
    found = {
        "variant": manifest.variant,
        "threshold": decision.threshold,
        "policy": policy and policy.name,
        "operating_point": policy and policy.operating_point,
        "prior": policy and policy.prior,
        "decision_id": decision_id,
    }
    return {name: value for name, value in found.items() if value is not None}


def _values(name: str, decision: Decision, decided: Decided) -> Sequence[Any]:
    """Return the elements of an output tensor, row by row."""
    if name == "label":
        return decision.names(decided)
    if name == "score":
        return decided.scores
    if name == "scores":
        return [score for row in decided.by_label or () for score in row]
    if decided.verdicts is not None:
        return decided.verdicts
    rows = zip(decided.positions, decided.scores, strict=True)
    return [
        "none" if score is None else "positive" if position else "negative"
        for position, score in rows
    ]
