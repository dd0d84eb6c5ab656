"""The files of the page, and to whom they are served."""

import gzip
import hashlib
import re

import pytest
from fastapi.testclient import TestClient

from ...conftest import ROOT
from .conftest import VIEWS

PAGE = ROOT / "app" / "static" / "page"
VENDOR = PAGE / "vendor"
MAX_BYTES = 150_000


def test_all_of_it_is_small() -> None:
    """What a browser loads, each file compressed as a proxy would."""
    files = [path for path in PAGE.rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert len(files) > len(VIEWS)
    assert sum(len(gzip.compress(path.read_bytes())) for path in files) < MAX_BYTES


def test_its_libraries_are_as_they_were_vendored() -> None:
    sums = (VENDOR / "SHA256SUMS").read_text().splitlines()
    recorded = {name: digest for digest, name in map(str.split, sums)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.iterdir()
        if path.name not in ("SHA256SUMS", "PACKAGES")
    }
    assert found == recorded
    makefile, notice = (ROOT / "Makefile").read_text(), (ROOT / "NOTICE").read_text()
    libraries = re.search(r"^PAGE_LIBRARIES := (.+)$", makefile, re.MULTILINE)
    assert libraries is not None
    packages = (VENDOR / "PACKAGES").read_text()
    for library in libraries[1].split():
        name, _, version = library.partition("@")
        assert f"{name}-{version}.tgz" in packages
        assert f"LICENSE.{name}" in recorded
        assert re.search(rf"\b{name.replace('papa', 'papa ')} {version}", notice, re.IGNORECASE)


def test_the_picture_of_it_is_small() -> None:
    picture = (ROOT / "docs" / "images" / "page.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < MAX_BYTES


def test_no_address_is_absolute() -> None:
    for path in [PAGE / "index.html", *PAGE.glob("*.js"), *PAGE.glob("[cv]*/**/*.js")]:
        if path.parent != VENDOR:
            found = re.findall(
                r"""(?:href|src|from|import\()\s*=?\s*["'`](/|https?:)""", path.read_text()
            )
            assert found == [], path


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (BROWSER, "text/html"),
        ("text/*", "text/html"),
        ("application/json;q=0.5, TEXT/HTML ; Q=0.6", "text/html"),
        ("*/*", "application/json"),
        ("", "application/json"),
        ("application/json", "application/json"),
        ("text/html, application/json", "application/json"),
        ("text/html;q=0, */*", "application/json"),
        ("text/html;level=1", "application/json"),
        ("text/html;q=2", "application/json"),
        ("text/html;q=", "application/json"),
        ("text/plain", "application/json"),
        (",;,=", "application/json"),
    ],
)
def test_the_page_is_for_those_who_prefer_it(client: TestClient, accept: str, kind: str) -> None:
    for send in (client.get, client.head):
        response = send("/", headers={"Accept": accept})
        assert response.status_code == 200
        assert response.headers["content-type"].startswith(kind)
        assert response.headers["vary"] == "Accept"


def test_its_policy_allows_nothing_but_its_own_files(client: TestClient) -> None:
    headers = client.get("/", headers={"Accept": BROWSER}).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
    }
    assert headers["cache-control"] == "no-cache"


def test_the_index_has_the_limits(client: TestClient) -> None:
    limits = client.get("/").json()["limits"]
    assert limits["texts"] == 8
    assert limits["text_chars"] == 2000
    assert limits["body_bytes"] == 20_000
    assert limits["explained_texts"] == 32
