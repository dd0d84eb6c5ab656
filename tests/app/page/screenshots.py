"""``make screenshots`` writes the README's picture of the page, by a real service and Chromium."""

import re
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import expect, sync_playwright

from ...conftest import ROOT, services
from .conftest import ARGUMENTS, CHROMIUM

PICTURE = ROOT / "docs" / "images" / "page.png"
SIZE = {"width": 1160, "height": 780}


def main() -> None:
    """Score the page's own examples, and take the picture."""
    with TemporaryDirectory() as directory, services(Path(directory)) as start:
        service = start()
        service.wait_until_ready()
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_context(viewport=SIZE, color_scheme="light").new_page()
            page.goto(service.url)
            page.locator("select[name=model]").select_option("spam")
            page.get_by_role("button", name="Try examples").click()
            page.get_by_role("button", name=re.compile("^Score ")).click()
            expect(page.locator(".sum")).to_have_count(7)
            page.locator("h1:visible").hover()  # not on a button
            PICTURE.parent.mkdir(exist_ok=True)
            page.screenshot(path=PICTURE, animations="disabled")
            browser.close()


if __name__ == "__main__":
    main()
