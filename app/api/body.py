"""Reading a request body: bytes up to a limit, decoded and validated in one pass."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, TypeVar

from msgspec import DecodeError, Struct, ValidationError
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect
from starlette.types import Receive

from dandelion.explanation import MAX_SPANS

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
    rf"|Expected {_TYPE}(?:, got {_TYPE}| (?:of length )?[<>]=? [0-9.e-]+"
    r"| that's a multiple of [0-9.]+))"
    r"(?: - at `\$(?P<path>[A-Za-z_.\[\]0-9]*)`)?"
)
# What a field takes, where msgspec's types do not say it well.
_EXPECTED: Final = {"#/explain": f"Expected true, false or a whole number from 1 to {MAX_SPANS}"}
# Its value is the client's, and is not passed on; the path at the end is msgspec's.
_CHOICE: Final = re.compile(r"Invalid enum value .*? - at `\$\.(?P<name>[a-z_]+)`", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `([a-z_]+)`")
# Of a length that fits 64 bits. Python refuses to convert thousands of digits.
_MAX_DIGITS: Final = 18

# A body shorter than this holds too few strings to cost more than a valid one.
_FEW_STRINGS_BYTES: Final = 65_536
# Allowed strings of a request that are not texts: the names of its fields, which may be repeated,
# and the values of some.
NAMES: Final = 64

# Two quotation marks and a comma: no string takes less.
_STRING_BYTES: Final = 3

_TRUNCATED: Final = "Input data was truncated"
# After the first half of an escaped pair of surrogates, msgspec wants this many bytes.
_ESCAPE_BYTES: Final = 6

_UNKNOWN_FIELD: Final = "Object contains unknown field "
_NESTED: Final = re.compile(r" - at `\$\.[^`]*`\Z")
# How msgspec writes that a value is in a mapping, whose key it does not repeat.
_ANY_KEY: Final = "[...]"


async def read(  # noqa: PLR0913
    receive: Receive,
    headers: Mapping[bytes, bytes],
    max_bytes: int,
    reserve: Callable[[int], Awaitable[None]],
    unreserved_bytes: int,
    *,
    media_types: Sequence[bytes] = (b"application/json",),
) -> bytes:
    """Read the body of a request.

    Args:
        receive: ASGI's.
        headers: of the request.
        max_bytes: the body's size at most; a larger one is not read to its end.
        reserve: called with a number of bytes before more than ``unreserved_bytes`` are read: the
            body's size if it is declared, else ``max_bytes``.
        unreserved_bytes: the size up to which a body needs no reservation.
        media_types: what the body may be, lower case.

    Raises:
        Problem: 415 or 413; or what ``reserve`` raises.
        ClientDisconnect: the client closed the connection before the end of the body.
    """
    content_type = headers.get(b"content-type", b"")
    if content_type.partition(b";")[0].strip().lower() not in media_types:
        raise errors.unsupported_media_type(b" or ".join(media_types).decode())
    encoding = headers.get(b"content-encoding")
    if encoding and encoding.strip().lower() not in (b"identity", b""):
        raise errors.unsupported_encoding()
    declared = headers.get(b"content-length", b"")
    reserved = unreserved_bytes
    if declared.isdigit():
        if len(declared) > _MAX_DIGITS or (size := int(declared)) > max_bytes:
            raise errors.too_large(max_bytes)
        if size > reserved:
            await reserve(size)
            reserved = max_bytes
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
        if size > reserved:
            await reserve(max_bytes)
            reserved = max_bytes


def most_strings(body: bytes) -> int:
    """Return an upper bound on the number of strings in a body, at least 1."""
    return 1 + body.count(b'"') // 2


def has_few_strings(body: bytes, most: int) -> bool:
    """Return whether a body has about ``most`` strings or fewer, and twice as many at most.

    A quotation mark without a backslash before it begins or ends a string, and each string begins
    with one. So between half as many and as many strings are in the body.
    """
    if len(body) <= _STRING_BYTES * most:
        return True
    marks = body.count(b'"')
    if marks <= 2 * most:  # several times as fast as looking for backslashes, too
        return True
    return marks - body.count(b'\\"') <= 2 * most


def may_name(body: bytes, *fields: str) -> bool:
    """Return whether a body may have one of the fields; False if it has none, however written."""
    # An escaped ASCII letter or low line, which no usual encoder writes, may hide a name.
    hidden = (rb"\u005", rb"\u006", rb"\u007")
    return any(part in body for part in (*(b'"%s"' % name.encode() for name in fields), *hidden))


def decode(decoder: Decoder[T], body: bytes, max_texts: int) -> T:
    """Decode a body and validate it, in one pass that ends at the first error.

    If a name occurs twice in an object, its last value is used (RFC 8259, section 4, leaves this
    open); each value must be valid, and the number of texts in all of them together is bounded.

    Args:
        decoder: of the request.
        body: its bytes.
        max_texts: strings in an array at most. The decoder validates this, but only at the end of
            the array; a body with more than twice as many strings is refused before.

    Raises:
        Problem: 400, the body is not JSON up to the first error; 422, it is not a valid request.
    """
    try:
        if len(body) > _FEW_STRINGS_BYTES:
            _check_strings(decoder, body, max_texts)
        return decoder.decode(body)
    except ValidationError as error:
        raise errors.invalid(_field_error(str(error), decoder.type)) from None
    except DecodeError as error:  # says what was expected and where, never what was found
        reason = _reason(decoder, body, str(error)).removeprefix("JSON is malformed: ")
        raise errors.not_json(reason[0].lower() + reason[1:]) from None
    except UnicodeDecodeError:
        raise errors.not_json("a string is not valid UTF-8") from None


def _check_strings(decoder: Decoder[T], body: bytes, max_texts: int) -> None:
    """Refuse a body with more than twice the allowed number of strings, see `has_few_strings`.

    Raises:
        ValidationError: there are too many strings, or one of the first is wrong.
        DecodeError: the body is not JSON up to where there are too many.
    """
    most = max_texts + NAMES
    if has_few_strings(body, most):
        return
    start = marks = 0
    while start < len(body):
        stop = start + _FEW_STRINGS_BYTES
        escaped = body.count(b'\\"', max(start - 1, 0), stop)
        marks += body.count(b'"', start, stop) - escaped
        if marks > 2 * most:
            # What comes first in the body is what is reported.
            try:
                decoder.decode(body[: body.rindex(b'"', start, stop) + 1])
            except ValidationError:
                raise
            except DecodeError as error:
                if str(error) != _TRUNCATED:
                    raise
            raise ValidationError(
                f"Expected `array` of length <= {max_texts} - at `$.texts`"
            ) from None
        start = stop


def _reason(decoder: Decoder[T], body: bytes, reason: str) -> str:
    """Return why a body is not JSON, also where msgspec takes half a pair for the body's end."""
    if reason == _TRUNCATED and b"\\u" in body[-2 * _ESCAPE_BYTES :]:
        try:
            decoder.decode(body + b" " * _ESCAPE_BYTES)
        except DecodeError as error:
            if "surrogate" in str(error):
                return str(error)
    return reason


