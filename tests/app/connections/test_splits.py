"""Where bytes are split on their path makes no difference to what is answered."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from app.connections.open_connections import Connections
from app.connections.protocol import protocol
from app.settings import Settings
from app.telemetry.metrics import Metrics

from .raw import responses

SETTINGS = Settings(max_url_bytes=64, max_header_bytes=400, max_headers=12)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond with everything that an application can read of a request."""
    body = bytearray()
    more = True
    while more:
        message = await receive()
        assert message["type"] == "http.request"
        body += message["body"]
        more = message["more_body"]
    headers = [[name.decode(), value.decode()] for name, value in scope["headers"]]
    content = json.dumps([scope["method"], scope["raw_path"].decode(), headers, body.decode()])
    length = (b"content-length", b"%d" % len(content))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": content.encode()})


METRICS = Metrics()
CONFIG = Config(echo, ws="none", lifespan="off", log_config=None)


class Wire(asyncio.Transport):
    """A transport that delivers what is put into it and keeps what is written to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 1), "sockname": ("192.0.2.2", 2)})
        self.written = bytearray()
        self.protocol: Any = None
        self._reading = True
        self._closing = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_reading(self) -> bool:
        return self._reading

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def is_closing(self) -> bool:
        return self._closing

    def close(self) -> None:
        self._closing = True

    def get_write_buffer_size(self) -> int:
        return 0


def exchange(pieces: Sequence[bytes]) -> list[httpx2.Response]:
    """Deliver the pieces on one connection; return the responses."""

    async def run() -> bytes:
        guarded = protocol(Connections(SETTINGS, METRICS, max_connections=1))
        wire = Wire()
        wire.set_protocol(guarded(CONFIG, ServerState(), {}))
        wire.protocol.connection_made(wire)
        for piece in [*pieces, b""]:
            while not wire.is_reading():
                await asyncio.sleep(0)
            if piece and not wire.is_closing():
                wire.protocol.data_received(piece)
            for _ in range(8):
                await asyncio.sleep(0)
        wire.protocol.connection_lost(None)
        return bytes(wire.written)

    return responses(asyncio.run(run()))


TOKENS = st.text("abcXYZ09-", min_size=1, max_size=12)
VALUES = st.text("ab ,;=\t/", max_size=20).map(str.strip)
UPGRADES = st.sampled_from(
    [
        "",
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAM\r\n",
        "upgrade: websocket\r\nconnection: keep-alive, upgrade\r\n",
        "Upgrade: h2c\r\n",
    ]
)
BODIES = st.text("ab{}\r\n :GETHTP/1.", max_size=40).map(str.encode)


@st.composite
def chunked(draw: st.DrawFn, body: bytes) -> bytes:
    ends = (
        sorted(draw(st.sets(st.integers(1, len(body)), max_size=4)) | {len(body)}) if body else []
    )
    parts = [body[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    extension = draw(st.sampled_from([b"", b";a=b", b';name="quoted"']))
    trailers = draw(st.sampled_from([b"", b"X-Trailer: 1\r\n", b"Host: b\r\nContent-Type: c\r\n"]))
    framed = [b"%x%s\r\n%s\r\n" % (len(part), extension, part) for part in parts]
    return b"".join([*framed, b"0\r\n", trailers, b"\r\n"])


@st.composite
def valid_requests(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """A valid request, and what `echo` returns for it."""
    path = "/" + draw(TOKENS)
    fields = {f"X-{name}": value for name, value in draw(st.dictionaries(TOKENS, VALUES)).items()}
    fields = dict(list(fields.items())[:4])
    upgrade = draw(UPGRADES)
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\n{upgrade}"
    head += "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    body = draw(BODIES)
    if draw(st.booleans()):
        framing, framed = "Transfer-Encoding: chunked", draw(chunked(body))
    else:
        framing, framed = f"Content-Length: {len(body)}", body
    head += f"{framing}\r\n\r\n"
    headers = [line.split(": ", 1) for line in head.split("\r\n")[1:-2]]
    seen = [[name.lower(), value.strip()] for name, value in headers]
    if "upgrade" in dict(seen) and "connection" in dict(seen):
        seen = [field for field in seen if field[0] != "upgrade"]
    return head.encode() + framed, ["POST", path, seen, body.decode()]


def split(data: bytes, at: Sequence[int]) -> list[bytes]:
    ends = [*sorted({position % len(data) for position in at} - {0}), len(data)]
    return [data[start:end] for start, end in zip([0, *ends], ends, strict=False)]


POSITIONS = st.lists(st.integers(0, 2000), max_size=12)


@given(st.lists(valid_requests(), min_size=1, max_size=4), POSITIONS)
def test_valid_requests_are_answered_however_they_are_split(
    requests: list[tuple[bytes, list[Any]]], at: list[int]
) -> None:
    sent = b"".join(request for request, _ in requests)
    expected = [seen for _, seen in requests]
    for pieces in ([sent], split(sent, at)):
        found = exchange(pieces)
        assert [response.json() for response in found] == expected
        assert not any("connection" in response.headers for response in found)


@settings(max_examples=25)
@given(valid_requests())
def test_a_byte_at_a_time(request_: tuple[bytes, list[Any]]) -> None:
    sent, expected = request_
    found = exchange([bytes([byte]) for byte in sent * 2])
    assert [response.json() for response in found] == [expected, expected]


REFUSED = {
    "bad chunk": (b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    "long header": (b"X: " + b"a" * 500 + b"\r\n\r\n", 431),
    "many headers": (b"A: b\r\n" * 20 + b"\r\n", 431),
    "two hosts": (b"Host: b\r\n\r\n", 400),
    "control": (b"X: \x01\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", REFUSED)
@settings(max_examples=50)
@given(before=st.lists(valid_requests(), max_size=3), at=POSITIONS)
def test_invalid_requests_are_refused_however_they_are_split(
    name: str, before: list[tuple[bytes, list[Any]]], at: list[int]
) -> None:
    rest, status = REFUSED[name]
    sent = b"".join(request for request, _ in before) + b"POST /a HTTP/1.1\r\nHost: a\r\n" + rest
    after = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
    for pieces in ([sent + after], [*split(sent, at), after]):
        *found, last = exchange(pieces)
        assert [response.json() for response in found] == [seen for _, seen in before]
        assert last.status_code == status
        assert last.headers["connection"] == "close"
