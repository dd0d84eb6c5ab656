"""The reference names everything that there is: commands, options, errors, names, fields."""

import html
import importlib
import inspect
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import typer
from fastapi.testclient import TestClient

import dandelion
import dandelion.client
import training
import training.losses
from app import errors, settings
from app.api.problems import ProblemDetails
from app.api.schemas import ClassifyRequest
from app.errors import FieldError, Problem
from app.main import create_app
from dandelion import policy_file
from dandelion.artifact import load
from dandelion.decision.calibration import Calibration
from dandelion.decision.policy import Basis, PolicyChoice, PolicyError, resolve
from dandelion.manifest import FORMAT_VERSION, Manifest
from dandelion.retraining_file import PAGE_FILE, VERDICT_FILE

from ..conftest import ROOT

# Building the site and training take long on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

REFERENCE: Final = ROOT / "docs" / "reference"
SPAM: Final = ROOT / "artifacts" / "spam" / "squared_hinge-wide"


def text_of(page: Path) -> str:
    """Return what a reader sees of a page of the site."""
    return visible(page.read_text(encoding="utf-8"))


def sections(page: Path) -> dict[str, str]:
    """Return what a reader sees of each section of a page, by its heading."""
    found = {}
    for part in re.split(r"<h3 [^>]*>", page.read_text(encoding="utf-8"))[1:]:
        heading, _, rest = part.partition("</h3>")
        found[visible(heading).rstrip("¶")] = visible(rest)
    return found


def visible(text: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", text))


def table(page: Path, *header: str) -> list[list[str]]:
    """Return the cells of the one table of a page that has this header."""
    line = re.escape(f"| {' | '.join(header)} |".replace("  ", " "))
    (rows,) = re.findall(
        rf"^{line}\n\|[-| ]+\|\n((?:\|.*\n?)+)", page.read_text(encoding="utf-8"), re.MULTILINE
    )
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows.splitlines()]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands(group: Any, name: str) -> Iterator[tuple[str, Any]]:
    for inner, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{name} {inner}")
        else:
            yield f"{name} {inner}", command


def test_every_command_and_option_is_in_the_reference(site: Path) -> None:
    described = sections(site / "reference" / "commands.html")
    for module in ("dandelion.command", "training.cli", "study.cli"):
        group = typer.main.get_command(importlib.import_module(module).app)
        program = "dandelion" if module == "dandelion.command" else f"python -m {module[:-4]}"
        for name, command in commands(group, program):
            for option in (word for one in command.params for word in one.opts if word[0] == "-"):
                assert option in described[name], f"{name} {option}"
    with (ROOT / "pyproject.toml").open("rb") as file:
        joined = tomllib.load(file)["project"]["entry-points"]["dandelion.commands"]
    for name in joined:
        assert f"dandelion {name}" in described
    for name in settings.Settings.model_fields:
        is_option = not settings.is_secret(name)
        assert (f"\n{settings.option(name)}\n" in described["dandelion serve"]) is is_option, name
    assert "--key-file" in described["dandelion reload"]


def test_every_exit_code_is_in_the_reference(site: Path) -> None:
    page = text_of(site / "reference" / "commands.html")
    epilog = importlib.import_module("dandelion.command").app.info.epilog
    codes = re.findall(r"(?:: |; )(\d+) ", epilog)
    assert codes[:3] == ["0", "1", "2"]
    for code in codes:
        assert re.search(rf"^{code}$", page, re.MULTILINE), code


def test_every_operation_and_field_is_in_the_reference(site: Path) -> None:
    described = sections(site / "reference" / "openapi.html")
    assert {"POST /classify/{model}", "GET /metrics", "POST /admin/reload"} <= set(described)
    for schema in (ClassifyRequest, ProblemDetails):
        for field in msgspec.structs.fields(schema):
            assert f"\n{field.encode_name}\n" in described[schema.__name__], field.name


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text(encoding="utf-8")
    for module in (dandelion, dandelion.client, training, training.losses):
        for name in module.__all__:
            assert f'id="{module.__name__}.{name}"' in page, name