def _field_error(message: str, schema: type[Struct]) -> FieldError:
    """Translate msgspec's message and path."""
    if message.startswith(_UNKNOWN_FIELD):
        if _NESTED.search(message):
            return FieldError(pointer="#", detail="Unknown field of an inner object")
        allowed = ", ".join(schema.__struct_encode_fields__)
        return FieldError(pointer="#", detail=f"Unknown field. Allowed fields: {allowed}")
    if missing := _MISSING.fullmatch(message):
        return FieldError(pointer=f"#/{missing[1]}", detail="This field is required")
    if (choice := _CHOICE.fullmatch(message)) and choice["name"] in schema.__struct_fields__:
        return FieldError(
            pointer=f"#/{choice['name']}",
            detail="Expected one of the values that /openapi.json lists",
        )
    known = _KNOWN.fullmatch(message)
    pointer = "#"
    if known is not None:
        path = (known["path"] or "").replace(_ANY_KEY, "/*").replace("]", "")
        pointer += re.sub(r"[.\[]", "/", path)
    return FieldError(pointer=pointer, detail=_EXPECTED.get(pointer) or expected(message))


def expected(message: str) -> str:
    """Return what msgspec expected, in words; nothing of what it found but its type."""
    known = _KNOWN.fullmatch(message)
    if known is None:
        return "The value does not match the schema"
    return re.sub(_TYPE, _in_words, known["detail"])


def _in_words(types: re.Match[str]) -> str:
    return " or ".join(_WORDS[name] for name in types[0].strip("`").split(" | "))
