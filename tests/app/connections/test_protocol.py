"""What arrives on a connection: limits, timeouts, ``Upgrade``, and responses outside of the app."""

import contextlib
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from ...conftest import PATIENCE_S, Service, StartService
from ..contract import CANARY, assert_problem
from .raw import ask, read_to_end, responses

MAX_URL, MAX_HEADER, MAX_HEADERS, MAX_BODY = 300, 2000, 30, 20_000
BODY = b'{"texts": ["free lunch"]}'
POST = (
    b"POST /classify/spam HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n%s\r\n"
)
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
WHOLE = POST % LENGTH + BODY
CHUNKED = POST % b"Transfer-Encoding: chunked\r\n"
LAST = b"GET /livez HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
H2C = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n"
WEBSOCKET = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.fixture(scope="module")
def service(start_shared: StartService, made_up: Path) -> Service:
    """A service with small limits."""
    service = start_shared(
        artifacts=made_up,
        max_url_bytes=MAX_URL,
        max_header_bytes=MAX_HEADER,
        max_headers=MAX_HEADERS,
        max_body_bytes=MAX_BODY,
    )
    service.wait_until_ready()
    return service


@pytest.fixture(scope="module")
def hasty(start_shared: StartService, made_up: Path) -> Service:
    """A service with short timeouts, and few connections."""
    service = start_shared(
        artifacts=made_up,
        header_timeout_s=1,
        body_timeout_s=1.2,
        keep_alive_s=2,
        max_connections=4,
    )
    service.wait_until_ready()
    return service


def send(service: Service, *pieces: bytes) -> list[httpx2.Response]:
    """Send the pieces on one connection; return the responses until the service closes it."""
    with service.connect() as connection:
        with contextlib.suppress(ConnectionError):  # it may be closed before the last piece
            for piece in pieces:
                connection.sendall(piece)
        return responses(read_to_end(connection))


def statuses(found: list[httpx2.Response]) -> list[int]:
    return [answer.status_code for answer in found]


def refused(service: Service, reason: str) -> float:
    start = f'dandelion_connection_errors_total{{reason="{reason}"}} '
    (line,) = [line for line in service.get("/metrics").text.splitlines() if line.startswith(start)]
    return float(line.removeprefix(start))


@contextlib.contextmanager
def counted(service: Service, reason: str, times: int = 1) -> Iterator[None]:
    before = refused(service, reason)
    yield
    assert refused(service, reason) == before + times


def check_last(answer: httpx2.Response, status: int, *parts: str) -> None:
    """Check that it is an error response, after which the connection is closed."""
    assert_problem(answer, status, *parts)
    assert answer.headers["connection"] == "close"
    assert "date" in answer.headers
    assert answer.headers["x-content-type-options"] == "nosniff"


def get(path: bytes, fields: bytes = b"") -> bytes:
    return b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n" % (path, fields)


# Limits.


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        pytest.param(get(b"/" + b"a" * (MAX_URL - 1)), 404, id="at the limit"),
        pytest.param(get(b"/" + b"a" * MAX_URL), 414, id="above"),
        pytest.param(get(b"/?" + b"a" * MAX_URL), 414, id="query"),
        pytest.param(b"GET /" + b"a" * MAX_URL, 414, id="unfinished"),
        pytest.param(b"GET /" + b"a" * 3_000_000, 414, id="far above"),
    ],
)
def test_long_urls_are_refused(service: Service, request_: bytes, status: int) -> None:
    with counted(service, "url_too_long", status == 414):
        (answer,) = send(service, request_)
    assert answer.status_code == status
    if status == 414:
        check_last(answer, 414, f"{MAX_URL} bytes")


BYTES, FIELDS = f"{MAX_HEADER} bytes", f"{MAX_HEADERS} fields"


def padded(size: int) -> bytes:
    """A request whose header fields have this size in all, line ends among it."""
    fields = len(b"Host: localhost\r\nConnection: close\r\nX: \r\n")
    return get(b"/livez", b"X: %s\r\n" % (b"a" * (size - fields)))


