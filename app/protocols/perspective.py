"""Perspective API: ``POST /v1alpha1/comments:analyze``, over the served models.

Attributes are scored by the models that ``serving.toml`` names for them; others are refused. The
guide is docs/guide/perspective.md.
"""

import logging
import re
from collections.abc import Awaitable, Mapping, Sequence
from http import HTTPMethod, HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple

from msgspec import UNSET
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest
from dandelion.serving import AttributeChoice, ServingError, perspective_attributes

from .. import errors
from ..api import body
from ..api.access import cut_query_keys
from ..api.inference import Inference
from ..errors import Problem
from ..serving.classification import Batch
from ..serving.registry import Registry
from ..settings import Settings, SettingsError, source
from ..telemetry.metrics import UNKNOWN
from . import perspective_discovery as discovery
from .perspective_wire import (
    AnalyzeRequest,
    AnalyzeResponse,
    AttributeParameters,
    AttributeScores,
    CommentProblem,
    Score,
    SpanScore,
    encode,
    render,
    too_long,
)
from .sentences import in_utf16, sentences

PREFIXES: Final = ("/v1alpha1/", "/$discovery/")

_ANALYZE: Final = "/v1alpha1/comments:analyze"
_SUGGEST: Final = "/v1alpha1/comments:suggestscore"
_DISCOVERY: Final = "/$discovery/rest"

_LANGUAGE: Final = "en"
# Alone, or as the first part of a language tag (BCP 47).
_ENGLISH: Final = re.compile(r"en(?:[-_].*)?", re.IGNORECASE | re.DOTALL)
# In the query: a response in a format other than JSON.
_OTHER_FORMAT: Final = re.compile(rb"(?:^|&)alt=(?!json(?:&|$))")

_log = logging.getLogger("dandelion")


class _Scored(NamedTuple):
    """The scores of a comment by one model: None without content; its parts that have content."""

    summary: float | None
    spans: list[tuple[int, int, float]]


class PerspectiveEndpoint:
    """Handles the paths of Perspective API, and passes all others on.

    Args:
        app: handles every other path.
        attributes: what scores each attribute.
        settings: of the service.
        registry: the served models.
        inference: runs them.
    """

    def __init__(
        self,
        app: ASGIApp,
        attributes: Mapping[str, AttributeChoice],
        settings: Settings,
        registry: Registry,
        inference: Inference,
    ) -> None:
        self._app = app
        self._root_path = settings.root_path
        self._inference = inference
        self._comments = _Comments(attributes, registry, settings.max_text_chars, inference)
        self._has_warned = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        path = scope["path"] if scope["type"] == "http" else ""
        if path.startswith(PREFIXES) and scope["query_string"]:
            cut_query_keys(scope)  # also where no keys are configured: clients send theirs
        if path not in (_ANALYZE, _SUGGEST, _DISCOVERY):
            await self._app(scope, receive, send)
            return
        try:
            content = await self._respond(path, scope, receive)
        except Problem as problem:
            response = render(problem)
        except ClientDisconnect:  # nobody reads this response; the metrics count its status
            response = Response(status_code=errors.CLIENT_CLOSED)
        else:
            response = Response(content, media_type="application/json")
        await response(scope, receive, send)

    def _respond(self, path: str, scope: Scope, receive: Receive) -> Awaitable[bytes]:
        """Return the body of the response.

        Raises:
            Problem: 400, 405, 413, 415, 429, 501, 503 or 504.
            ClientDisconnect: the client closed the connection.
        """
        if path == _DISCOVERY:
            return self._describe(scope)
        if scope["method"] != HTTPMethod.POST:
            raise errors.method_not_allowed({"Allow": "POST"})
        if path == _SUGGEST:
            raise Problem(
                HTTPStatus.NOT_IMPLEMENTED,
                "Suggested scores are not supported: comments are not stored. Label texts and use "
                "'dandelion evaluate' instead.",
            )
        return self._analyze(scope, receive)

    async def _describe(self, scope: Scope) -> bytes:
        """Return Google's description of the interface, for its client libraries.

        Raises:
            Problem: 400 or 405.
        """
        if scope["method"] not in (HTTPMethod.GET, HTTPMethod.HEAD):
            raise errors.method_not_allowed({"Allow": "GET, HEAD"})
        address = discovery.address(scope, self._root_path)
        if address is None:
            raise CommentProblem("The header Host must be the address of this service.")
        return encode(discovery.document(address))

    async def _analyze(self, scope: Scope, receive: Receive) -> bytes:
        """Score a comment.

        Raises:
            Problem: 400, 413, 415, 429, 503 or 504.
            ClientDisconnect: the client closed the connection.
        """
        scope["model"] = UNKNOWN  # counted, even if the body is wrong
        if _OTHER_FORMAT.search(scope["query_string"]):
            raise CommentProblem("The only supported value of alt is json.")
        if not self._has_warned:
            self._has_warned = True
            _log.warning(
                "first request of the Perspective protocol: scores are not comparable with those "
                "of Perspective API, so choose thresholds anew (docs/guide/perspective.md)"
            )
        analysis = _Analysis(self._comments, scope)
        scored = await self._inference.respond_to_each(
            scope, receive, analysis.decode, analysis.encode
        )
        return analysis.response(scored)


