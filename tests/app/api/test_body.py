"""From bytes to a valid request, or to the one error that is reported."""

import asyncio
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import DecodeError, ValidationError
from msgspec.json import Decoder
from starlette.requests import ClientDisconnect
from starlette.types import Message

from app.api import body
from app.api.schemas import ClassifyRequest, limited_request
from app.errors import Problem

HEADERS = {b"content-type": b"application/json"}


UNKNOWN_FIELD = (
    "Unknown field. Allowed fields: texts, threshold, policy, operating_point, prior, explain, "
    "on_error"
)


def read(
    messages: Iterable[Message],
    max_bytes: int = 10,
    headers: Mapping[bytes, bytes] = HEADERS,
    reserved: list[int] | None = None,
) -> tuple[bytes, int]:
    """Return the body and the number of messages that were received for it.

    Of the body, 4 bytes need no reservation; ``reserved`` gets the amount of each other.
    """
    waiting = list(messages)
    found_reserved = [] if reserved is None else reserved
    count = len(waiting)

    async def receive() -> Message:
        return waiting.pop(0)

    async def reserve(amount: int) -> None:
        found_reserved.append(amount)

    found = asyncio.run(body.read(receive, headers, max_bytes, reserve, 4))
    return found, count - len(waiting)


def chunk(content: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": content, "more_body": more}


def test_a_body_is_joined_up_to_its_end() -> None:
    after = {"type": "http.disconnect"}
    assert read([chunk(b"ab"), chunk(b""), chunk(b"c", more=False), after]) == (b"abc", 3)
    assert read([{"type": "http.request"}]) == (b"", 1)


def test_reading_stops_at_the_byte_that_exceeds_the_limit() -> None:
    assert read([chunk(b"a" * 10), chunk(b"", more=False)])[0] == b"a" * 10
    with pytest.raises(Problem, match="limit of 10 bytes") as caught:
        read([chunk(b"a" * 10), chunk(b"a")])  # a further message would be missing
    assert caught.value.status == 413


def test_a_declared_length_over_the_limit_is_refused_without_reading() -> None:
    reserved: list[int] = []
    for declared in (b"11", b"9" * 5000):  # Python converts 4300 digits at most
        headers = HEADERS | {b"content-length": declared}
        with pytest.raises(Problem, match="limit of 10 bytes"):
            read([], headers=headers, reserved=reserved)
    assert not reserved


@pytest.mark.parametrize(
    ("declared", "chunks", "reserved"),
    [
        (b"4", [b"ab", b"cd"], []),
        (b"5", [b"ab", b"cde"], [5]),
        (b"", [b"ab", b"cd"], []),
        (b"", [b"ab", b"cde", b"f"], [10]),
        (b"", [b"abcde"], []),  # all of it is here already
    ],
)
def test_bytes_are_reserved_before_they_are_read(
    declared: bytes, chunks: list[bytes], reserved: list[int]
) -> None:
    headers = HEADERS | ({b"content-length": declared} if declared else {})
    *begin, end = chunks
    messages = [*map(chunk, begin), chunk(end, more=False)]
    found: list[int] = []
    assert read(messages, headers=headers, reserved=found)[0] == b"".join(chunks)
    assert found == reserved


def test_a_client_that_disconnects_has_sent_no_body() -> None:
    with pytest.raises(ClientDisconnect):
        read([chunk(b"ab"), {"type": "http.disconnect"}])


def test_a_text_does_not_outlive_its_request() -> None:
    decoder = Decoder(limited_request(8, 100))
    content = b'{"texts": ["canary-7f3a9"]}'
    first, second = (body.decode(decoder, content, 8).texts[0] for _ in range(2))
    assert first == second
    assert first is not second  # neither was kept in a cache


def test_the_base_type_checks_all_but_the_upper_limits() -> None:
    decoder = Decoder(ClassifyRequest)
    assert body.decode(decoder, b'{"texts": ["a"]}', 8) == ClassifyRequest(texts=["a"])
    for content in (b'{"texts": []}', b'{"texts": ["a"], "threshold": 2}', b'{"more": 1}'):
        with pytest.raises(Problem, match="invalid"):
            body.decode(decoder, content, 8)


class Failing:
    """A decoder of another release of msgspec, with messages that nobody has seen yet."""

    def __init__(self, error: DecodeError) -> None:
        self.type = ClassifyRequest
        self.error = error

    def decode(self, content: bytes) -> Any:
        raise self.error


@pytest.mark.parametrize(
    "message",
    [
        "No field is called `canary-7f3a9`",
        "Expected `str`, got `canary-7f3a9` - at `$.texts[0]`",
        "Expected `str`, got `canary` - at `$.texts[0]`",
        "Expected `str`, got `int` - at `$.canary-7f3a9`",
        "Object missing required field `texts`: `canary-7f3a9`",
    ],
)
def test_a_message_of_an_unknown_form_is_not_passed_on(message: str) -> None:
    with pytest.raises(Problem) as caught:
        body.decode(Failing(ValidationError(message)), b"", 8)  # type: ignore[arg-type]
    (error,) = caught.value.errors
    assert (error.pointer, error.detail) == ("#", "The value does not match the schema")


class Counting:
    """A decoder that counts the bytes it is given."""

    def __init__(self, decoder: Decoder[ClassifyRequest]) -> None:
        self.type = decoder.type
        self.decoder = decoder
        self.bytes = 0

    def decode(self, content: bytes) -> ClassifyRequest:
        self.bytes += len(content)
        return self.decoder.decode(content)


def repeated(begin: bytes, item: bytes, end: bytes = b"]}", size: int = 1_000_000) -> bytes:
    return begin + b",".join([item] * (size // (len(item) + 1))) + end


@pytest.mark.parametrize(
    ("content", "pointer", "detail"),
    [
        (repeated(b'{"texts": [', b'""'), "#/texts", "Expected an array of length <= 100"),
        (repeated(b'{"texts": [', b'"a"'), "#/texts", "Expected an array of length <= 100"),
        (repeated(b'{"texts": [', b'"a"', b""), "#/texts", "Expected an array of length <= 100"),
        (repeated(b'{"texts": [', rb'"\\"'), "#/texts", "Expected an array of length <= 100"),
        (repeated(b'{"texts": [', rb'"\""'), "#/texts", "Expected an array of length <= 100"),
        (repeated(b'{"texts": ["a", 1,', b'"a"'), "#/texts/1", "Expected a string, got a number"),
        (
            repeated(b'{"more": [', b'"a"'),
            "#",
            UNKNOWN_FIELD,
        ),
        (repeated(b'["a",', b'"a"', b"]"), "#", "Expected an object, got an array"),
    ],
)
def test_millions_of_strings_are_refused_as_they_are_read(
    content: bytes, pointer: str, detail: str
) -> None:
    decoder = Counting(Decoder(limited_request(100, 1000)))
    with pytest.raises(Problem) as caught:
        body.decode(decoder, content, 100)  # type: ignore[arg-type]
    (error,) = caught.value.errors
    assert (error.pointer, error.detail) == (pointer, detail)
    assert decoder.bytes < len(content) / 10


def test_what_is_not_json_is_found_before_too_many_strings() -> None:
    content = repeated(b'{"texts": ["a" "b",', b'"a"')
    with pytest.raises(Problem, match="expected ',' or"):
        body.decode(Decoder(limited_request(100, 1000)), content, 100)


@pytest.mark.parametrize("text", [b"a" * 999, rb"\"" * 999, rb"\\" * 999, rb"\"a\\" * 300])
def test_a_large_valid_body_is_decoded(text: bytes) -> None:
    content = b'{"threshold": 0.5, "texts": [' + b",".join([b'"%s"' % text] * 100) + b"]}"
    decoder = Counting(Decoder(limited_request(100, 1000)))
    assert len(body.decode(decoder, content, 100).texts) == 100  # type: ignore[arg-type]
    assert decoder.bytes == len(content)


@given(st.lists(st.text(st.sampled_from('a"\\,\n'), max_size=6), max_size=40), st.integers(1, 40))
def test_strings_are_counted_within_a_factor_of_two(texts: list[str], most: int) -> None:
    content = json.dumps(texts).encode()
    if len(texts) <= most:
        assert body.has_few_strings(content, most)
    if len(texts) > 2 * most:
        assert not body.has_few_strings(content, most)
    assert body.most_strings(content) >= max(len(texts), 1)


@pytest.mark.parametrize("name", ["explain", r"expl\u0061in", r"\u0065xplain", "operating_point"])
def test_a_field_is_found_however_its_name_is_written(name: str) -> None:
    content = b'{"texts": ["a"], "%s": 1}' % name.encode()
    assert body.may_name(content, "explain", "operating_point")


def test_usual_bodies_name_no_other_fields() -> None:
    content = json.dumps({"texts": ["explain é ü \n\0", "prior"], "threshold": 0.5}).encode()
    assert not body.may_name(content, "explain", "operating_point")
