"""Behind a proxy, in a pod, called from a page of another origin: with real servers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx2
import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from app.main import create_app
from app.settings import Settings, SettingsError
from dandelion import Classifier

from ..conftest import PATIENCE_S, Service, StartService
from .conftest import connect
from .contract import assert_problem

PREFIX = "/team/dandelion"
ORIGIN = "https://pages.example"
TEXTS = {"texts": ["See you at six"]}


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    """A service with everything that these tests need, in a pod next to Services named alike."""
    service = start_shared(
        root_path=PREFIX,
        cors_origins=f"{ORIGIN}, http://localhost:3000",
        trusted_proxies="10.0.0.0/8, 127.0.0.1",
        access_log=True,
        log_level="debug",
        # Set by Kubernetes.
        service_host="10.0.0.1",
        port_8000_tcp="tcp://10.0.0.1:8000",
        models_port="tcp://10.0.0.2:80",
        max_service_port_http="80",
    )
    service.wait_until_ready()
    return service


class Proxy(BaseHTTPRequestHandler):
    """Passes requests on, with or without the prefix."""

    target: ClassVar[str]
    strips: ClassVar[bool]

    def do_GET(self) -> None:
        self._pass_on(None)

    def do_POST(self) -> None:
        self._pass_on(self.rfile.read(int(self.headers["Content-Length"])))

    def _pass_on(self, body: bytes | None) -> None:
        path = self.path.removeprefix(PREFIX) if self.strips else self.path
        names = ("Content-Type", "Origin")
        headers = {name: self.headers[name] for name in names if name in self.headers}
        headers["X-Forwarded-For"] = "203.0.113.9"
        response = httpx2.request(
            self.command, self.target + path, content=body, headers=headers, timeout=PATIENCE_S
        )
        self.send_response(response.status_code)
        for name in ("Content-Type", "Content-Length"):
            self.send_header(name, response.headers[name])
        self.end_headers()
        self.wfile.write(response.content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def proxied(service: Service, *, strips: bool) -> Iterator[str]:
    """Start a proxy; yield the URL at which it serves the service."""
    handler = type("Handler", (Proxy,), {"target": service.url, "strips": strips})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("strips", [True, False])
def test_every_route_works_behind_a_proxy(service: Service, strips: bool) -> None:
    with proxied(service, strips=strips) as url, httpx2.Client(timeout=PATIENCE_S) as client:
        for path in ("/", "/docs", "/livez", "/readyz", "/metrics", "/models", "/models/spam"):
            assert client.get(f"{url}{path}").status_code == 200, path
        assert client.post(f"{url}/classify/spam", json=TEXTS).json()["model"] == "spam"
        assert client.get(f"{url}/classify/spam").status_code == 405
        assert client.get(f"{url}/nowhere").status_code == 404
        page = httpx2.URL(f"{url}/docs")
        for reference in ("openapi.json", "static/docs.js", "static/swagger-ui/swagger-ui.css"):
            assert client.get(page.join(reference)).status_code == 200
        description = client.get(f"{url}/openapi.json").json()
        assert description["servers"] == [{"url": PREFIX}]
        assert client.get(f"{url}/").json()["documentation"] == f"{PREFIX}/docs"


def test_without_a_prefix_no_server_is_described(client: TestClient) -> None:
    assert "servers" not in client.get("/openapi.json").json()
    assert client.get(f"{PREFIX}/models").status_code == 404


@pytest.mark.parametrize("path", ["", "/"])
def test_the_prefix_itself_is_the_index(service: Service, path: str) -> None:
    assert service.get(PREFIX + path).json()["name"] == "Dandelion"
    assert service.get(f"{PREFIX}s/livez").status_code == 404


@pytest.mark.parametrize(
    "prefix", ["/models", "/models/spam", "/docs", "/static", "/classify", "/classify/spam"]
)
def test_a_prefix_that_is_also_a_path_is_refused(made_up: Path, prefix: str) -> None:
    with pytest.raises(SettingsError, match=f"DANDELION_ROOT_PATH: '{prefix}' is also a path"):
        create_app(Settings(artifacts=made_up, root_path=prefix))


def test_head_leaves_a_connection_usable(service: Service) -> None:
    with httpx2.Client(timeout=PATIENCE_S, limits=httpx2.Limits(max_connections=1)) as client:
        for path, status in (("/docs", 200), ("/nowhere", 404), ("/classify/spam", 405)):
            response = client.head(service.url + path)
            assert (response.status_code, response.content) == (status, b"")
            assert int(response.headers["content-length"]) > 0
            assert client.get(f"{service.url}/livez").json() == {"status": "alive"}


def logged_client(
    service: Service, request_id: str, forwarded_for: str, host: str = "127.0.0.1"
) -> object:
    """Return the client's address in the log line of a request, sent to the host."""
    headers = {"X-Request-ID": request_id, "X-Forwarded-For": forwarded_for}
    url = f"http://{host}:{service.port}/classify/spam"
    httpx2.post(url, json=TEXTS, headers=headers, timeout=PATIENCE_S).raise_for_status()

    def found() -> list[dict[str, object]]:
        return [line for line in service.lines() if line.get("request_id") == request_id]

    service.wait(lambda: bool(found()))
    (line,) = found()
    return line["client"]


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9, 10.1.2.3", "203.0.113.9"),  # through two proxies
        ("198.51.100.7, 203.0.113.9, 10.1.2.3", "203.0.113.9"),  # the first one is only claimed
        ("2001:db8::7", "2001:db8::7"),
        ("", "127.0.0.1"),
    ],
)
def test_a_trusted_proxy_names_the_client(
    service: Service, forwarded_for: str, client: str
) -> None:
    assert logged_client(service, f"{client}-{len(forwarded_for)}", forwarded_for) == client