@pytest.mark.parametrize(
    ("request_", "limit"),
    [
        pytest.param(padded(MAX_HEADER), "", id="at the limit"),
        pytest.param(padded(MAX_HEADER + 1), BYTES, id="above"),
        pytest.param(get(b"/livez", b"A: b\r\n" * (MAX_HEADERS - 2)), "", id="as many as allowed"),
        pytest.param(get(b"/livez", b"A: b\r\n" * (MAX_HEADERS - 1)), FIELDS, id="more"),
        pytest.param(get(b"/", WEBSOCKET + b"A: b\r\n" * MAX_HEADERS), FIELDS, id="upgrade"),
        pytest.param(b"GET / HTTP/1.1\r\nX: " + b"a" * 3_000_000, BYTES, id="unfinished"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500_000, BYTES, id="endless"),
        pytest.param(b"\r\n" * 1_000_000, BYTES, id="empty lines"),
    ],
)
def test_large_headers_are_refused(service: Service, request_: bytes, limit: str) -> None:
    with counted(service, "headers_too_large", bool(limit)):
        (answer,) = send(service, request_)
    if limit:
        check_last(answer, 431, limit)
    else:
        assert answer.status_code == 200


def chunk(body: bytes, extension: bytes = b"") -> bytes:
    return b"%x%s\r\n%s\r\n" % (len(body), extension, body)


END = b"0\r\n\r\n"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk(BODY, b";a=b" * 100) + END, id="extension"),
        pytest.param(chunk(BODY) + b"0\r\n" + b"T: a\r\n" * 100 + b"\r\n", id="trailers"),
        pytest.param(b"".join(chunk(bytes([byte])) for byte in BODY) + END, id="small chunks"),
        pytest.param(
            b"".join(chunk(b" " * 24) for _ in range(600)) + chunk(BODY) + END, id="many chunks"
        ),
    ],
)
def test_chunks_are_read(service: Service, body: bytes) -> None:
    assert statuses(send(service, CHUNKED, body, LAST)) == [200, 200]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(chunk(BODY, b";a=" + b"b" * 3_000_000), id="extension"),
        pytest.param(chunk(BODY) + b"0\r\n" + b"T: a\r\n" * 500_000, id="trailers"),
        pytest.param(chunk(BODY) + b"0\r\nT: " + b"a" * 3_000_000, id="a trailer"),
        pytest.param(chunk(b" ") * 15_000, id="small chunks"),
    ],
)
def test_what_frames_a_body_is_limited(service: Service, body: bytes) -> None:
    with counted(service, "framing_too_large"):
        (answer,) = send(service, CHUNKED, body)
    check_last(answer, 400, f"{MAX_HEADER} bytes")


def test_trailers_are_no_headers(service: Service) -> None:
    body = chunk(BODY) + b"0\r\nX-Request-ID: from-a-trailer\r\n\r\n"
    for pieces in ([CHUNKED + body + LAST], [CHUNKED, body, LAST]):
        found = send(service, *pieces)
        assert statuses(found) == [200, 200]
        assert found[0].headers["x-request-id"] != "from-a-trailer"


@pytest.mark.parametrize("name", [b"Connection", b"Proxy-Connection"])
@pytest.mark.parametrize("before", [b"", WHOLE])
def test_a_connection_ends_with_trailers_that_say_so(
    service: Service, name: bytes, before: bytes
) -> None:
    # The parser discards what follows, so the client must not be left waiting for an answer.
    body = chunk(BODY) + b"0\r\n%s: close\r\n\r\n" % name
    for pieces in ([CHUNKED + body], [CHUNKED, body], [CHUNKED + body[:-1], body[-1:]]):
        found = send(service, before + pieces[0], *pieces[1:], WHOLE)
        assert statuses(found) == [200] * (2 if before else 1)
        assert found[-1].headers["connection"] == "close"


