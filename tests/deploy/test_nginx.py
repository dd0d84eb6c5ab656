"""A real nginx with the shipped configuration in front of the service."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx2
import pytest

from app.settings import Settings

from ..conftest import PATIENCE_S, ROOT, Service, StartService

CONFIGURATION: Final = (ROOT / "deploy" / "nginx" / "dandelion.conf").read_text()
BODY: Final = {"texts": ["Lunch at 12?"]}

# What a distribution has around it, in a directory that the test may write to.
MAIN: Final = """\
daemon off;
worker_processes 1;
pid nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    include dandelion.conf;
}
"""


@dataclass
class Proxied:
    service: Service
    url: str


def replaced(text: str, right: str, wrong: str) -> str:
    assert text.count(right) == 1
    return text.replace(right, wrong)


def nginx() -> str:
    # Debian has it where only root looks.
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found is None:
        pytest.skip("needs nginx: apt-get install nginx-light")
    return found


def prepare(directory: Path, port: int, upstream: int, right: str = "", wrong: str = "") -> None:
    text = replaced(CONFIGURATION, "listen 80;", f"listen 127.0.0.1:{port};")
    text = replaced(text, "server 127.0.0.1:8000;", f"server 127.0.0.1:{upstream};")
    text = text.replace("/var/log/nginx/", "")
    (directory / "dandelion.conf").write_text(text.replace(right, wrong))
    # Its workers would have another user than root, who may not write to the directory.
    user = "user root;\n" if os.geteuid() == 0 else ""
    (directory / "nginx.conf").write_text(user + MAIN)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def is_open(port: int) -> bool:
    with socket.socket() as connection:
        return connection.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(directory: Path, port: int) -> Iterator[None]:
    """Run nginx with what was prepared; its errors are in ``error.log``."""
    process = subprocess.Popen([nginx(), "-p", directory, "-c", "nginx.conf", "-e", "error.log"])
    try:
        deadline = time.monotonic() + PATIENCE_S
        while not is_open(port):
            assert process.poll() is None, (directory / "error.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield
    finally:
        process.terminate()
        process.wait(PATIENCE_S)


@pytest.fixture(scope="module")
def proxied(
    start_shared: StartService, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Proxied]:
    directory = tmp_path_factory.mktemp("nginx")
    service = start_shared(trusted_proxies="127.0.0.1", access_log=True, protocols="perspective")
    service.wait_until_ready()
    port = free_port()
    prepare(directory, port, service.port)
    with running(directory, port):
        yield Proxied(service, f"http://127.0.0.1:{port}")


def test_configuration_is_valid(tmp_path: Path) -> None:
    command = [nginx(), "-t", "-p", tmp_path, "-c", "nginx.conf", "-e", "stderr"]
    prepare(tmp_path, free_port(), 1)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "[warn]" not in done.stderr
    prepare(tmp_path, free_port(), 1, "proxy_http_version", "proxy_http_versoin")
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def connections_to(port: int) -> int:
    """Return how many TCP connections to a port are open, or were within the last minute."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(remote.endswith(f":{port:04X}") for _, _, remote, *_ in rows)


def test_requests_share_a_connection_to_the_service(proxied: Proxied) -> None:
    before = connections_to(proxied.service.port)
    for _ in range(20):  # a connection of its own each, to nginx
        response = httpx2.post(f"{proxied.url}/classify/spam", json=BODY, timeout=PATIENCE_S)
        assert response.json()["results"][0]["label"] == "ham"
    assert connections_to(proxied.service.port) <= before + 1


def test_log_has_the_address_of_the_client(proxied: Proxied) -> None:
    headers = {"X-Forwarded-For": "203.0.113.7", "X-Request-ID": "proxied"}
    url = f"{proxied.url}/classify/spam"
    assert httpx2.post(url, json=BODY, headers=headers, timeout=PATIENCE_S).is_success

    def found() -> list[dict[str, object]]:
        return [line for line in proxied.service.lines() if line.get("request_id") == "proxied"]

    proxied.service.wait(lambda: bool(found()))  # written after the response
    (line,) = found()
    assert line["client"] == "203.0.113.7"


def test_descriptions_have_the_address_that_the_client_used(proxied: Proxied) -> None:
    path = "/$discovery/rest?version=v1alpha1"
    assert httpx2.get(proxied.url + path).json()["rootUrl"] == f"{proxied.url}/"
    # As the same proxy sends it behind TLS.
    headers = {"Host": "example.com:9443", "X-Forwarded-Proto": "https"}
    direct = httpx2.get(proxied.service.url + path, headers=headers)
    assert direct.json()["rootUrl"] == "https://example.com:9443/"


@pytest.mark.parametrize(
    "path",
    [
        *("/metrics", "/metrics/", "//metrics", "/%6detrics", "/livez/../metrics", "/metrics?a=1"),
        *("/admin", "/admin/reload", "//admin/reload", "/%61dmin/reload"),
    ],
)
def test_what_operators_need_is_not_public(proxied: Proxied, path: str) -> None:
    with socket.create_connection(
        ("127.0.0.1", int(proxied.url.rpartition(":")[2])), PATIENCE_S
    ) as connection:
        # As it is: a client would normalize it.
        connection.sendall(f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        answer = connection.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert b"nginx" in answer.partition(b"\r\n\r\n")[2]  # from there, not from the service
    assert proxied.service.get("/metrics").is_success


def test_errors_are_those_of_the_service(proxied: Proxied) -> None:
    limit = Settings.model_fields["max_body_bytes"].default
    url = f"{proxied.url}/classify/spam"
    response = httpx2.post(
        url,
        content=b" " * (limit + 1),
        headers={"Content-Type": "application/json"},
        timeout=PATIENCE_S,
    )
    assert response.status_code == 413
    assert response.headers["Content-Type"] == "application/problem+json"
    assert str(limit) in response.text


@pytest.mark.parametrize("path", ["/v1alpha1/comments:analyze", "/$discovery/rest"])
def test_no_log_has_a_key_of_a_query(tmp_path: Path, path: str) -> None:
    port, nothing_listens = free_port(), 1
    prepare(tmp_path, port, nothing_listens)
    with running(tmp_path, port):
        response = httpx2.post(f"http://127.0.0.1:{port}{path}?key=a-secret", timeout=PATIENCE_S)
    assert response.status_code == 502
    logs = {log.name: log.read_text() for log in tmp_path.glob("*.log")}
    assert f'"POST {path}" 502' in logs["dandelion.log"]
    assert logs.keys() == {"dandelion.log", "dandelion-error.log", "error.log"}
    assert "a-secret" not in str(logs)


def test_limits_and_times_fit_those_of_the_service() -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}

    def number(pattern: str) -> int:
        (found,) = re.findall(rf"^ *{pattern};$", CONFIGURATION, re.MULTILINE)
        return int(found)

    assert number(r"client_max_body_size (\d+)m") * 2**20 > defaults["max_body_bytes"]
    assert number(r"keepalive_timeout (\d+)s") < defaults["keep_alive_s"]
    assert number(r"proxy_read_timeout (\d+)s") * 1000 > defaults["request_timeout_ms"]
    assert number(r"client_header_timeout (\d+)s") == defaults["header_timeout_s"]
    assert number(r"client_body_timeout (\d+)s") == defaults["body_timeout_s"]
    assert number(r"server 127\.0\.0\.1:(\d+)") == defaults["port"]
