"""Every fenced block of the documentation is run by a test, or says why not."""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Final

import kubernetes_validate
import pytest
from ruamel.yaml import YAML

from dandelion import api_keys, serving
from training import configuration

from ..conftest import ROOT
from .blocks import Block, Shell, blocks, matches, run_page, shell, shows

# Building the site and training take long on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GUIDE: Final = sorted((ROOT / "docs" / "guide").glob("*.md"))
# tests/test_readme.py runs each of their blocks of Python and every request, and compares the
# responses that they show; it runs what trains with one epoch.
COMMON: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "README.md", *GUIDE]
CARDS: Final = sorted((ROOT / "artifacts").glob("*/*/MODEL_CARD.md"))
PAGES: Final = sorted({*COMMON, *CARDS, *(ROOT / "docs").rglob("*.md")})
BLOCKS: Final = [block for page in PAGES for block in blocks(page)]

# Run as a whole, each output compared.
WHOLE: Final = {
    **dict.fromkeys((ROOT / "docs" / "explanation").glob("*.md"), "test_explanation_runs"),
    ROOT / "docs" / "tutorial.md": "test_tutorial.py",
    ROOT / "docs" / "guide" / "choosing-a-threshold.md": "tests/test_examples.py",
}
CLIENTS: Final = "tests/app/protocols/test_perspective_clients.py"
# Lines that tests/test_readme.py runs, and tests, which run anyway.
ELSEWHERE: Final = re.compile(
    r"(?:curl |python -m training (?:train|evaluate) |\.venv/bin/python -m pytest )"
)
# The same on several pages: run on one, README's.
PLAIN: Final = re.compile(r"dandelion serve(?: +#.*)?")


def runner(block: Block) -> str:
    """Return what runs a block; "" if nothing does."""
    if block.page in WHOLE and block.language in {"console", "python", "text", "json", "toml"}:
        return WHOLE[block.page]
    return {
        "console": "test_console_blocks_run",
        "json": "tests/test_readme.py",
        "jsonc": "tests/test_readme.py",
        "promql": "tests/test_readme.py",
        "py": CLIENTS if block.page.name == "perspective.md" else "",
        "js": CLIENTS if block.page.name == "perspective.md" else "",
        "python": "tests/test_readme.py" if block.page in COMMON else "test_python_blocks_run",
        "toml": "test_toml_is_read",
        "yaml": "test_yaml_is_valid",
    }.get(block.language, "")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_block_is_run_or_says_why(page: Path) -> None:
    for block in blocks(page):
        # Formulas and drawings have no language.
        is_code = block.language != ""
        assert runner(block) or block.not_run or not is_code, f"{block}: nothing runs it"


def test_markers_are_read() -> None:
    """They are listed in the output; one that no block follows is an error."""
    reasons = Counter(block.not_run for block in BLOCKS if block.not_run)
    for reason, count in sorted(reasons.items()):
        print(f"{count:3} {reason}")  # noqa: T201
    written = sum(page.read_text(encoding="utf-8").count("<!-- not run: ") for page in PAGES)
    assert written == reasons.total()
    assert reasons.total() < len(BLOCKS) / 2


def prepared(directory: Path) -> Shell:
    """Return a shell in a directory with the files that pages speak of."""
    artifacts = directory / "artifacts"
    artifacts.mkdir()
    for model in (ROOT / "artifacts").iterdir():
        if model.is_dir():
            (artifacts / model.name).symlink_to(model)
    shutil.copy(ROOT / "artifacts" / "serving.toml", artifacts)
    (directory / "configs").symlink_to(ROOT / "configs")
    nouns = [f"{number:b}".translate({48: "la", 49: "lo"}) for number in range(700)]
    kinds = [("abusive", "nasty") if number % 3 == 0 else ("fine", "kind") for number in range(700)]
    mine = [
        f"a {kind[1]} word on {noun},{kind[0]}" for kind, noun in zip(kinds, nouns, strict=True)
    ]
    (directory / "mine.csv").write_text("\n".join(["body,label", *mine[:120]]))
    (directory / "comments.csv").write_text(
        "\n".join(["text", *(one.split(",")[0] for one in mine)])
    )
    labelled = [
        f"{text},{int(label == 'abusive')}" for text, label in (one.split(",") for one in mine)
    ]
    (directory / "labelled.csv").write_text("\n".join(["text,label", *labelled[:150]]))
    (directory / "messages.txt").write_text("Claim your free prize now\nLunch at 12?\n")
    (directory / "labelled.txt").write_text(
        "".join(f"__label__{one.split(',')[1]} {one.split(',')[0]}\n" for one in mine[:120])
    )
    line = {"id": "9b2f7c1e4d8a4f03b6c5e2a1d7f08394.0"}
    record = json.dumps(line, separators=(",", ":"))
    (directory / "decisions.jsonl").write_text(f"{record}\n")
    variables = {
        "TEXT": "See you at six",
        "HMAC_KEY": "0123",
        "TRAINING_CACHE": str(directory / "cache"),
    }
    return shell(directory, shutil.which("make") or "", **variables)


def is_run_elsewhere(page: Path, command: str) -> bool:
    if PLAIN.fullmatch(command):
        return page.stem not in {"README", "custom-data"}
    if command.startswith("dandelion train "):
        return page.stem != "custom-data"
    # tests/deploy/test_feedback.py retrains and promotes.
    return bool(ELSEWHERE.match(command) or re.match(r"dandelion (?:retrain|promote) ", command))


