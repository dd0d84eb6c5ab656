"""Reading a request's body: bytes under a limit, then JSON, then the request's shape."""

from http import HTTPStatus
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, from_json
from starlette.requests import Request

from .errors import Mistake, Problem

T = TypeVar("T", bound=BaseModel)

_MAX_MISTAKES: Final = 20

# Where pydantic's words speak of Python, or name what the client sent.
_WORDS: Final = {
    "model_type": "Input should be an object",
    "list_type": "Input should be an array",
    "string_type": "Input should be a string",
    "float_type": "Input should be a number",
    "extra_forbidden": "There is a field that is not known",
}


async def read(request: Request, schema: type[T], max_bytes: int) -> T:
    """Read and check a request's body.

    Raises:
        Problem: 415, 413, 400 or 422.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "The Content-Type must be application/json."
        )
    return _validated(_parsed(await _limited(request, max_bytes)), schema)


async def _limited(request: Request, max_bytes: int) -> bytes:
    """Read the body; stop at the byte that passes the limit, or before the first if it is told."""
    too_large = Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {max_bytes} bytes.",
        # What is left of the body must not be read as the connection's next request.
        headers={"Connection": "close"},
    )
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise too_large
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise too_large
        chunks.append(chunk)
    return b"".join(chunks)


def _parsed(body: bytes) -> Any:
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:  # tells what was expected and where, never what was found
        raise Problem(
            HTTPStatus.BAD_REQUEST, f"The body is not JSON (RFC 8259, UTF-8): {error}."
        ) from None


def _validated(value: Any, schema: type[T]) -> T:
    try:
        return schema.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
        mistakes = [
            Mistake(pointer=_pointer(mistake), detail=_WORDS.get(mistake["type"], mistake["msg"]))
            for mistake in found[:_MAX_MISTAKES]
        ]
    detail = "The body is not a valid request."
    if len(found) > _MAX_MISTAKES:
        detail += f" It has {len(found)} mistakes; the first {_MAX_MISTAKES} are listed."
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=mistakes)


def _pointer(mistake: ErrorDetails) -> str:
    """Point to a mistake; to the object that holds it where its name is the client's own."""
    path = mistake["loc"][: -1 if mistake["type"] == "extra_forbidden" else None]
    return "#" + "".join(f"/{part}" for part in path)
