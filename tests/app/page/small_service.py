"""A small model that the page's tests use, and messages for it."""

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, expect

from dandelion import Classifier
from dandelion.artifact import save

from ...dandelion.examples import THREE, make_artifact
from ...dandelion.simulated import deciding_artifact, labels, texts

SERVING = """
[models]
mood = "tiny"

[models.spam]
variant = "tiny"
variants = ["plain"]

[models.spam.policies.careful]
operating_point = "fpr<=0.05"
review = "recall>=0.9"
"""


def write_artifacts(directory: Path, serving: str = SERVING) -> Path:
    """Write two models: `spam`, with evidence, in two variants, and `mood` with three labels."""
    plain = make_artifact(seed=1)
    save(deciding_artifact(), directory / "spam" / "tiny")
    save(
        replace(plain, manifest=replace(plain.manifest, variant="plain")),
        directory / "spam" / "plain",
    )
    save(make_artifact(labels=THREE), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(serving)
    return directory


def labelled_texts(count: int, seed: int = 3) -> tuple[list[str], list[str]]:
    """Return texts for `spam`, and whether each is ``spam`` or ``ham``."""
    found = texts(count, seed)
    truth = labels(Classifier(deciding_artifact()).logits(found), seed)
    return found, ["spam" if label else "ham" for label in truth.tolist()]


def write_csv(path: Path, **columns: Sequence[Any]) -> Path:
    """Write a file with these columns."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return path


def show(page: Page, view: str, model: str = "spam") -> None:
    """Open a view with a model."""
    page.locator(f"nav a[href^='#{view}']").click()
    page.locator("select[name=model]").select_option(model)
    expect(page.locator(f"#view-{view} h1")).to_be_visible()


def check_that_it_fits(page: Page) -> None:
    """Check that the page is no wider than the window."""
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def cells(page: Page, caption: str) -> list[list[str]]:
    """Return the texts of a table's cells, row by row, without its header."""
    table = page.locator("table").filter(has=page.locator(f"caption:text-is('{caption}')"))
    found: list[list[str]] = table.locator("tbody tr").evaluate_all(
        "rows => rows.map((row) => [...row.cells].map((cell) => cell.innerText.trim()))"
    )
    return found
