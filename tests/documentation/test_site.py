"""The documentation as a site: built strictly, complete, and without another host."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser, Error, Request, sync_playwright

from ..conftest import PATIENCE_S, ROOT

# Building the site and training take long on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(DOCS.rglob("*.md"))
ABOUT: Final = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")]

Attributes = list[tuple[str, str | None]]


def on_site(site: Path, page: Path) -> Path:
    path = (
        page.relative_to(DOCS)
        if page.is_relative_to(DOCS)
        else Path("source") / page.relative_to(ROOT)
    )
    return site / (
        path.with_name("index.html") if path.stem == "README" else path.with_suffix(".html")
    )


class Elements(HTMLParser):
    """Counts what a page consists of."""

    def __init__(self, *, article: bool) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self._is_counted = not article

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        if tag == "article":
            self._is_counted = True
        counted = {"li", "ol", "ul", "table", "tr", "h1", "h2", "h3", "h4", "p", "img", "pre"}
        if self._is_counted and tag in counted:
            self.counts[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        if tag == "article":
            self._is_counted = False


def counted(html: str, *, article: bool = False) -> Counter[str]:
    elements = Elements(article=article)
    elements.feed(html)
    return elements.counts


GENERATED: Final = re.compile(r"^(?:::: |<!-- generated: )", re.MULTILINE)


def test_pages_are_read_alike_in_the_repository_and_on_the_site(site: Path) -> None:
    """Two kinds of Markdown: what only one of them takes for a list would be a mess."""
    commonmark = MarkdownIt("commonmark").enable("table")
    for page in [*PAGES, *ABOUT]:
        text = page.read_text(encoding="utf-8")
        html = on_site(site, page).read_text(encoding="utf-8")
        if not GENERATED.search(text):
            assert counted(html, article=True) == counted(commonmark.render(text)), page


def test_comparison_of_pages_can_fail() -> None:
    shown = MarkdownIt("commonmark").render("text\n- item")
    assert counted("<article><p>text - item</p></article>", article=True) != counted(shown)


class Loaded(HTMLParser):
    """Collects what a browser would load for a page."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []

    def handle_starttag(self, tag: str, attrs: Attributes) -> None:
        names = {"src", "srcset", "data", "poster"} | (
            {"href"} if tag in {"link", "base"} else set()
        )
        self.addresses += [value or "" for name, value in attrs if name in names]


def foreign(text: str) -> list[str]:
    """Return what a page or style sheet loads from another host."""
    loaded = Loaded()
    loaded.feed(text)
    styles = re.findall(r"(?:url\(|@import )[\"']?([^\"')]+)", text)
    return [one for one in [*loaded.addresses, *styles] if re.match(r"(?:[a-z]+:)?//", one)]


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    for path in [*site.rglob("*.html"), *site.rglob("*.css")]:
        assert not foreign(path.read_text(encoding="utf-8")), path


def test_foreign_assets_are_found() -> None:
    assert foreign('<script src="https://cdn.example/a.js"></script>')
    assert foreign('<link href="//fonts.example/a.css">')
    assert foreign("body { background: url('http://a.example/b.png') }")
    assert not foreign('<a href="https://example.com">to read</a><img src="data:image/png;x">')


def test_file_outside_the_documentation_is_a_page(site: Path) -> None:
    card = (site / "source/artifacts/spam/squared_hinge-wide/MODEL_CARD.html").read_text()
    assert "<h1" in card
    example = (site / "source/examples/classify.py.html").read_text()
    assert "Classifier" in example
    directory = (site / "source/deploy/kubernetes/index.html").read_text()
    assert 'href="base/kustomization.yaml.html"' in directory


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        yield browser
        browser.close()


def test_browser_reads_and_searches_without_a_server(site: Path, browser: Browser) -> None:
    context = browser.new_context(color_scheme="dark")
    others: list[str] = []

    def note(request: Request) -> None:
        if not request.url.startswith((f"file://{site}/", "data:", "blob:", "about:")):
            others.append(request.url)

    context.on("request", note)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_S * 1000)
    problems: list[str] = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(f"file://{site}/index.html")
    page.get_by_label("Search", exact=True).first.click()
    page.get_by_text("Type to start searching").wait_for()
    result = page.locator(".md-search-result__item a").first
    for _ in range(6):  # what is typed while the index loads may be lost
        page.get_by_placeholder("Search").fill("")
        page.get_by_placeholder("Search").press_sequentially("precision")
        with suppress(Error):
            result.wait_for(timeout=PATIENCE_S * 1000 / 6)
            break
    result.click()
    page.wait_for_url(f"file://{site}/*/**")
    assert "precision" in page.locator("article").inner_text().lower()
    assert not others
    assert not problems
    context.close()
