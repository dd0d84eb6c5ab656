"""Every route with no key, a wrong one, and one of each scope; odd paths; denials."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import unquote

import httpx2
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.testclient import TestClient
from hypothesis import example, given
from hypothesis import settings as settings_of
from hypothesis import strategies as st
from pydantic import SecretStr
from starlette.routing import BaseRoute, Mount
from starlette.routing import Route as StarletteRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app import main
from app.api.access import AccessMiddleware, required
from app.protocols.choice import PROTOCOLS
from app.serving.keys import Keys
from app.serving.rates import SharedRates
from app.settings import Settings
from app.telemetry.metrics import Metrics
from dandelion import api_keys
from dandelion.api_keys import Access

from ..api_keys import CONFIGURED, EVERY_SCOPE, KEYS, bearer
from ..conftest import connect
from ..contract import assert_problem, never, post

CLASSIFY, ADMIN, METRICS = Access.CLASSIFY, Access.ADMIN, Access.METRICS
WRONG = "dandelion_" + "A" * 43

# What the walk compares with: each route of the application, and the scope that it requires.
STATED: Final[dict[str, Access | None]] = {
    "/": None,
    "/livez": None,
    "/readyz": None,
    "/docs": None,
    "/favicon.ico": None,
    "/openapi.json": None,
    "/static": None,
    "/metrics": METRICS,
    "/models": CLASSIFY,
    "/models/{model}": CLASSIFY,
    "/models/{model}/card": CLASSIFY,
    "/models/{model}/operating-points": CLASSIFY,
    "/models/{model}/threshold-curve": CLASSIFY,
    "/models/{model}/plan": CLASSIFY,
    "/models/{model}/evaluation": CLASSIFY,
    "/models/{model}/evaluation/texts": CLASSIFY,
    "/classify/{model}": CLASSIFY,
    "/classify/mood": CLASSIFY,
    "/admin/reload": ADMIN,
    "/admin/reloads/{generation}": ADMIN,
    "/admin/rollback": ADMIN,
}


class Route(NamedTuple):
    method: str
    path: str
    access: Access | None


# Protocols are not routed by the framework: what is below their prefixes stands here.
STATED_OF_PROTOCOLS: Final[dict[str, list[Route]]] = {
    "perspective": [
        Route("POST", "/v1alpha1/comments:analyze", CLASSIFY),
        Route("POST", "/v1alpha1/comments:suggestscore", CLASSIFY),
        Route("GET", "/$discovery/rest", CLASSIFY),
    ],
    "open-inference": [
        Route("GET", "/v2", CLASSIFY),
        Route("GET", "/v2/health/live", None),
        Route("GET", "/v2/health/ready", None),
        Route("GET", "/v2/models/spam", CLASSIFY),
        Route("GET", "/v2/models/spam/ready", None),
        Route("GET", "/v2/models/spam/versions/1", CLASSIFY),
        Route("GET", "/v2/models/spam/versions/1/ready", None),
        Route("POST", "/v2/models/spam/infer", CLASSIFY),
        Route("POST", "/v2/models/spam/versions/1/infer", CLASSIFY),
    ],
}


class Recorded(FastAPI):
    """Keeps the routers that it includes: the framework has no public list of their routes."""

    included: list[APIRouter]

    def include_router(self, router: APIRouter, **options: Any) -> None:
        assert not options, "the walk does not know these"
        self.included = [*getattr(self, "included", []), router]
        super().include_router(router)

    @property
    def every_route(self) -> list[BaseRoute]:
        own = [route for route in self.routes if isinstance(route, StarletteRoute | Mount)]
        assert len(self.routes) == len(own) + len(self.included), "the walk would miss a route"
        return [*own, *(route for router in self.included for route in router.routes)]


class Application(NamedTuple):
    app: ASGIApp
    client: TestClient
    routes: list[Route]


@pytest.fixture(scope="module", params=["", "/dandelion"])
def application(request: pytest.FixtureRequest, made_up: Path) -> Iterator[Application]:
    """A service with a key for each scope, and all routes of it and of every protocol."""
    made: list[Recorded] = []

    class Framework(Recorded):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            made.append(self)

    settings = Settings(
        artifacts=made_up,
        keys=SecretStr(CONFIGURED),
        protocols=",".join(PROTOCOLS),
        root_path=request.param,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(main, "FastAPI", Framework)
        app = main.create_app(settings)
    (framework,) = made
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Application(app, client, [*routes_of(framework), *routes_of_protocols()])


def routes_of(framework: Recorded) -> Iterator[Route]:
    """Yield the routes of the application, and every static file."""
    described = framework.openapi()["paths"]
    found = {path: {method.upper() for method in described[path]} for path in described}
    for route in framework.every_route:
        if isinstance(route, Mount):
            directory = Path(main.__file__).parent / "static"
            files = [file for file in directory.rglob("*") if file.is_file()]
            assert files
            for file in files:
                name = file.relative_to(directory).as_posix()
                yield Route("GET", f"{route.path}/{name}", STATED[route.path])
        else:
            methods: set[str] = getattr(route, "methods", None) or set()
            assert methods, f"{route}: neither a route nor a mount"
            found.setdefault(getattr(route, "path", ""), set()).update(methods)
    for path, methods in found.items():
        assert path in STATED, f"state the scope of {path}"
        for method in methods:
            filled = path.replace("{model}", "spam").replace("{generation}", "1")
            assert "{" not in filled
            yield Route(method, filled, STATED[path])


def routes_of_protocols() -> Iterator[Route]:
    for name, protocol in PROTOCOLS.items():
        assert name in STATED_OF_PROTOCOLS, f"state the scopes of {name}"
        stated = STATED_OF_PROTOCOLS[name]
        for prefix in protocol.prefixes:
            assert any(route.path.startswith(prefix) for route in stated)
        yield from stated


CREDENTIALS: Final = {
    None: None,
    "wrong": WRONG,
    **{str(access): KEYS[access] for access in Access},
}


@pytest.mark.parametrize("credential", CREDENTIALS)
def test_every_route_requires_its_scope(application: Application, credential: str | None) -> None:
    assert len(application.routes) > 20
    key = CREDENTIALS[credential]
    headers = bearer(key) if key else {}
    for route in application.routes:
        for method in {route.method, "HEAD" if route.method == "GET" else "PATCH"}:
            # A public path is read without a key, and nothing else.
            access = "any" if method == "PATCH" else route.access
            response = application.client.request(method, route.path, headers=headers)
            status = response.status_code
            if access is None or (credential == access):
                assert status not in {401, 403}, route
            elif credential in {None, "wrong"}:
                assert status == 401, route
            elif access != "any":
                assert status == 403, route


def test_a_route_that_has_no_stated_scope_fails_the_walk() -> None:
    framework = Recorded(docs_url=None, redoc_url=None)
    router = APIRouter()
    router.add_api_route("/added", lambda: None)
    framework.include_router(router)
    with pytest.raises(AssertionError, match="state the scope of /added"):
        list(routes_of(framework))


ODD: Final = [
    *("//metrics", "/metrics/", "/%6detrics", "/METRICS", "/classify/../metrics", "/metrics%0A"),
    *("/metrics%00", "/metrics;a", "/./metrics", "/metrics/x", "/dandelion/metrics"),
    *("/dandelion/dandelion/metrics", "/dandelion//metrics", "/static/../metrics", "/dandelion"),
    *("/static/%2e%2e/metrics", "/livez/../metrics", "/livez%0A", "/v2/health/live%0A"),
    *("/v2/models/x%2Fy/ready", "/v2/models//ready", "*", "", "/classify/spam/", "/models/"),
]
METHODS: Final = ["GET", "HEAD", "POST", "OPTIONS", "get", "TRACE", "GETT", "PUT", ""]
PARTS: Final = [
    *("/", "//", ".", "..", "metrics", "livez", "dandelion", "models", "spam", "classify"),
    *("%2F", "%2e", "%6d", "%0A", "%00", "%0d", "%20", "static", "v2", "health", "ready"),
    *("METRICS", ";", "v1alpha1", "docs", "openapi.json", "é", "%C3%A9", "admin", "reload"),
]
PATHS = st.lists(st.sampled_from(PARTS) | st.text(max_size=3), max_size=6).map("".join)


def call(app: ASGIApp, method: str, path: str, key: str | None = None) -> tuple[int, bytes]:
    """Send a request without a body, whose path is decoded as the server does."""
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    headers = [(b"authorization", f"Bearer {key}".encode())] if key else []
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": headers,
    }

    async def ended() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    asyncio.run(run(app, scope, send, ended))
    body = b"".join(message.get("body", b"") for message in sent)
    return sent[0]["status"], body


def every_odd_path(test: Any) -> Any:
    for path in ODD:
        for method in ("GET", "OPTIONS"):
            test = example(method=method, path=path)(test)
    return test


@every_odd_path
@settings_of(max_examples=150)
@given(st.sampled_from(METHODS), PATHS)
def test_no_path_slips_through(application: Application, method: str, path: str) -> None:
    app = application.app
    status, body = call(app, method, path)
    if status != 401:  # only what is public, exactly as it stands there
        decoded = unquote(path)
        exact = {decoded, decoded.removeprefix("/dandelion") or "/"}
        assert method in {"GET", "HEAD"}
        assert any(
            each in STATED or each == "/healthz" or each.startswith(("/static/", "/v2/"))
            for each in exact
        )
        assert b"dandelion_requests" not in body
    for access, key in KEYS.items():
        status, body = call(app, method, path, key)
        if access is not METRICS:
            assert b"dandelion_requests" not in body
        if access is not ADMIN and "/admin/reload" in unquote(path) and status not in {404, 405}:
            assert status in {401, 403}


@pytest.mark.parametrize("path", ["/metrics\n", "/metrics/", "/metrics", "/metricsx"])
def test_what_begins_like_a_stricter_path_is_as_strict(path: str) -> None:
    assert required("GET", path) is METRICS


# How keys are presented, and what a denial looks like.


@pytest.fixture(scope="module")
def client(made_up: Path) -> Iterator[TestClient]:
    settings = Settings(
        artifacts=made_up, keys=SecretStr(CONFIGURED), cors_origins="https://a.example"
    )
    with connect(settings) as client:
        yield client


def denied(client: TestClient, reason: str) -> float:
    text = client.get("/metrics", headers=bearer(KEYS[METRICS])).text
    (found,) = re.findall(rf'dandelion_denied_requests_total{{reason="{reason}"}} (\S+)', text)
    return float(found)


KEY: Final = KEYS[CLASSIFY]


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": f"Bearer {KEY}"},
        {"Authorization": f"bEARER   {KEY} "},
        {"X-API-Key": KEY},
        {"X-API-Key": f" {KEY} "},
        {"X-API-Key": KEY, "Authorization": f"Bearer {KEY}"},
        {"X-API-Key": KEY, "Authorization": "Basic dXNlcjpwYXNz"},  # of a proxy
        {"X-API-Key": KEY, "Authorization": "Bearer"},
    ],
)
def test_a_key_is_presented_in_either_header(client: TestClient, headers: dict[str, str]) -> None:
    assert client.get("/models", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": KEY},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {KEY}"},
        {"Authorization": f"Bearer{KEY}"},
        {"X-API-Key": ""},
    ],
)
def test_without_a_key_the_status_is_401(client: TestClient, headers: dict[str, str]) -> None:
    before = denied(client, "no_key")
    response = client.get("/models", headers=headers)
    assert_problem(response, 401, "Authorization: Bearer", "X-API-Key")
    assert response.headers["www-authenticate"] == 'Bearer realm="dandelion"'
    assert denied(client, "no_key") == before + 1


@pytest.mark.parametrize("wrong", [WRONG, KEY[:-1], f"{KEY}x", KEY.upper(), f"{KEY} {KEY}", "é"])
def test_an_unknown_key_gets_401(client: TestClient, wrong: str) -> None:
    before = denied(client, "unknown_key")
    response = client.get("/models", headers=[(b"X-API-Key", wrong.encode())])
    assert_problem(response, 401, "not valid")
    assert response.headers["www-authenticate"] == 'Bearer realm="dandelion", error="invalid_token"'
    assert denied(client, "unknown_key") == before + 1


def test_a_missing_scope_gets_403(client: TestClient) -> None:
    before = denied(client, "scope")
    response = client.get("/metrics", headers=bearer(KEY))
    assert_problem(response, 403, "scope metrics")
    challenge = 'Bearer realm="dandelion", error="insufficient_scope", scope="metrics"'
    assert response.headers["www-authenticate"] == challenge
    assert denied(client, "scope") == before + 1


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", f"Bearer {KEY}"), ("X-API-Key", EVERY_SCOPE)],
        [("X-API-Key", KEY), ("X-API-Key", WRONG)],
        [("Authorization", f"Bearer {WRONG}"), ("Authorization", f"Bearer {KEY}")],
    ],
)
def test_different_keys_get_400(client: TestClient, headers: list[tuple[str, str]]) -> None:
    response = client.get("/models", headers=headers)
    assert_problem(response, 400, "several different API keys")
    challenge = 'Bearer realm="dandelion", error="invalid_request"'
    assert response.headers["www-authenticate"] == challenge


@pytest.mark.parametrize("path", ["/models", "/classify/spam", "/metrics", "/v2/models/spam"])
def test_a_key_in_the_query_counts_nowhere_else(client: TestClient, path: str) -> None:
    assert client.get(path, params={"key": EVERY_SCOPE}).status_code == 401


QUERIES: Final = [
    (f"key={KEY}", b"", 1),
    (f"key={KEY}&alt=json", b"alt=json", 1),
    (f"alt=json&k%65y={KEY}&key={KEY}&prettyPrint=false", b"alt=json&prettyPrint=false", 1),
    (f"key={KEY}&key={WRONG}", b"", 0),
    (f"key={WRONG}", b"", 0),
    ("key=", b"", 0),
    (f"KEY={KEY}", f"KEY={KEY}".encode(), 0),
]


@pytest.mark.parametrize(("query", "rest", "passes"), QUERIES, ids=range(len(QUERIES)))
@pytest.mark.parametrize(
    "path", ["/v1alpha1/comments:analyze", "/$discovery/rest", "/v1alpha1", "/v2/v1alpha1/"]
)
def test_a_key_in_the_query_is_cut_where_it_counts(
    query: str, rest: bytes, passes: int, path: str
) -> None:
    reached: list[Scope] = []

    async def inner(scope: Scope, receive: Receive, send: Send) -> None:
        del receive, send
        reached.append(scope)

    async def send(message: Message) -> None:
        del message

    keys = Keys(api_keys.parse(CONFIGURED), Metrics(), SharedRates(), 8)
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query.encode()}
    scope |= {"headers": [], "request_id": "order-66"}
    asyncio.run(run(AccessMiddleware(inner, keys, Metrics()), scope, send))
    if path.startswith(("/v1alpha1/", "/$discovery/")):
        assert len(reached) == passes
        assert scope["query_string"] == rest
        assert all(one["caller"].name == "only-classify" for one in reached)
    else:
        assert not reached


async def run(app: ASGIApp, scope: Scope, send: Send, receive: Receive = never) -> None:
    await app(scope, receive, send)


def test_a_denial_has_the_form_of_the_protocol(application: Application) -> None:
    response = application.client.get("/v2/models/spam")
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="dandelion"'
    assert response.json().keys() == {"error"}


def test_a_denial_has_the_headers_of_every_response(client: TestClient) -> None:
    headers = {"X-Request-ID": "order-66", "Origin": "https://a.example"}
    response = client.get("/models", headers=headers)
    assert response.status_code == 401
    assert response.headers["x-request-id"] == "order-66"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["access-control-allow-origin"] == "https://a.example"


def test_a_preflight_needs_no_key(client: TestClient) -> None:
    asked = {
        "Origin": "https://a.example",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "Authorization, X-API-Key, Content-Type",
    }
    response = client.options("/classify/spam", headers=asked)
    assert response.status_code == 200
    allowed = response.headers["access-control-allow-headers"].lower()
    assert "authorization" in allowed
    assert "x-api-key" in allowed
    # Without what makes it a preflight, it is a request like any other.
    assert client.options("/classify/spam", headers={"Origin": "https://a.example"}).is_error


def test_texts_are_counted_by_the_name_of_the_key(client: TestClient) -> None:
    client.headers = httpx2.Headers(bearer(EVERY_SCOPE))
    try:
        before = texts(client, "all")
        assert post(client, b'{"texts": ["a", "b", "c"]}').status_code == 200
        assert post(client, b'{"texts": 7}').status_code == 422
        assert texts(client, "all") == before + 3
    finally:
        client.headers = httpx2.Headers()


def texts(client: TestClient, key: str) -> float:
    text = client.get("/metrics", headers=bearer(KEYS[METRICS])).text
    (found,) = re.findall(rf'dandelion_key_texts_total{{key="{key}"}} (\S+)', text)
    return float(found)


def test_the_body_of_a_denied_request_is_not_read(made_up: Path) -> None:
    app = main.create_app(Settings(artifacts=made_up, keys=SecretStr(CONFIGURED)))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/classify/spam", "query_string": b""}
    scope |= {"headers": [(b"content-length", b"8000000")]}
    asyncio.run(asyncio.wait_for(app(scope, never, send), 60))
    assert sent[0]["status"] == 401


def test_without_keys_nothing_is_required(made_up_client: TestClient) -> None:
    for path in ("/metrics", "/models", "/livez"):
        assert made_up_client.get(path, headers=bearer(WRONG)).status_code == 200


# The description.


def test_the_description_has_the_keys_and_what_each_path_requires(client: TestClient) -> None:
    description = client.get("/openapi.json").json()
    assert description["components"]["securitySchemes"].keys() == {"bearer", "header"}
    for path, operations in description["paths"].items():
        for operation in operations.values():
            if STATED[path] is None:
                assert operation["security"] == []
                assert "401" not in operation["responses"]
            else:
                assert operation["security"] == [{"bearer": []}, {"header": []}]
                assert {"401", "403"} <= operation["responses"].keys()


def test_without_keys_the_description_has_none(made_up_client: TestClient) -> None:
    text = made_up_client.get("/openapi.json").text
    assert "security" not in text
    assert '"401"' not in text
