"""What every resource has in common: HEAD, the methods allowed, default headers."""

from urllib.parse import urljoin

import pytest
from fastapi.testclient import TestClient

from app.settings import Settings

from ..conftest import connect
from ..contract import assert_problem, post

RESOURCES = ("/", "/docs", "/favicon.ico", "/livez", "/metrics", "/models", "/models/spam")
RESOURCES += ("/openapi.json", "/readyz", "/static/docs.js", "/static/swagger-ui/swagger-ui.css")
SECURITY = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


def own(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("x-request-id", "date")}


@pytest.mark.parametrize("path", RESOURCES)
def test_head_gets_the_headers_of_get_without_the_body(client: TestClient, path: str) -> None:
    got, head = client.get(path), client.head(path)
    assert got.status_code == head.status_code == 200
    assert got.content
    assert head.content == b""
    if path == "/metrics":  # its length changes from one to the next
        got.headers["content-length"] = head.headers["content-length"]
    assert own(dict(head.headers)) == own(dict(got.headers))
    assert int(head.headers["content-length"]) > 0


@pytest.mark.parametrize("path", ["/nowhere", "/models/none", "/static/none.js"])
def test_head_of_nothing_is_404(client: TestClient, path: str) -> None:
    response = client.head(path)
    assert response.status_code == 404
    assert response.content == b""


@pytest.mark.parametrize("path", RESOURCES)
@pytest.mark.parametrize("method", ["DELETE", "OPTIONS", "PATCH", "POST", "PUT"])
def test_other_methods_are_not_allowed(client: TestClient, path: str, method: str) -> None:
    response = client.request(method, path)
    assert_problem(response, 405)
    assert response.headers["allow"] == "GET, HEAD"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        *(("GET", path, 200) for path in RESOURCES),
        ("HEAD", "/livez", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/docs", 405),
        ("GET", "/classify/spam", 405),
        ("POST", "/classify/spam", 415),
        ("POST", "/classify/none", 404),
    ],
)
def test_every_response_has_the_security_headers(
    client: TestClient, method: str, path: str, status: int
) -> None:
    response = client.request(method, path)
    assert response.status_code == status
    assert response.headers.items() >= SECURITY.items()


def test_a_classification_has_the_security_headers(client: TestClient) -> None:
    headers = post(client, b'{"texts": ["a"]}').headers
    assert headers.items() >= SECURITY.items()
    names = [name for name, _ in headers.multi_items()]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("path", RESOURCES)
def test_nothing_may_be_loaded_except_by_the_page(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert ("script-src" in policy) == (path == "/docs")
    assert headers["cache-control"] == ("no-cache" if "etag" in headers else "no-store")
    assert ("etag" in headers) == (path in ("/docs", "/favicon.ico") or "/static/" in path)


def test_what_a_browser_has_kept_is_not_sent_again(client: TestClient) -> None:
    path = "/static/swagger-ui/swagger-ui-bundle.js"
    tag = client.get(path).headers["etag"]
    response = client.get(path, headers={"If-None-Match": tag})
    assert (response.status_code, response.content) == (304, b"")


@pytest.mark.parametrize("root_path", ["", "/dandelion", "/team/a"])
def test_the_index_leads_everywhere(settings: Settings, root_path: str) -> None:
    with connect(settings.model_copy(update={"root_path": root_path})) as client:
        index = client.get("/").json()
        assert index.pop("name") == "Dandelion"
        assert index.pop("version") == client.get("/openapi.json").json()["info"]["version"]
        assert index.pop("limits")["texts"] == settings.max_texts
        assert index.pop("classify") == f"{root_path}/classify/{{model}}"
        assert {"/docs", "/openapi.json", "/models", "/livez", "/readyz", "/metrics"} == {
            path.removeprefix(root_path) for path in index.values()
        }
        for path in index.values():
            assert path.startswith(root_path)
            assert client.get(urljoin("http://testserver/", path)).status_code == 200
