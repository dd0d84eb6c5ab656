"""``GET /docs``: in a browser without internet, and the files it is made of."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from fastapi.testclient import TestClient

from ...conftest import ROOT, Service, StartService
from .browser import browse

SWAGGER_UI = ROOT / "app" / "static" / "swagger-ui"
CLASSIFY = "#operations-classify-classify_classify__model__post"
RESPONSE = f"{CLASSIFY} .live-responses-table .response"


@pytest.fixture(scope="module")
def service(start_shared: StartService) -> Service:
    service = start_shared(root_path="/dandelion")
    service.wait_until_ready()
    return service


def test_a_request_can_be_tried_out_in_a_browser(service: Service, tmp_path: Path) -> None:
    """The page renders and sends a request: no other host, no violation of its policy."""
    with browse(tmp_path) as page:
        page.open(f"{service.url}/dandelion/docs")
        page.click(f"{CLASSIFY} .opblock-summary-control")
        page.click(f"{CLASSIFY} .try-out__btn")
        page.click(f"{CLASSIFY} .execute")
        status = page.wait_for(
            f"document.querySelector('{RESPONSE} .response-col_status')?.textContent"
        )
        body = page.evaluate(f"document.querySelector('{RESPONSE} .microlight').textContent")
        operations = page.evaluate("document.querySelectorAll('.opblock').length")
    assert status.startswith("200"), (status, body)
    assert '"label"' in body
    assert operations == len(service.get("/openapi.json").json()["paths"])
    assert page.reported == []
    assert f"{service.url}/dandelion/openapi.json" in page.requested
    assert any("/dandelion/classify/" in url for url in page.requested)
    elsewhere = [url for url in page.requested if not url.startswith(f"{service.url}/dandelion/")]
    assert {urlsplit(url).scheme for url in elsewhere} <= {"about", "data"}, elsewhere


def test_all_that_the_page_refers_to_is_served(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    references = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    assert "openapi.json" in references
    for reference in references:
        assert not reference.startswith("/")  # a proxy may serve the page under a prefix
        assert not urlsplit(reference).netloc
        assert client.get(urljoin("/docs", reference)).status_code == 200
    # Everything else would need an exception in the policy.
    assert re.findall(r"<script(?! src=)|<style| on[a-z]+=| style=", page.text) == []


def test_no_url_in_the_description_leads_elsewhere(client: TestClient) -> None:
    assert urls(client.get("/openapi.json").json()) == []


def urls(value: Any) -> list[str]:
    return re.findall(r"(?:https?:)?//[\w.-]+", json.dumps(value))


def test_swagger_ui_is_as_it_was_vendored() -> None:
    sums = (SWAGGER_UI / "SHA256SUMS").read_text().splitlines()
    recorded = {name: digest for digest, name in map(str.split, sums)}
    found = {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in SWAGGER_UI.iterdir()
        if path.name != "SHA256SUMS"
    }
    assert found == recorded
    assert {"LICENSE", "NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= set(found)


def test_the_notice_has_its_version_and_licence() -> None:
    version = re.search(r"^SWAGGER_UI := (\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert version is not None
    notice = (ROOT / "NOTICE").read_text()
    assert f"Swagger UI {version[1]}" in notice
    assert "Apache License 2.0" in notice
    assert " ".join((SWAGGER_UI / "NOTICE").read_text().split()) in " ".join(notice.split())


@pytest.mark.parametrize(
    "path",
    ["/static", "/static/", "/static/../main.py", "/static/%2e%2e/main.py", "/static//etc/passwd"],
)
def test_no_other_file_is_served(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404