@pytest.mark.parametrize(
    ("forwarded_for", "client"),
    [
        ("9.9.9.9 status=500 model=evil request_id=forged", ""),
        ("9.9.9.9:443", "9.9.9.9"),
        ("[2001:DB8::7]:443", "2001:db8::7"),
        ("::ffff:9.9.9.9", "9.9.9.9"),
        ("fe80::1%25 status=500", "fe80::1"),
        *(("unknown", ""), ("_hidden", ""), ("9.9.9.999", ""), ("[::1", "")),
    ],
)
def test_a_client_is_an_address_or_unknown(
    service: Service, forwarded_for: str, client: str
) -> None:
    # Of a request that the trusted proxy 10.1.2.3 has passed on.
    request_id = forwarded_for.encode().hex()
    assert logged_client(service, request_id, f"{forwarded_for}, 10.1.2.3") == client


def test_nobody_else_does(start_service: StartService) -> None:
    service = start_service(trusted_proxies="10.0.0.0/8", access_log=True)
    service.wait_until_ready()
    assert logged_client(service, "r-1", "203.0.113.9") == "127.0.0.1"


def test_a_proxy_is_recognized_where_both_families_are_served(start_service: StartService) -> None:
    service = start_service(host="::", trusted_proxies="127.0.0.0/8", access_log=True)
    service.wait_until_ready()
    assert logged_client(service, "r-1", "203.0.113.9") == "203.0.113.9"
    assert logged_client(service, "r-2", "") == "127.0.0.1"
    assert logged_client(service, "r-3", "203.0.113.9", "[::1]") == "::1"  # not trusted


def test_what_kubernetes_sets_is_logged_once(service: Service) -> None:
    (line,) = (line for line in service.lines() if "Kubernetes" in str(line["message"]))
    assert line["level"] == "DEBUG"
    assert str(line["variables"]).split(",") == [
        *("DANDELION_MAX_SERVICE_PORT_HTTP", "DANDELION_MODELS_PORT"),
        *("DANDELION_PORT_8000_TCP", "DANDELION_SERVICE_HOST"),
    ]