class _Comments:
    """Reads requests to score a comment.

    Args:
        attributes: what scores each attribute.
        registry: the served models.
        max_chars: of a comment.
        inference: has the limits.
    """

    def __init__(
        self,
        attributes: Mapping[str, AttributeChoice],
        registry: Registry,
        max_chars: int,
        inference: Inference,
    ) -> None:
        self.attributes = attributes
        self.registry = registry
        self._max_chars = max_chars
        self._max_texts = inference.max_texts
        self._decoder = Decoder(AnalyzeRequest)

    def read(self, content: bytes) -> AnalyzeRequest:
        """Return a request that can be served.

        Raises:
            Problem: 400 or 422.
        """
        request = body.decode(self._decoder, content, self._max_texts)
        comment, context = request.comment, request.context
        if comment is None or not comment.text:
            raise CommentProblem("Comment must be non-empty.", "COMMENT_EMPTY")
        if comment.type == "HTML":
            raise CommentProblem("Currently, only 'PLAIN_TEXT' comments are supported.")
        if len(comment.text) > self._max_chars:
            raise too_long(f"at most {self._max_chars} characters.")
        if context and context.entries is not None and context.article_and_parent_comment:
            raise CommentProblem(
                "Context can have either entries or article_and_parent_comment, but both fields "
                "were populated."
            )
        if not request.requested_attributes:
            raise CommentProblem("Missing requested_attributes.", "NO_REQUESTED_ATTRIBUTES")
        for name, parameters in request.requested_attributes.items():
            if name not in self.attributes:
                served = ", ".join(self.attributes)
                raise CommentProblem(f"Unknown requested attribute. Served here: {served}.")
            kind = parameters and parameters.score_type
            if kind not in (None, "SCORE_TYPE_UNSPECIFIED", "PROBABILITY"):
                raise CommentProblem(
                    f"Requested score type {kind} is not supported by attribute {name}."
                )
        self._check_languages(request.languages, next(iter(request.requested_attributes)))
        return request

    def _check_languages(self, languages: Sequence[str] | None, attribute: str) -> None:
        """Check that one of the languages, if any, is English.

        Raises:
            Problem: 400.
        """
        if languages and not any(map(_ENGLISH.fullmatch, languages)):
            raise CommentProblem(
                f"Attribute {attribute} does not support request languages: only {_LANGUAGE} is "
                "supported.",
                "LANGUAGE_NOT_SUPPORTED_BY_ATTRIBUTE",
                languageNotSupportedByAttributeError={"attribute": attribute},
            )