ARGUMENTS: Final[dict[str, Any]] = {
    "reason": "expected a value",
    "max_bytes": 8192,
    "scope": "admin",
    "available": ["spam"],
    "loaded": ["dice"],
    "headers": {"Allow": "GET"},
    "generation": 3,
    "version": "3f551a3ae63a",
    "expected": "application/json",
    "error": FieldError("#/texts", "Expected an array"),
    "position": 0,
    "max_chars": 100,
    "max_texts": 8,
    "name": "prior",
    "other": "threshold",
    "detail": "precision>=0.9 cannot be promised at 95%",
    "members": None,
    "labels": 6,
    "policy": "teens",
    "wait_s": 1.5,
    "limit": "100 fields",
    "timeout_ms": 1000,
}


def problems() -> dict[str, Problem]:
    """Return an example of every error that the service's own protocol has."""
    found = {}
    for name, function in inspect.getmembers(errors, inspect.isfunction):
        if function.__module__ == errors.__name__:
            parameters = inspect.signature(function).parameters
            found[name] = function(**{each: ARGUMENTS[each] for each in parameters})
    return found


def documented_errors() -> dict[str, int]:
    """Return the documented details, as patterns, with their statuses."""
    rows = table(REFERENCE / "errors.md", "status", "detail", "when", "what to do")
    patterns = {}
    for status, detail, when, advice in rows:
        assert when
        assert advice
        (shown,) = in_code(detail)
        patterns[re.escape(shown).replace("…", ".+")] = int(status.split()[0])
    assert len(patterns) == len(rows)
    return patterns


@pytest.mark.parametrize(("name", "problem"), problems().items())
def test_every_error_is_in_the_reference(name: str, problem: Problem) -> None:
    assert_documented(*shown_of(problem))


def shown_of(problem: Problem) -> tuple[str, int]:
    return problem.errors[0].detail if problem.errors else problem.detail, problem.status


def assert_documented(detail: str, status: int) -> None:
    found = {each for row, each in documented_errors().items() if re.fullmatch(row, detail)}
    assert found == {status}, detail


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, int]]:
    """What the service responds where the detail depends on the request or on the evidence."""
    artifacts = tmp_path_factory.mktemp("artifacts")
    (artifacts / "spam").symlink_to(SPAM.parent)
    (artifacts / "serving.toml").write_text(f'[models]\nspam = "{SPAM.name}"\n')
    keys = "".join(f"{number:016x}" for number in range(60))
    with TestClient(create_app(settings.Settings(artifacts=artifacts))) as client:
        version = client.get("/models/spam").json()["version"]
        flagged = {"version": version, "logits": [9.0] * 60, "copies": keys, "digests": keys}
        strata = {"strata": ["a", "b"], "weights": [1, 1]}
        bodies = [
            *[{}, {"text": []}, {"texts": ["a"], "label": 1}, [], {"texts": [1]}],
            *[{"texts": ["a"], "operating_point": point} for point in POINTS],
            {"scored": {"logit": 0}, "labels": [1]},
            {"texts": ["a", "b"], "labels": [None, None]},
            {"texts": ["a", "b"], "labels": [1, None], **strata},
            {"texts": ["a"], "labels": [1, 0]},
            {"scored": flagged, "labels": [1] * 60, "prior": 0.1},
        ]
        responses = [
            client.post(
                "/models/spam/evaluation" if "labels" in body else "/classify/spam", json=body
            )
            for body in bodies
        ]
        plan = "/models/spam/plan"
        queries = ({"threshold": 2}, {"review_threshold": 0.5}, {"x": 1}, {"minutes": "x"})
        responses += [client.get(plan, params=query) for query in queries]
    found = [(one.json()["errors"][0]["detail"], one.status_code) for one in responses]
    basis = Basis.of(1 - 1e-7, Calibration("temperature", 1.0, 1.0, 0.0), None)
    with pytest.raises(PolicyError) as caught:
        resolve(PolicyChoice(prior=0.9999), basis)
    return [*found, (str(caught.value), 422)]