def run(at: Shell, command: str) -> None:
    if re.match(r"(?:[A-Z_]+=\S+ )*dandelion (?:reload|rollback)", command) and not at.service:
        at.serve("dandelion serve")
        at.run("dandelion reload")  # so that there is something to go back to
    if command.startswith("cp -r "):  # instead of what an earlier block wrote
        for path in (at.directory / "artifacts").iterdir():
            if path.is_symlink() or path.is_file():
                path.unlink()
    if command.startswith("dandelion train "):
        command = f"{command.partition(' #')[0]} --set epochs=1"
    at.run(command.replace("/var/lib/dandelion", str(at.directory)))


CONSOLE: Final = [
    page
    for page in COMMON
    if page not in WHOLE
    and any(block.language == "console" and not block.not_run for block in blocks(page))
]


@pytest.mark.parametrize("page", CONSOLE, ids=lambda page: page.stem)
def test_console_blocks_run(page: Path, tmp_path: Path) -> None:
    at = prepared(tmp_path)
    try:
        for block in blocks(page):
            if block.language == "console" and not block.not_run:
                for command in block.commands:
                    if not is_run_elsewhere(page, command):
                        run(at, command)
    finally:
        at.stop()


def is_keys(values: dict[str, object]) -> bool:
    return all(isinstance(value, dict) and "sha256" in value for value in values.values())


TOML: Final = [block for block in BLOCKS if block.language == "toml"]


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "explanation").glob("*.md")), ids=str)
def test_explanation_runs(page: Path, tmp_path: Path) -> None:
    assert list(run_page(page, shell(tmp_path, ""))) or not blocks(page)


@pytest.mark.parametrize("block", TOML, ids=str)
def test_toml_is_read(block: Block) -> None:
    """By what reads such a file: the service's configuration, API keys, or a variant's file."""
    values = tomllib.loads(block.text)
    if is_keys(values):
        api_keys.parse(block.text.replace("…", "0" * 54))
    elif {"models", "protocols"} & set(values):
        committed = (ROOT / "artifacts" / "serving.toml").read_text(encoding="utf-8")
        text = block.text if "models" in values else f"{committed}\n{block.text}"
        for model, table in values.get("models", {}).items():
            if isinstance(table, dict) and "variant" not in table:  # a part of a model's table
                variant = next(iter(serving.variants(ROOT / "artifacts", model)))
                text = f'[models.{model}]\nvariant = "{variant}"\n{text}'
        if block.page.name != "tutorial.md":  # which trains what it names
            assert serving.choices(ROOT / "artifacts", {}, text.encode())
    else:
        file = ROOT / "configs" / "abuse" / "bce-wide.toml"
        base = {"model": "abuse", "variant": "bce-wide"} | tomllib.loads(file.read_text())
        if "sources" in values:  # fewer than those that the file's limits name
            base |= {"operating_point": "macro_f1", "groups": {}}
        configuration.parse(base | values, str(block))


YAML_BLOCKS: Final = [block for block in BLOCKS if block.language == "yaml"]


@pytest.mark.parametrize("block", YAML_BLOCKS, ids=str)
def test_yaml_is_valid(block: Block, tmp_path: Path) -> None:
    yaml = YAML(typ="safe")
    values = yaml.load(block.text)
    if values.get("kind") == "Kustomization":
        shutil.copytree(ROOT / "deploy" / "kubernetes", tmp_path / "kubernetes")
        place = tmp_path / "kubernetes" / "overlays" / "documented"
        place.mkdir()
        (place / "kustomization.yaml").write_text(block.text)
        kubectl = Path(sys.executable).parent / "kubectl"
        subprocess.run([kubectl, "kustomize", place], check=True, stdout=subprocess.DEVNULL)
    elif "egress" in values:
        policy = ROOT / "deploy" / "kubernetes" / "base" / "network-policy.yaml"
        manifest = yaml.load(policy.read_text())
        manifest["spec"] |= values
        kubernetes_validate.validate(manifest, "1.33", strict=True)
    else:  # a collector's: pipelines of components that are configured
        for pipeline in values["service"]["pipelines"].values():
            for kind in ("receivers", "processors", "exporters"):
                assert set(pipeline[kind]) <= set(values[kind])


PYTHON: Final = [
    page
    for page in PAGES
    if page not in {*COMMON, *WHOLE} and any(block.language == "python" for block in blocks(page))
]


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.stem)
def test_python_blocks_run(page: Path, tmp_path: Path) -> None:
    at = prepared(tmp_path)
    for block in blocks(page):
        if block.language == "python" and not block.not_run:
            assert at.python(block.text), f"{block}: prints nothing"


def test_comparison_of_outputs_can_fail() -> None:
    assert matches("AUROC 0.9 [0.8, 1]\n…\nkept", "AUROC 0.91 [0.7, 1.0]\nmore\nundecided")
    assert not matches("AUROC 0.9", "AP 0.9")
    assert not matches("first\n…\nlast", "last\nfirst")
    assert shows({"score": 0.91, "label": "spam"}, {"score": 0.9, "label": "spam"}, 0.1)
    assert not shows({"score": 0.5, "label": "spam"}, {"score": 0.9, "label": "spam"}, 0.1)
    assert not shows({"label": "ham"}, {"label": "spam"}, 0.1)
    assert not shows([1], [1, 2])