class _Analysis:
    """One request to score a comment.

    Args:
        comments: reads it.
        scope: ASGI's.
    """

    def __init__(self, comments: _Comments, scope: Scope) -> None:
        self._comments = comments
        self._scope = scope
        self._request = AnalyzeRequest()
        self._text = ""
        self._parts: list[tuple[int, int]] = []
        self._chosen: list[AttributeChoice] = []

    def decode(self, content: bytes) -> list[Batch]:
        """Return a batch for each model and policy, of the comment alone.

        Raises:
            Problem: 400, 422 or 503.
        """
        request = self._request = self._comments.read(content)
        assert request.comment is not None  # noqa: S101 - `read` checked it # nosec B101
        self._text = request.comment.text or ""
        if request.span_annotations:
            self._parts = sentences(self._text)
        asked = request.requested_attributes or {}
        self._chosen = list(dict.fromkeys(self._comments.attributes[name] for name in asked))
        self._scope["model"] = self._chosen[0].model
        return [self._batch(choice) for choice in self._chosen]

    def _batch(self, choice: AttributeChoice) -> Batch:
        served = self._comments.registry.get(choice.model)
        decision = served.policies.find(None, choice.policy, None, None)
        assert isinstance(decision, Decision)  # noqa: S101 - no point # nosec B101
        return Batch(served, [self._text], decision)

    def encode(self, manifest: Manifest, decision: Decision, decided: Decided) -> _Scored:
        """Return the scores of the comment, and of its sentences if they are wanted."""
        summary = decided.scores[0]
        if summary is None or not self._parts:
            return _Scored(summary, [])
        classifier = self._comments.registry.get(manifest.model).classifier
        encoded = classifier.encode([self._text[start:stop] for start, stop in self._parts])
        scores = classifier.infer(encoded, decision.policy)
        found = decision.decide(scores, classifier.encoded_notices(encoded)).scores
        return _Scored(
            summary,
            [
                (start, stop, score)
                for (start, stop), score in zip(self._parts, found, strict=True)
                if score is not None
            ],
        )

    def response(self, scored: Sequence[_Scored]) -> bytes:
        """Return the body of the response.

        Args:
            scored: by each model and policy, in the order of the batches.

        Raises:
            Problem: 400, the comment has no content.
        """
        by_choice = dict(zip(self._chosen, scored, strict=True))
        if all(one.summary is None for one in scored):
            raise CommentProblem(
                "Comment must be non-empty: it has no word outside of links and mentions.",
                "COMMENT_EMPTY",
            )
        request = self._request
        found = {}
        for name, parameters in (request.requested_attributes or {}).items():
            scores = self._scores(by_choice[self._comments.attributes[name]], parameters)
            if scores is not None:
                found[name] = scores
        token = UNSET if request.client_token is None else request.client_token
        return encode(AnalyzeResponse(found, request.languages or [_LANGUAGE], token))

    def _scores(
        self, scored: _Scored, parameters: AttributeParameters | None
    ) -> AttributeScores | None:
        """Return the scores of an attribute that reach its threshold; None if none does."""
        if scored.summary is None:
            return None
        least = (parameters and parameters.score_threshold) or 0.0
        # Without sentences, the score of the whole comment: some clients read no other.
        spans = scored.spans if self._parts else [(0, len(self._text), scored.summary)]
        units = in_utf16(self._text, [place for start, stop, _ in spans for place in (start, stop)])
        found = AttributeScores()
        listed = [
            SpanScore(units[start], units[stop], Score(score))
            for start, stop, score in spans
            if score >= least
        ]
        if listed:
            found.span_scores = listed
        if scored.summary >= least:
            found.summary_score = Score(scored.summary)
        return found if listed or found.summary_score is not UNSET else None


def wrap(app: ASGIApp, settings: Settings, registry: Registry, inference: Inference) -> ASGIApp:
    """Serve Perspective API in front of an application.

    Raises:
        ServingError: ``serving.toml`` maps an attribute to what does not exist, or to a model with
            more than two labels.
        SettingsError: no attribute has a model.
    """
    attributes = perspective_attributes(
        Path(settings.artifacts), settings.models, registry.serving_file
    )
    if not attributes:
        raise SettingsError(
            f"{source('protocols')}: no attribute of perspective has a model. Name models "
            "under [protocols.perspective.attributes] in serving.toml"
        )
    labels = {one.manifest.model: len(one.manifest.labels) for one in _loaded(registry)}
    for name, choice in attributes.items():
        if labels.get(choice.model, 2) > 2:
            raise ServingError(
                f"[protocols.perspective.attributes] has {name} = '{choice.model}', a model with "
                f"{labels[choice.model]} labels; expected one with two"
            )
    return PerspectiveEndpoint(app, attributes, settings, registry, inference)


def _loaded(registry: Registry) -> Sequence[Any]:
    return registry.all() if registry.is_ready else ()