def preflight(service: Service, path: str, origin: str, method: str, *headers: str) -> Response:
    asked = {"Origin": origin, "Access-Control-Request-Method": method}
    if headers:
        asked["Access-Control-Request-Headers"] = ", ".join(headers)
    return httpx2.options(service.url + path, headers=asked, timeout=PATIENCE_S)


@pytest.mark.parametrize(
    ("path", "method"),
    [
        *(("/classify/spam", "POST"), ("/classify/none", "POST"), ("/models", "GET")),
        *(("/livez", "HEAD"), ("/", "GET"), ("/nowhere", "GET")),
    ],
)
@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:3000"])
def test_a_preflight_is_answered(service: Service, path: str, method: str, origin: str) -> None:
    response = preflight(service, path, origin, method, "content-type", "x-request-id")
    assert response.status_code == 200
    headers = response.headers
    assert headers["access-control-allow-origin"] == origin
    assert method in headers["access-control-allow-methods"].split(", ")
    allowed = headers["access-control-allow-headers"].lower().split(", ")
    assert {"content-type", "x-request-id"} <= set(allowed)
    assert "access-control-allow-credentials" not in headers
    assert "Origin" in headers["vary"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-request-id"]


@pytest.mark.parametrize(
    ("origin", "method", "header"),
    [
        ("https://other.example", "POST", "content-type"),
        ("https://pages.example.evil", "POST", "content-type"),
        ("http://pages.example", "POST", "content-type"),
        ("null", "POST", "content-type"),
        (ORIGIN, "DELETE", "content-type"),
        (ORIGIN, "POST", "x-other"),
    ],
)
def test_a_preflight_for_anything_else_is_refused(
    service: Service, origin: str, method: str, header: str
) -> None:
    response = preflight(service, "/classify/spam", origin, method, header)
    assert response.status_code == 400
    if origin != ORIGIN:
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", "/models", 200), ("GET", "/docs", 200), ("HEAD", "/livez", 200)),
        *(("GET", "/nowhere", 404), ("POST", "/classify/none", 404), ("POST", "/models", 405)),
        *(("GET", "/classify/spam", 405), ("POST", "/classify/spam", 415)),
    ],
)
def test_pages_of_listed_origins_read_every_response(
    service: Service, method: str, path: str, status: int
) -> None:
    def send(**headers: str) -> Response:
        return httpx2.request(method, service.url + path, headers=headers, timeout=PATIENCE_S)

    response = send(Origin=ORIGIN)
    assert response.status_code == status
    assert response.headers["access-control-allow-origin"] == ORIGIN
    exposed = response.headers["access-control-expose-headers"].split(", ")
    assert exposed == ["Retry-After", "X-Decision-ID", "X-Request-ID"]
    for others in ({"Origin": "https://other.example"}, {}):
        response = send(**others)
        assert response.status_code == status
        assert "access-control-allow-origin" not in response.headers
        assert response.headers["vary"] == "Origin"  # not to be kept for other origins


def test_a_classification_may_be_read(service: Service) -> None:
    response = service.post("/classify/spam", json=TEXTS, headers={"Origin": ORIGIN})
    assert response.json()["model"] == "spam"
    assert response.headers["access-control-allow-origin"] == ORIGIN


def test_a_defect_may_be_read(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    def defect(*_: object) -> None:
        raise RuntimeError

    open_to_all = settings.model_copy(update={"cors_origins": "*"})
    with connect(open_to_all) as client:
        monkeypatch.setattr(Classifier, "infer", defect)
        response = client.post("/classify/spam", json=TEXTS, headers={"Origin": ORIGIN})
    assert_problem(response, 500)
    assert response.headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("path", ["/classify/spam", "/models"])
def test_it_is_off_by_default(client: TestClient, path: str) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    for method, status in (("OPTIONS", 405), ("GET", 405 if "classify" in path else 200)):
        response = client.request(method, path, headers=asked)
        assert response.status_code == status
        assert not [name for name in response.headers if name.startswith("access-control")]
        assert "vary" not in response.headers
