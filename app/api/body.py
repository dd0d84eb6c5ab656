"""Reading a request body: bytes up to a limit, decoded and validated in one pass."""

import re
from collections.abc import Mapping
from typing import Final, TypeVar

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from .. import errors
from ..errors import FieldError

T = TypeVar("T", bound=Struct)

# msgspec's type names, and their JSON equivalents.
_WORDS: Final = {
    "array": "an array",
    "bool": "a boolean",
    "float": "a number",
    "int": "a number",
    "null": "null",
    "object": "an object",
    "str": "a string",
}

# msgspec's messages: "Expected `str`, got `int` - at `$.texts[3]`". Only what matches these is
# passed on: the message about an unknown field repeats the field's name, which is the client's.
_TYPE: Final = "`(?:{0})(?: \\| (?:{0}))*`".format("|".join(_WORDS))
_KNOWN: Final = re.compile(
    rf"(?P<detail>Number out of range"
    rf"|Expected {_TYPE}(?:, got {_TYPE}| (?:of length )?[<>]= [0-9.]+))"
    r"(?: - at `\$(?P<path>[a-z_.\[\]0-9]*)`)?"
)
_MISSING: Final = re.compile(r"Object missing required field `([a-z_]+)`")
# Of a length that fits 64 bits. Python refuses to convert thousands of digits.
_MAX_DIGITS: Final = 18

_UNKNOWN_FIELD: Final = "Object contains unknown field "


async def read(receive: Receive, headers: Mapping[bytes, bytes], max_bytes: int) -> bytes:
    """Read the body of a request.

    Args:
        receive: ASGI's.
        headers: of the request.
        max_bytes: the body's size at most; a larger one is not read to its end.

    Raises:
        Problem: 415 or 413.
        ClientDisconnect: the client closed the connection before the end of the body.
    """
    content_type = headers.get(b"content-type", b"")
    if content_type.partition(b";")[0].strip().lower() != b"application/json":
        raise errors.unsupported_media_type()
    declared = headers.get(b"content-length", b"")
    if declared.isdigit() and (len(declared) > _MAX_DIGITS or int(declared) > max_bytes):
        raise errors.too_large(max_bytes)
    chunks = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            raise errors.too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def decode(decoder: Decoder[T], body: bytes) -> T:
    """Decode a body and validate it, in one pass that ends at the first error.

    If a name occurs twice in an object, its last value is used (RFC 8259, section 4, leaves this
    open); each value must be valid.

    Raises:
        Problem: 400, the body is not JSON up to the first error; 422, it is not a valid request.
    """
    try:
        return decoder.decode(body)
    except ValidationError as error:
        raise errors.invalid(_field_error(str(error), decoder.type)) from None
    except DecodeError as error:  # says what was expected and where, never what was found
        reason = str(error).removeprefix("JSON is malformed: ")
        raise errors.not_json(reason[0].lower() + reason[1:]) from None
    except UnicodeDecodeError:
        raise errors.not_json("a string is not valid UTF-8") from None


def _field_error(message: str, schema: type[Struct]) -> FieldError:
    """Translate msgspec's message and path."""
    if message.startswith(_UNKNOWN_FIELD):
        allowed = ", ".join(schema.__struct_fields__)
        return FieldError(pointer="#", detail=f"Unknown field. Allowed fields: {allowed}")
    if missing := _MISSING.fullmatch(message):
        return FieldError(pointer=f"#/{missing[1]}", detail="This field is required")
    known = _KNOWN.fullmatch(message)
    if known is None:
        return FieldError(pointer="#", detail="The value does not match the schema")
    pointer = "#" + re.sub(r"[.\[]", "/", (known["path"] or "").replace("]", ""))
    return FieldError(pointer=pointer, detail=re.sub(_TYPE, _in_words, known["detail"]))


def _in_words(types: re.Match[str]) -> str:
    return " or ".join(_WORDS[name] for name in types[0].strip("`").split(" | "))
