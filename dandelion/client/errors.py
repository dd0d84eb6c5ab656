"""The errors of the client. None of them holds a text, or the key.

ClientError
├── ResponseError      the service refused the request
├── UnreachableError   there is no response, after every attempt
└── DeadlineError      there was no result in time
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

_KNOWN: Final = {"type", "title", "status", "detail", "request_id", "errors"}


class ClientError(Exception):
    """A call to the service failed."""


class UnreachableError(ClientError):
    """There is no response: no connection, or it ended too early, at every attempt."""


class DeadlineError(ClientError):
    """There was no result before the deadline of the call."""


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with a field of the request.

    Attributes:
        pointer: JSON Pointer (RFC 6901, as a URI fragment) into the body of the request that was
            sent: ``#/texts/3`` counts from the start of its batch.
        detail: what was expected there.
    """

    pointer: str
    detail: str


class ResponseError(ClientError):
    """The service refused a request, with a problem (RFC 9457).

    Attributes:
        status: the HTTP status.
        title: its reason phrase.
        detail: what happened, and what is allowed; "" if the response is no problem of the service,
            as that of a proxy.
        type: ``about:blank``, unless something else responded.
        request_id: under which the service's log has details; "" if it is unknown.
        errors: the invalid field, with 422.
        members: all other members, such as ``best`` and ``texts_needed`` of an operating point that
            cannot be promised.
        position: of the text that is refused, among all those of the call; None if it is not one
            text.
    """

    def __init__(  # noqa: PLR0913
        self,
        status: int,
        title: str,
        detail: str,
        *,
        type: str = "about:blank",  # noqa: A002 - the name of the member
        request_id: str = "",
        errors: Sequence[FieldError] = (),
        members: Mapping[str, Any] | None = None,
        position: int | None = None,
    ) -> None:
        self.status = status
        self.title = title
        self.detail = detail
        self.type = type
        self.request_id = request_id
        self.errors = tuple(errors)
        self.members = dict(members or {})
        self.position = position
        where = [f"{error.pointer}: {error.detail}" for error in self.errors]
        if position is not None:
            where.append(f"this is text {position} of the call")
        super().__init__("; ".join(filter(None, (f"{status} {title}", detail, *where))))


def refusal(status: int, request_id: str, content: bytes, first: int = 0) -> ResponseError:
    """Return the error that a response stands for.

    Args:
        status: of the response.
        request_id: from its header.
        content: its body, which need not be a problem.
        first: the position of the request's first text among those of the call.
    """
    problem = _problem(content)
    errors = [
        FieldError(str(error.get("pointer", "")), str(error.get("detail", "")))
        for error in _objects(problem.get("errors"))
    ]
    at = next((text_at(error.pointer) for error in errors), None)
    return ResponseError(
        status,
        str(problem.get("title") or _phrase(status)),
        str(problem.get("detail", "")),
        type=str(problem.get("type", "about:blank")),
        request_id=str(problem.get("request_id", request_id)),
        errors=errors,
        members={name: value for name, value in problem.items() if name not in _KNOWN},
        position=None if at is None else first + at,
    )


def text_at(pointer: str) -> int | None:
    """Return the position of the text that a JSON Pointer leads to; None for anything else."""
    name, _, position = pointer.removeprefix("#/").partition("/")
    is_position = position.isascii() and position.isdigit() and len(position) < 10
    return int(position) if name == "texts" and is_position else None


def _problem(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and "status" in found else {}


def _objects(value: object) -> list[dict[str, Any]]:
    values = value if isinstance(value, list) else []
    return [one for one in values if isinstance(one, dict)]


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown status"
