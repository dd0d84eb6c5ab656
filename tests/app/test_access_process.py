"""API keys in the service as a process: two workers, one limit, and nothing that shows a key."""

import time
from http.client import HTTPResponse
from pathlib import Path

import pytest

from dandelion import api_keys
from dandelion.api_keys import Access

from ..conftest import Service, StartService
from .api_keys import CONFIGURED, EVERY_SCOPE, KEYS, bearer, key, line

TEXT = {"texts": ["Are we still meeting for lunch?"]}
PER_SECOND = 1
MAX_TEXTS = 20
LIMITED = key("limited")
WRONG = key("wrong")


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("keys") / "keys.toml"
    file.write_text(line("limited", LIMITED, Access.CLASSIFY, limit=PER_SECOND))
    file.chmod(0o600)
    return file


@pytest.fixture(scope="module")
def service(start_shared: StartService, file: Path) -> Service:
    service = start_shared(
        host="0.0.0.0",
        workers=2,
        max_texts=MAX_TEXTS,
        keys_file=file,
        keys=CONFIGURED,
        log_level="debug",
        access_log=True,
    )
    service.wait(lambda: "ready" in [line["message"] for line in service.lines()])
    return service


def raw(service: Service, head: str) -> tuple[int, dict[str, str], bytes]:
    """Send a request as it stands, on a new connection."""
    with service.connect() as connection:
        connection.sendall(head.replace("\n", "\r\n").encode())
        response = HTTPResponse(connection, method=head.partition(" ")[0])
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return response.status, headers, response.read()


def test_the_limit_is_that_of_both_workers_together(service: Service) -> None:
    begin = time.monotonic()
    statuses = []
    for _ in range(3 * MAX_TEXTS):  # each on a connection of its own, which either worker gets
        response = service.post("/classify/spam", json=TEXT, headers=bearer(LIMITED))
        statuses.append(response.status_code)
        if response.status_code == 429:
            assert response.headers["retry-after"] == "1"
            assert "limit of this API key" in response.json()["detail"]
    seconds = time.monotonic() - begin
    assert set(statuses) == {200, 429}
    assert MAX_TEXTS <= statuses.count(200) <= MAX_TEXTS + PER_SECOND * seconds
    metrics = service.get("/metrics", headers=bearer(KEYS[Access.METRICS])).text
    assert f'key_texts_total{{key="limited"}} {statuses.count(200)}.0' in metrics
    assert f'denied_requests_total{{reason="rate"}} {statuses.count(429)}.0' in metrics


def test_the_time_to_wait_is_that_of_the_request(service: Service) -> None:
    batch = {"texts": ["lunch?"] * MAX_TEXTS}
    service.post("/classify/spam", json=batch, headers=bearer(LIMITED))
    response = service.post("/classify/spam", json=batch, headers=bearer(LIMITED))
    assert response.status_code == 429
    assert 1 <= int(response.headers["retry-after"]) <= MAX_TEXTS / PER_SECOND


@pytest.mark.parametrize(
    "path",
    ["//metrics", "/metrics/", "/%6detrics", "/metrics%0A", "/livez/../metrics", "/METRICS"],
)
def test_odd_paths_do_not_slip_through(service: Service, path: str) -> None:
    for method in ("GET", "HEAD", "OPTIONS", "PROPFIND"):
        status, _, body = raw(service, f"{method} {path} HTTP/1.1\nHost: a\n\n")
        assert status == 401
        assert b"dandelion_requests" not in body
    authorization = f"Authorization: Bearer {KEYS[Access.CLASSIFY]}"
    _, _, body = raw(service, f"GET {path} HTTP/1.1\nHost: a\n{authorization}\n\n")
    assert b"dandelion_requests" not in body


def test_the_body_of_a_denied_request_is_not_awaited(service: Service) -> None:
    status, headers, _ = raw(
        service,
        "POST /classify/spam HTTP/1.1\nHost: a\nContent-Type: application/json\n"
        "Content-Length: 1000000\nExpect: 100-continue\n\n",
    )
    assert status == 401  # and no 100 before it
    assert headers["connection"] == "close"


def test_no_key_is_shown_anywhere(service: Service) -> None:
    used = [*KEYS.values(), EVERY_SCOPE, LIMITED, WRONG]
    shown = []
    for value in used:
        for headers in (bearer(value), {"X-API-Key": value}, {"Authorization": value}):
            for path in ("/classify/spam", "/models/x", "/metrics", f"/nowhere/{value}"):
                response = service.post(path, json=TEXT, headers=headers, params={"key": value})
                shown += [response.text, str(response.headers)]
            shown.append(service.get("/metrics", headers=headers).text)
            shown.append(service.get("/openapi.json", headers=headers).text)
        query = f"/v1alpha1/comments:analyze?key={value}"
        shown.append(service.post(query, json=TEXT).text)
        raw(service, f"GET {query}&key=other HTTP/1.1\nHost: a\nX-API-Key: {value}\n\n")
        raw(service, f"GET / HTTP/9.9\nHost: a\nX-API-Key: {value}\n\n")
    process = Path(f"/proc/{service.process.pid}")
    shown += [service.log.read_text(), process.joinpath("cmdline").read_text()]
    levels = {line["level"] for line in service.lines()}
    assert "DEBUG" in levels
    for value in used:
        digest = api_keys.digest(value.encode()).hex()
        assert not [text for text in shown if value in text or digest in text]


def test_a_start_with_keys_does_not_warn(service: Service) -> None:
    assert not [line for line in service.lines() if line["level"] == "WARNING"]


def test_a_wrong_file_ends_the_start(start_service: StartService, tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    file.write_text(f'forum = "{WRONG}"')
    service = start_service(keys_file=file)
    assert service.exit_code() == 2
    assert service.log.read_text() == (
        f"error: --keys-file / DANDELION_KEYS_FILE: {file}: 'forum': expected a table with sha256 "
        "and scopes\n"
    )
