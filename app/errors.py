"""The errors that a client sees, as exceptions. `api.problems` writes them as responses.

No error repeats what the client sent: neither a text nor the name of a field or a model.
"""

import math
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Annotated, Any, Final

from msgspec import Meta, Struct

# The client closed the connection before the response (nginx's convention).
CLIENT_CLOSED: Final = 499

_RETRY_AFTER_S: Final = 1
_CHALLENGE: Final = 'Bearer realm="dandelion"'


class FieldError(Struct, frozen=True):
    """What is wrong with one field of the request body, or one parameter of the query."""

    pointer: Annotated[
        str,
        Meta(
            description="JSON Pointer (RFC 6901, as a URI fragment) into the body, or into the "
            "parameters of the query by their names."
        ),
    ]
    detail: Annotated[str, Meta(description="What was expected there.")]


class Problem(Exception):  # noqa: N818 - RFC 9457's word
    """An error response (RFC 9457).

    Args:
        status: the HTTP status.
        detail: what happened and what is allowed; nothing of what the client sent.
        errors: the invalid fields of the body, for 422.
        headers: further headers of the response.
        members: further members of the problem's JSON, see `api.problems.ProblemDetails`.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[FieldError] = (),
        headers: Mapping[str, str] | None = None,
        members: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.errors = errors
        self.headers = headers
        self.members = members or {}


def not_json(reason: str) -> Problem:
    """400: the body is not JSON; ``reason`` says what was expected, and where."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        f"The request body is not valid JSON (RFC 8259, UTF-8): {reason}.",
    )


def malformed() -> Problem:
    """400: what arrived is not an HTTP/1.1 request."""
    return Problem(HTTPStatus.BAD_REQUEST, "The request is not valid HTTP/1.1 (RFC 9112).")


def unsupported_coding() -> Problem:
    """400: the body is encoded for the transfer by more than ``chunked``."""
    return Problem(HTTPStatus.BAD_REQUEST, "The only supported Transfer-Encoding is chunked.")


def framing_too_large(max_bytes: int) -> Problem:
    """400: what frames a chunked body is out of proportion to it."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        f"Chunk extensions, trailers or small chunks exceed the limit of {max_bytes} bytes.",
    )


def several_keys() -> Problem:
    """400: the request presents more than one API key (RFC 6750, section 3.1)."""
    return Problem(
        HTTPStatus.BAD_REQUEST,
        "The request has several different API keys. Send one.",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_request"'},
    )


def no_key() -> Problem:
    """401: the request needs an API key, and has none."""
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "An API key is required. Send it in the header Authorization: Bearer, or X-API-Key.",
        headers={"WWW-Authenticate": _CHALLENGE},
    )


def unknown_key() -> Problem:
    """401: the API key is not one of those that are configured."""
    return Problem(
        HTTPStatus.UNAUTHORIZED,
        "The API key is not valid.",
        headers={"WWW-Authenticate": f'{_CHALLENGE}, error="invalid_token"'},
    )


def missing_scope(scope: str) -> Problem:
    """403: the API key is valid, but does not allow this."""
    return Problem(
        HTTPStatus.FORBIDDEN,
        f"This needs an API key with the scope {scope}.",
        headers={
            "WWW-Authenticate": f'{_CHALLENGE}, error="insufficient_scope", scope="{scope}"',
        },
    )


def not_found() -> Problem:
    """404: nothing is served at this path."""
    return Problem(HTTPStatus.NOT_FOUND, "Not found. See /openapi.json and /docs.")


def unknown_generation() -> Problem:
    """404: there was no such generation, or its report is not kept any more."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "No report of this generation: there was none, or there were too many since.",
    )


def unknown_model(available: Sequence[str]) -> Problem:
    """404: no model of this name is served."""
    return Problem(
        HTTPStatus.NOT_FOUND, f"Unknown model. Available models: {', '.join(available)}."
    )


def unknown_variant(loaded: Sequence[str]) -> Problem:
    """404: no variant of this name is loaded."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        f"Unknown variant of this model. Loaded variants: {', '.join(loaded)}.",
    )


def browser_refused() -> Problem:
    """403: a browser asks for a change, on behalf of a page that may be anyone's."""
    return Problem(
        HTTPStatus.FORBIDDEN,
        "Requests with an Origin header, as browsers send them, need an API key here.",
    )