POINTS: Final = ("fpr<0.1", "f1[x]", "fpr<=0.1[x]", "recall>=0.5[wikipedia_context_harmless]")


def test_every_refusal_is_in_the_reference(refusals: list[tuple[str, int]]) -> None:
    for detail, status in refusals:
        assert_documented(detail, status)


def test_every_error_in_the_reference_exists(refusals: list[tuple[str, int]]) -> None:
    details = [*map(shown_of, problems().values()), *refusals]
    for pattern, status in documented_errors().items():
        assert any(re.fullmatch(pattern, each) and at == status for each, at in details), pattern


FORMAT: Final = REFERENCE / "artifact-format.md"


def test_every_field_of_an_artifact_is_in_the_reference() -> None:
    documented = [name for row in table(FORMAT, "field", "type", "") for name in in_code(row[0])]
    assert sorted(documented) == sorted(field.name for field in fields(Manifest))


def test_every_file_of_an_artifact_is_in_the_reference() -> None:
    rows = table(FORMAT, "file", "part of the artifact", "")
    documented = {name: row[1].split(",")[0] for row in rows for name in in_code(row[0])}
    retrained = {VERDICT_FILE, PAGE_FILE}
    assert set(documented) == {path.name for path in SPAM.iterdir()} | retrained
    hashed = {"model.json", *load(SPAM).manifest.files}
    assert {name for name, part in documented.items() if part == "yes"} == hashed


def test_every_version_of_the_format_is_in_the_reference() -> None:
    rows = table(FORMAT, "`format_version`", "added to `model.json`", "in older artifacts")
    assert [int(row[0]) for row in rows] == list(range(1, FORMAT_VERSION + 1))
    latest = set(json.loads((SPAM / "model.json").read_text()))
    for version in range(1, FORMAT_VERSION):
        old = ROOT / "tests" / "dandelion" / f"artifact-v{version}" / "model.json"
        added = {name for row in rows[version:] for name in in_code(row[1])}
        assert set(json.loads(old.read_text())) == latest - added


def test_every_tensor_is_in_the_reference() -> None:
    documented = {name for row in table(FORMAT, "tensor", "shape", "") for name in in_code(row[0])}
    scales = {"embedding_scale", "grams_scale", "surface_scale"}
    assert documented == set(load(SPAM).network.weights()) | scales


def test_every_field_of_evidence_and_policy_files_is_in_the_reference() -> None:
    text = FORMAT.read_text(encoding="utf-8")
    (evidence,) = re.findall(r"^## evidence.json\n(.*?)^## ", text, re.MULTILINE | re.DOTALL)
    names = {
        name
        for row in re.findall(r"^\| (`.*?) \|", evidence, re.MULTILINE)
        for name in in_code(row)
    }
    assert names == {*json.loads((SPAM / "evidence.json").read_text()), "weights", "bands"}
    (policy,) = re.findall(r"^## A policy file\n(.*)", text, re.MULTILINE | re.DOTALL)
    names = {
        name for row in re.findall(r"^\| (`.*?) \|", policy, re.MULTILINE) for name in in_code(row)
    }
    written = {field.name for field in fields(policy_file.PolicyFile)}
    assert names == written | {"format", "format_version"}


def test_comparison_with_fasttext_is_that_of_the_results() -> None:
    quality = (ROOT / "docs" / "quality.md").read_text(encoding="utf-8")
    rows = table(
        ROOT / "docs" / "guide" / "from-fasttext.md",
        *("test fold", "model", "macro-F1", "AP", "MB"),
    )
    assert len(rows) == 6
    for row in rows:
        assert f"| {' | '.join(row)} | ".replace("  ", " ") in quality.replace("  ", " "), row
