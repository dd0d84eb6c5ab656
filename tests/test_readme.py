"""What the README, the changelog and the docs say is what the code does."""

import json
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

import dandelion
from app import settings
from app.telemetry.metrics import Metrics
from study import cli as study_cli
from training import cli

from .conftest import PATIENCE_S, ROOT, StartService

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def test_every_python_block_runs() -> None:
    assert blocks("python")
    for block in blocks("python"):
        done = subprocess.run(
            [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert done.stdout.startswith("spam ")


def test_the_first_answer_is_the_services_own(start_service: StartService) -> None:
    command = blocks("console")[0].split("$ ")[2]
    assert command.startswith("curl localhost:8000/")
    service = start_service()
    service.wait_until_ready()
    command = command.replace("localhost:8000", service.url.removeprefix("http://"))
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=True, timeout=PATIENCE_S
    )
    answer, written = json.loads(done.stdout), json.loads(blocks("json")[0])
    for result in [*answer["results"], *written["results"]]:
        result["score"] = pytest.approx(result["score"], abs=1e-4)
    assert written == answer


def test_settings_table_is_printed_from_the_class() -> None:
    assert settings.table() in README


def test_every_series_is_named() -> None:
    metrics = Metrics()
    for family in metrics.registry.collect():
        if family.name.startswith("dandelion_"):
            assert f"`{family.name}" in README


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert used
    assert used <= targets


def test_every_command_exists() -> None:
    texts = README + (ROOT / "CONTRIBUTING.md").read_text()
    texts += "".join(path.read_text() for path in (ROOT / "docs").rglob("*.md"))
    for package, app in (("training", cli.app), ("study", study_cli.app)):
        commands = {
            command.name or command.callback.__name__
            for command in app.registered_commands
            if command.callback
        }
        used = set(re.findall(rf"python -m {package} ([a-z-]+)", texts))
        assert used
        assert used <= {name.replace("_", "-") for name in commands}


@pytest.mark.parametrize(
    "page", [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]
)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), target


def test_changelog_is_about_this_version() -> None:
    (version, *_) = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert version == metadata.version("dandelion-text")


def test_public_names_exist() -> None:
    assert all(hasattr(dandelion, name) for name in dandelion.__all__)
    assert sorted(dandelion.__all__) == dandelion.__all__