def method_not_allowed(headers: Mapping[str, str] | None = None) -> Problem:
    """405: ``headers`` hold ``Allow``."""
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "Method not allowed. The Allow header lists the supported methods.",
        headers=headers,
    )


def request_timeout() -> Problem:
    """408: the headers or the body did not arrive in time."""
    return Problem(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.")


def reload_running(generation: int) -> Problem:
    """409: a generation is loading; only one does at a time."""
    return Problem(
        HTTPStatus.CONFLICT,
        f"Generation {generation} is loading. Retry when GET /admin/reloads/{generation} reports "
        "how it ended.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def no_previous_generation() -> Problem:
    """409: nothing was served before."""
    return Problem(
        HTTPStatus.CONFLICT, "There is no generation to roll back to: no other one has served."
    )


def other_version(version: str) -> Problem:
    """409: texts were scored by another version of the model than the one that is served now."""
    return Problem(
        HTTPStatus.CONFLICT,
        "The texts were scored by another version of this model, which was replaced meanwhile. "
        f"Score them again with version {version}.",
    )


def too_large(max_bytes: int) -> Problem:
    """413: the body exceeds the limit."""
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The request body exceeds the limit of {max_bytes} bytes.",
    )


def uri_too_long(max_bytes: int) -> Problem:
    """414: the URL exceeds the limit."""
    return Problem(
        HTTPStatus.REQUEST_URI_TOO_LONG, f"The URL exceeds the limit of {max_bytes} bytes."
    )


def unsupported_media_type(expected: str = "application/json") -> Problem:
    """415: the body is declared as something other than what the route takes."""
    return Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Content-Type must be {expected}.")


def unsupported_encoding() -> Problem:
    """415: the body is compressed."""
    return Problem(
        HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
        "Content-Encoding must be identity: compressed bodies are not supported.",
        headers={"Accept-Encoding": "identity"},
    )


def invalid(error: FieldError) -> Problem:
    """422: the body is JSON, but not a valid request."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "The request body is invalid.", errors=(error,))


def text_too_long(position: int, max_chars: int) -> Problem:
    """422: a text exceeds the limit after normalization."""
    detail = (
        f"Expected a string of length <= {max_chars} after Unicode normalization (NFKC), "
        "which expands some characters"
    )
    return invalid(FieldError(pointer=f"#/texts/{position}", detail=detail))


def texts_too_long(position: int, max_chars: int) -> Problem:
    """422: the texts up to this one together exceed the limit after normalization."""
    detail = (
        f"Expected at most {max_chars} characters in all texts after Unicode normalization "
        "(NFKC); this text exceeds the total"
    )
    return invalid(FieldError(pointer=f"#/texts/{position}", detail=detail))


def too_much_to_explain(max_texts: int, max_chars: int) -> Problem:
    """422: explanations were asked for more texts, or longer ones, than one request may have."""
    return invalid_field(
        "explain",
        f"Explanations are limited to {max_texts} texts with {max_chars} characters in all of "
        "them, before and after Unicode normalization (NFKC)",
    )


def invalid_field(name: str, detail: str, members: Mapping[str, Any] | None = None) -> Problem:
    """422: what is wrong with a field of the body, and further members of the problem."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        "The request body is invalid.",
        errors=(FieldError(pointer=f"#/{name}", detail=detail),),
        members=members,
    )


def not_for_labels(name: str, labels: int) -> Problem:
    """422: what moves a threshold was given for a model with more than two labels."""
    article = "an" if name.startswith("o") else "a"
    return invalid_field(
        name,
        f"This model has {labels} labels and returns the one with the highest score; "
        f"{article} {name.replace('_', ' ')} is not allowed.",
    )


