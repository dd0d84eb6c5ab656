"""Reading a request's body: bytes under a limit, then JSON, then the request's shape."""

from typing import Any, Final, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from .. import errors
from ..errors import Mistake

T = TypeVar("T", bound=BaseModel)

# Where pydantic's words speak of Python.
_WORDS: Final = {
    "model_type": "Input should be an object",
    "list_type": "Input should be an array",
    "string_type": "Input should be a string",
    "float_type": "Input should be a number",
}


async def read(request: Request, schema: type[T], max_bytes: int) -> T:
    """Read and check a request's body.

    Raises:
        Problem: 415, 413, 400 or 422.
    """
    if not is_json(request.headers.get("content-type", "").encode("latin-1")):
        raise errors.unsupported_media_type()
    return _validated(_parsed(await _limited(request, max_bytes)), schema)


def is_json(content_type: bytes) -> bool:
    """Tell whether a body of this Content-Type is read."""
    return content_type.partition(b";")[0].strip().lower() == b"application/json"


async def _limited(request: Request, max_bytes: int) -> bytes:
    """Read the body; stop at the byte that passes the limit, or before the first if it is told."""
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise errors.too_large(max_bytes)
    chunks = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise errors.too_large(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _parsed(body: bytes) -> Any:
    try:
        # Values are not cached: a text must not outlive its request.
        return from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:  # tells what was expected and where, never what was found
        raise errors.not_json(error) from None


def _validated(value: Any, schema: type[T]) -> T:
    mistakes = []
    if isinstance(value, dict) and not value.keys() <= schema.model_fields.keys():
        # One mistake however many they are, and without their names, which are the client's.
        known = ", ".join(schema.model_fields)
        mistakes.append(
            Mistake(pointer="#", detail=f"There is an unknown field; known are: {known}")
        )
        value = {name: value[name] for name in schema.model_fields if name in value}
    try:
        request = schema.model_validate(value)
    except ValidationError as error:
        mistakes += [
            Mistake(
                pointer="#" + "".join(f"/{part}" for part in found["loc"]),
                detail=_WORDS.get(found["type"], found["msg"]),
            )
            for found in error.errors(include_url=False, include_context=False, include_input=False)
        ]
    if mistakes:
        raise errors.invalid(mistakes)
    return request
