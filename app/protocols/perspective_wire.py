"""Perspective API's requests, responses and errors, as JSON.

As in `commentanalyzer:v1alpha1`, Google's discovery document, and in the reference of
github.com/conversationai/perspectiveapi (2-api/methods.md and 2-api/limits.md).
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final, Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType
from starlette.responses import Response

from ..errors import Problem

_ERROR: Final = "type.googleapis.com/google.commentanalyzer.v1alpha1.Error"
# google.rpc.Code, by the HTTP status that its definition maps it to, and of those it has none for
# the nearest.
_CODES: Final[Mapping[int, str]] = {
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    405: "UNIMPLEMENTED",
    408: "DEADLINE_EXCEEDED",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

encode: Final = msgspec.json.Encoder().encode

ScoreType = Literal["SCORE_TYPE_UNSPECIFIED", "PROBABILITY", "STD_DEV_SCORE", "PERCENTILE", "RAW"]


class TextEntry(Struct, forbid_unknown_fields=True):
    """A text of a request."""

    text: str | None = None
    type: Literal["TEXT_TYPE_UNSPECIFIED", "PLAIN_TEXT", "HTML"] | None = None


class ArticleAndParentComment(Struct, forbid_unknown_fields=True, rename="camel"):
    """What a comment is about."""

    article: TextEntry | None = None
    parent_comment: TextEntry | None = None


class Context(Struct, forbid_unknown_fields=True, rename="camel"):
    """What stands before a comment; accepted and not used, as by Perspective API."""

    entries: list[TextEntry] | None = None
    article_and_parent_comment: ArticleAndParentComment | None = None


class AttributeParameters(Struct, forbid_unknown_fields=True, rename="camel"):
    """How an attribute is scored."""

    score_type: ScoreType | None = None
    score_threshold: float | None = None


class AnalyzeRequest(Struct, forbid_unknown_fields=True, rename="camel"):
    """The body of a request."""

    comment: TextEntry | None = None
    context: Context | None = None
    requested_attributes: dict[str, AttributeParameters | None] | None = None
    span_annotations: bool | None = None
    languages: list[str] | None = None
    do_not_store: bool | None = None
    client_token: str | None = None
    session_id: str | None = None
    community_id: str | None = None


class Score(Struct, gc=False):
    """A score in [0, 1]."""

    value: float
    type: Literal["PROBABILITY"] = "PROBABILITY"


class SpanScore(Struct, gc=False):
    """The score of a part of the comment, from ``begin`` up to ``end``, in UTF-16 code units."""

    begin: int
    end: int
    score: Score


class AttributeScores(Struct, rename="camel", omit_defaults=True):
    """The scores of an attribute that reach its threshold."""

    span_scores: list[SpanScore] | UnsetType = UNSET
    summary_score: Score | UnsetType = UNSET


class AnalyzeResponse(Struct, rename="camel"):
    """The body of a response."""

    attribute_scores: dict[str, AttributeScores]
    languages: list[str]
    client_token: str | UnsetType = UNSET


class CommentProblem(Problem):
    """400, with the type of error that Perspective API names.

    Args:
        detail: see `Problem`.
        error_type: such as ``COMMENT_EMPTY``.
        more: further members of the error's details.
    """

    def __init__(
        self, detail: str, error_type: str = "INVALID_REQUEST", **more: Mapping[str, Any]
    ) -> None:
        super().__init__(HTTPStatus.BAD_REQUEST, detail)
        self.error_type = error_type
        self.more = more


def render(problem: Problem) -> Response:
    """Return a problem in the form of Google's errors, with the type that Perspective API names."""
    status = problem.status
    message = problem.detail
    more: Mapping[str, Any] = {}
    error_type = ""
    if isinstance(problem, CommentProblem):
        error_type, more = problem.error_type, problem.more
    elif status == HTTPStatus.UNPROCESSABLE_ENTITY:
        # The texts of a request are its comment; their limit is the only error about them.
        if any(one.pointer.startswith("#/texts/") for one in problem.errors):
            return render(too_long("it is too long after Unicode normalization."))
        status = HTTPStatus.BAD_REQUEST
        message += "".join(f" {one.pointer}: {one.detail}." for one in problem.errors)
    elif status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        error_type = "COMMENT_TOO_LONG"
    if not error_type and status < HTTPStatus.UNAUTHORIZED:
        error_type = "INVALID_REQUEST"
    is_internal = status >= HTTPStatus.INTERNAL_SERVER_ERROR
    error: dict[str, Any] = {
        "code": status.value,
        "message": message,
        "status": _CODES.get(status, "INTERNAL" if is_internal else "INVALID_ARGUMENT"),
    }
    if error_type:
        error["details"] = [{"@type": _ERROR, "errorType": error_type, **more}]
    return Response(
        encode({"error": error}),
        status_code=status,
        headers=dict(problem.headers or {}),
        media_type="application/json",
    )


def too_long(detail: str) -> CommentProblem:
    """400: the comment exceeds the limit."""
    return CommentProblem(f"Comment text too long: {detail}", "COMMENT_TOO_LONG")