def no_thresholds(labels: int) -> Problem:
    """404: a model with more than two labels has no threshold, and so no points or curve."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        f"This model has {labels} labels and returns the one with the highest score: it has no "
        "threshold.",
    )


def no_held_out_scores() -> Problem:
    """404: a model without evidence has no operating points and no curve."""
    return Problem(
        HTTPStatus.NOT_FOUND,
        "The artifact of this model has no evidence (held-out scores): operating points and a "
        "threshold curve cannot be computed.",
    )


def invalid_query(error: FieldError) -> Problem:
    """422: a parameter of the query is not as expected; the pointer has its name."""
    return Problem(
        HTTPStatus.UNPROCESSABLE_ENTITY, "The query of the URL is invalid.", errors=(error,)
    )


def excluded(name: str, other: str) -> Problem:
    """422: two fields that exclude one another."""
    return invalid_field(name, f"'{other}' and '{name}' exclude one another; expected one of them")


def unknown_policy(available: Sequence[str]) -> Problem:
    """422: the model has no policy of this name."""
    known = f"Policies of this model: {', '.join(available)}" if available else "It has none"
    return invalid_field("policy", f"This model has no policy of this name. {known}")


def unfitted_policy(policy: str) -> Problem:
    """422: the policy is fitted for the served variant, but not for this one."""
    return invalid_field(
        "policy",
        f"The policy {policy!r} cannot be fitted for this variant (the service's log has the "
        "reason); name a threshold, an operating point or another policy",
    )


def prior_of_policy(policy: str) -> Problem:
    """422: a prior was given to a policy that has one, or whose numbers are for one."""
    return invalid_field(
        "prior", f"The policy {policy!r} has a prior of its own, or a threshold; leave this out"
    )


def not_calibrated() -> Problem:
    """422: a prior was given to a model whose scores are no probabilities."""
    return invalid_field(
        "prior",
        "A prior corrects probabilities, but the scores of this model are not calibrated: its "
        "artifact is of an earlier format",
    )


def no_card() -> Problem:
    """404: a model without a card."""
    return Problem(
        HTTPStatus.NOT_FOUND, "The artifact of this model has no model card (MODEL_CARD.md)."
    )


def no_evidence() -> Problem:
    """422: an operating point was given to a model without evidence."""
    return invalid_field(
        "operating_point",
        "The artifact of this model has no evidence (held-out scores), so an operating point "
        "cannot be fitted; use a threshold",
    )


def overloaded() -> Problem:
    """429: the service is at its capacity, and so are the places to wait."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "The service is at its capacity. Retry in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def rate_exceeded(wait_s: float) -> Problem:
    """429: the API key's limit allows the request only in ``wait_s`` seconds."""
    return Problem(
        HTTPStatus.TOO_MANY_REQUESTS,
        "The limit of this API key, in texts per second, is reached. Retry-After has the time to "
        "wait, in seconds.",
        headers={"Retry-After": str(math.ceil(wait_s))},
    )


def headers_too_large(limit: str) -> Problem:
    """431: the header section exceeds ``limit``, such as "100 fields"."""
    return Problem(
        HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, f"The headers exceed the limit of {limit}."
    )


def internal() -> Problem:
    """500: a defect of the service; the response reveals nothing about it."""
    return Problem(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        "Internal error. The service's log has details under this request id.",
    )


def no_reload() -> Problem:
    """501: nothing can be reloaded where no process can be forked."""
    return Problem(
        HTTPStatus.NOT_IMPLEMENTED,
        "Reloading is not possible on this system, whose processes cannot be forked. Restart the "
        "service.",
    )


def no_reply() -> Problem:
    """503: the supervisor did not reply in time."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service's supervisor does not reply. Retry in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def not_ready() -> Problem:
    """503: the models are still loading."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The models are still loading. Retry in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def too_many_connections() -> Problem:
    """503: no more connections can be opened."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The limit of open connections is reached. Retry in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def model_unavailable() -> Problem:
    """503: the model's artifact is damaged, and the others are served without it."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The model is unavailable, because its artifact cannot be used. See the service's log.",
    )


def shutting_down() -> Problem:
    """503: the service stops before it can respond."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The service is shutting down. Retry in a moment.",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


def deadline_exceeded(timeout_ms: int) -> Problem:
    """504: the request could not be classified in time."""
    return Problem(
        HTTPStatus.GATEWAY_TIMEOUT, f"The request exceeded the time limit of {timeout_ms} ms."
    )