@pytest.mark.parametrize(
    "trailers",
    [
        *(b"Connection: keep-alive", b"Connection: upgrade\r\nUpgrade: h2c", b"Upgrade: h2c"),
        *(b"Expect: 100-continue", b"Host: b"),
    ],
)
def test_a_connection_outlives_other_trailers(service: Service, trailers: bytes) -> None:
    body = chunk(BODY) + b"0\r\n%s\r\n\r\n" % trailers
    for pieces in ([CHUNKED + body + WHOLE], [CHUNKED, body, WHOLE]):
        assert statuses(send(service, *pieces, LAST)) == [200, 200, 200]


@pytest.mark.parametrize("trailer", [b"Content-Length: 5", b"Transfer-Encoding: chunked"])
def test_trailers_that_frame_a_body_are_refused(service: Service, trailer: bytes) -> None:
    body = chunk(BODY) + b"0\r\n%s\r\n\r\n" % trailer
    for pieces in ([CHUNKED + body], [CHUNKED, body]):
        (answer,) = send(service, *pieces, WHOLE)
        check_last(answer, 400)


@pytest.mark.parametrize(
    "request_",
    [
        pytest.param(POST % (LENGTH + LENGTH) + BODY, id="two lengths"),
        pytest.param(
            POST % (LENGTH + b"Transfer-Encoding: chunked\r\n") + chunk(BODY) + END,
            id="length and chunked",
        ),
        pytest.param(POST % b"Content-Length: -1\r\n", id="negative length"),
        pytest.param(POST % b"Content-Length: 1e3\r\n", id="length in words"),
        pytest.param(CHUNKED + b"canary-7f3a9\r\n", id="bad chunk"),
        pytest.param(CHUNKED + b"fffffffffffffffff\r\n", id="huge chunk"),
        pytest.param(b"CANARY-7F3A9 / HTTP/1.1\r\nHost: a\r\n\r\n", id="unknown method"),
        pytest.param(b"CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", id="connect"),
        pytest.param(b"GET canary-7f3a9 HTTP/1.1\r\nHost: a\r\n\r\n", id="bad url"),
        pytest.param(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", id="url not ascii"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: canary-7f3a9\x00\r\n\r\n", id="control"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", id="folded"),
        pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", id="no carriage return"),
        pytest.param(b"GET / HTTP/1.1\r\n\r\n", id="no host"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", id="two hosts"),
        pytest.param(b"GET /\r\n\r\n", id="HTTP/0.9"),
        pytest.param(b"GET / HTTP/0.9\r\nHost: a\r\n\r\n", id="HTTP/0.9 in words"),
        pytest.param(b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", id="HTTP/2 like HTTP/1"),
        pytest.param(
            b"GET / HTTP/2.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n", id="HTTP/2 kept alive"
        ),
        pytest.param(get(b"/", H2C).replace(b"1.1", b"2.0"), id="HTTP/2 with Upgrade"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(9), id="HTTP/2"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), id="TLS"),
    ],
)
def test_what_is_not_http_gets_400(service: Service, request_: bytes) -> None:
    with counted(service, "malformed"):
        (answer,) = send(service, request_)
    check_last(answer, 400)
    log = service.log.read_text()
    assert CANARY not in log
    assert "WARNING" not in log
    assert "ERROR" not in log


@pytest.mark.parametrize(
    "fields",
    [
        *(b"Transfer-Encoding: gzip, chunked\r\n", b"Transfer-Encoding: gzip\r\n"),
        b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_other_transfer_codings_are_refused(service: Service, fields: bytes) -> None:
    (answer,) = send(service, POST % fields + chunk(BODY) + END)
    check_last(answer, 400, "Transfer-Encoding")


def test_chunked_in_capitals_is_chunked(service: Service) -> None:
    found = send(service, CHUNKED.replace(b"chunked", b"Chunked") + chunk(BODY) + END + LAST)
    assert statuses(found) == [200, 200]


@pytest.mark.parametrize(
    ("target", "status"),
    [
        *((b"http://a", 200), (b"http://a?b=c", 200), (b"HTTP://a:80/livez?b", 200)),
        *((b"http://a/nothing", 404), (b"*", 404), (b"http://", 400), (b"http:///livez", 400)),
    ],
)
def test_a_target_may_be_absolute(service: Service, target: bytes, status: int) -> None:
    assert statuses(send(service, get(target))) == [status]


def test_http_1_0_gets_no_100(service: Service) -> None:
    fields = b"Expect: 100-continue\r\n" + LENGTH
    old = (POST % fields).replace(b"HTTP/1.1", b"HTTP/1.0")
    assert statuses(send(service, old, BODY)) == [200]
    assert statuses(send(service, POST % fields, BODY + LAST)) == [100, 200, 200]


def test_http_1_0_needs_no_host(service: Service) -> None:
    assert statuses(send(service, b"GET /livez HTTP/1.0\r\n\r\n")) == [200]


def test_an_error_is_sent_after_the_responses_before_it(service: Service) -> None:
    found = send(service, WHOLE * 3 + b"what?\r\n\r\n" + WHOLE)
    assert statuses(found) == [200, 200, 200, 400]
    found = send(service, WHOLE * 2 + CHUNKED + b"what?\r\n" + WHOLE)
    assert statuses(found) == [200, 200, 400]


def test_any_number_of_requests_may_be_pipelined(service: Service) -> None:
    probe = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"
    found = send(service, probe * 1000 + WHOLE[:-1], WHOLE[-1:] + WHOLE * 1500 + LAST)
    assert len(found) == 2502
    assert set(statuses(found)) == {200}


# Responses before the end of a request.


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"POST /nothing HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5000000\r\n\r\n", 404),
        (b"POST /classify/spam HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n", 415),
        (POST % b"Content-Length: 900000\r\n", 413),
        (CHUNKED + chunk(b" " * (MAX_BODY + 1)), 413),
    ],
)
def test_the_rest_of_a_body_is_not_read_for_ever(
    service: Service, head: bytes, status: int
) -> None:
    with service.connect() as connection:
        connection.sendall(head)
        connection.settimeout(0.3)
        with contextlib.suppress(TimeoutError):  # so that it has responded before the rest
            connection.recv(1, socket.MSG_PEEK)
        connection.settimeout(PATIENCE_S)
        connection.sendall(b" " * 500_000)  # not reset: the client can still read the response
        (answer,) = responses(read_to_end(connection))
        check_last(answer, status)
        with pytest.raises(ConnectionError):
            connection.sendall(b" " * 100_000_000)
    assert service.get("/livez").status_code == 200


def test_a_body_that_has_arrived_keeps_the_connection(service: Service) -> None:
    unknown = b"POST /nothing HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    assert statuses(send(service, unknown, WHOLE, LAST)) == [404, 200, 200]


# Upgrade.


@pytest.mark.parametrize("upgrade", [H2C, WEBSOCKET])
@pytest.mark.parametrize("framed", [LENGTH + b"\r\n" + BODY, b"Transfer-Encoding: chunked\r\n\r\n"])
def test_upgrade_is_ignored(service: Service, upgrade: bytes, framed: bytes) -> None:
    if b"chunked" in framed:
        framed += chunk(BODY) + END
    request = POST[:-4] % () + upgrade + framed
    last = get(b"/livez", upgrade)
    for pieces in (
        [request + last],
        [WHOLE + request + request + last],
        [*(bytes([byte]) for byte in request), last],
    ):
        found = send(service, *pieces)
        assert set(statuses(found)) == {200}
        assert len(found) == b"".join(pieces).count(b" HTTP/1.1\r\n")
        assert b'"results"' in found[0].content
    assert "WARNING" not in service.log.read_text()


def test_a_smuggled_request_is_part_of_the_body(service: Service) -> None:
    inner = b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n"
    head = POST % (H2C + b"Content-Length: %d\r\n" % len(inner))
    assert statuses(send(service, head + inner + LAST)) == [400, 200]


# Timeouts.


def closes(connection: socket.socket) -> tuple[float, bytes]:
    """Wait until the service closes the connection; return the seconds, and what it sent."""
    started = time.monotonic()
    received = read_to_end(connection)
    return time.monotonic() - started, received


def test_a_silent_connection_is_closed(hasty: Service) -> None:
    with counted(hasty, "silent"), hasty.connect() as connection:
        seconds, received = closes(connection)
    assert received == b""
    assert seconds > 0.9


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([b"G"], "header_timeout"),
        ([b"\r\n"], "header_timeout"),
        ([WHOLE, b"POST /classify/spam HTTP/1.1\r\nHost: a"], "header_timeout"),
        ([WHOLE + b"POST"], "header_timeout"),
        ([POST % LENGTH], "body_timeout"),
        ([POST % LENGTH, BODY[:-1]], "body_timeout"),
        ([WHOLE, CHUNKED + chunk(BODY)], "body_timeout"),
    ],
)
def test_an_unfinished_request_gets_408(hasty: Service, pieces: list[bytes], reason: str) -> None:
    with counted(hasty, reason), hasty.connect() as connection:
        for piece in pieces:
            connection.sendall(piece)
            if piece is WHOLE:
                assert b" 200 " in connection.recv(65536, socket.MSG_PEEK)
        seconds, received = closes(connection)
    found = responses(received)
    assert statuses(found) == [200] * (len(found) - 1) + [408]
    check_last(found[-1], 408)
    assert seconds > 0.6


def test_a_slow_body_is_no_slower_in_pieces(hasty: Service) -> None:
    with counted(hasty, "body_timeout"), hasty.connect() as connection:
        connection.sendall(POST % b"Content-Length: 1000\r\n")
        connection.settimeout(0.1)
        started = time.monotonic()
        received = b""
        while not received:
            assert time.monotonic() - started < PATIENCE_S
            connection.sendall(b" ")
            with contextlib.suppress(TimeoutError):
                received = connection.recv(65536)
    assert b" 408 " in received


def test_the_application_learns_of_the_timeout(hasty: Service) -> None:
    status = 'dandelion_requests_total{model="spam",status="499"} '
    before = hasty.get("/metrics").text.partition(status)[2].partition("\n")[0]
    with hasty.connect() as connection:
        connection.sendall(POST % LENGTH)
        read_to_end(connection)
    hasty.wait(lambda: status + before not in hasty.get("/metrics").text)


def test_an_idle_connection_is_closed_after_a_time(hasty: Service) -> None:
    with hasty.connect() as connection:
        for _ in range(2):
            assert ask(connection, WHOLE).status_code == 200
            time.sleep(1.1)  # longer than the headers may take
        seconds, received = closes(connection)
    assert received == b""
    assert seconds > 0.6


def test_a_client_that_does_not_read_is_disconnected(hasty: Service) -> None:
    texts = b", ".join([b'"free"'] * 4000)
    body = b'{"texts": [%s]}' % texts
    request = POST % (b"Content-Length: %d\r\n" % len(body)) + body
    with counted(hasty, "unread_response"), hasty.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            connection.sendall(request * 1000)


def test_pipelining_and_not_reading_is_not_logged(hasty: Service) -> None:
    with counted(hasty, "unread_response"), hasty.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n" * 3000)
        before = refused(hasty, "unread_response")
        hasty.wait(lambda: refused(hasty, "unread_response") > before)
    assert "ERROR" not in hasty.log.read_text()


# The limit of connections.


def test_an_idle_connection_makes_room(start_service: StartService, made_up: Path) -> None:
    service = start_service(artifacts=made_up, max_connections=4)
    service.wait_until_ready()
    time.sleep(0.2)  # until the connections that have asked for it are closed
    with contextlib.ExitStack() as opened:
        kept = []
        for _ in range(4):
            connection = opened.enter_context(service.connect())
            assert ask(connection, WHOLE).status_code == 200
            kept.append(connection)
        ask(kept[0], WHOLE)  # so that the second one has been idle for longest
        time.sleep(0.2)  # no connection is closed at once
        newest = opened.enter_context(service.connect())
        assert ask(newest, WHOLE).status_code == 200
        assert kept[1].recv(1) == b""
        assert ask(kept[0], WHOLE).status_code == 200


def test_busy_connections_make_no_room(hasty: Service) -> None:
    with contextlib.ExitStack() as opened:
        for _ in range(4):
            connection = opened.enter_context(hasty.connect())
            connection.sendall(POST % LENGTH)
        time.sleep(0.1)
        (answer,) = send(hasty, WHOLE)
        check_last(answer, 503)
        assert answer.headers["retry-after"] == "1"
    assert refused(hasty, "too_many_connections")
    lines = [line for line in hasty.lines() if "no room" in str(line["message"])]
    assert len(lines) == 1
    assert hasty.get("/livez").status_code == 200


FEW_DESCRIPTORS = """
import resource, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (56, 56))
if {asyncio}: sys.modules["uvloop"] = None
from app.command import main
sys.exit(main([]))
"""


@pytest.mark.parametrize("asyncio", [False, True], ids=["uvloop", "asyncio"])
def test_probes_pass_with_few_file_descriptors(
    start_service: StartService, made_up: Path, asyncio: bool
) -> None:
    service = start_service(["-c", FEW_DESCRIPTORS.format(asyncio=asyncio)], artifacts=made_up)
    service.wait_until_ready()
    (line,) = [line for line in service.lines() if "descriptors" in line]
    assert line["wanted"] == 1000
    with contextlib.ExitStack() as opened:
        for _ in range(100):
            with contextlib.suppress(ConnectionError):
                opened.enter_context(service.connect()).sendall(b"GET /")
        service.wait(lambda: service.get("/livez").status_code == 200)
    service.wait(lambda: service.get("/livez").status_code == 200)
    assert statuses(send(service, WHOLE, LAST)) == [200, 200]
    assert "Traceback" not in service.log.read_text()


@pytest.mark.parametrize("limit", [12, 20, 50])
def test_too_few_file_descriptors_are_refused(
    start_service: StartService, made_up: Path, limit: int
) -> None:
    code = FEW_DESCRIPTORS.replace("56", str(limit)).format(asyncio=False)
    service = start_service(["-c", code], artifacts=made_up)
    assert service.exit_code() == 2
    assert service.log.read_text() == (
        f"error: the system allows {limit} open files (ulimit -n), and the service needs 51 at "
        "least; raise the limit\n"
    )


def test_the_descriptor_limit_is_raised(start_service: StartService, made_up: Path) -> None:
    code = FEW_DESCRIPTORS.replace("(56, 56)", "(56, 4096)").format(asyncio=False)
    service = start_service(["-c", code], artifacts=made_up)
    service.wait_until_ready()
    assert not [line for line in service.lines() if "descriptors" in line]
    for pid in (service.process.pid, *workers(service)):
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert "Max open files            4096" in limits


def workers(service: Service) -> list[int]:
    pid = service.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


# Shutdown.


def test_a_request_that_begins_to_arrive_is_answered(
    start_service: StartService, made_up: Path
) -> None:
    service = start_service(artifacts=made_up)
    service.wait_until_ready()
    with service.connect() as silent, service.connect() as begun, service.connect() as idle:
        begun.sendall(WHOLE[:20])
        ask(idle, WHOLE)
        service.process.terminate()
        service.wait(lambda: any(line["message"] == "Shutting down" for line in service.lines()))
        assert idle.recv(1) == b""
        for connection, rest in ((silent, WHOLE), (begun, WHOLE[20:])):
            connection.sendall(rest)
            (answer,) = responses(read_to_end(connection))
            assert answer.status_code == 200
            assert answer.headers["connection"] == "close"
    service.exit_code()


def test_a_client_that_still_sends_can_read_its_response(
    start_service: StartService, made_up: Path
) -> None:
    service = start_service(artifacts=made_up, max_body_bytes=MAX_BODY)
    service.wait_until_ready()
    with service.connect() as connection:
        connection.sendall(POST % b"Content-Length: 1000000\r\n")
        connection.recv(1, socket.MSG_PEEK)  # the response is here
        service.process.terminate()
        waiting = "Waiting for connections to close. (CTRL+C to force quit)"
        service.wait(lambda: any(line["message"] == waiting for line in service.lines()))
        connection.sendall(b" " * 1_000_000)
        (answer,) = responses(read_to_end(connection))
        check_last(answer, 413)
    service.exit_code()
