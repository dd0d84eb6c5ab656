"""What README, CONTRIBUTING and the guide say is what the code does, and the reverse."""

import csv
import gzip
import importlib
import inspect
import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest
import typer
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

import dandelion
from app import settings
from app.protocols.choice import PROTOCOLS
from training import cli
from training.losses.registry import LOSSES

from .conftest import PATIENCE_S, ROOT, Service, StartService

GUIDE: Final = sorted((ROOT / "docs" / "guide").glob("*.md"))
PAGES: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs" / "README.md", *GUIDE]
# Those that programs write are checked for links alone.
ALL_PAGES: Final = sorted({*PAGES, ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")})

TEXT: Final = {page: page.read_text(encoding="utf-8") for page in ALL_PAGES}
PROSE: Final = {
    page: re.sub(r"^ *```.*?^ *```$", "", text, flags=re.DOTALL | re.MULTILINE)
    for page, text in TEXT.items()
}
CONFIGURATION, HTTP_API, LOSSES_PAGE, MONITORING, OPERATING = (
    TEXT[ROOT / "docs" / "guide" / f"{name}.md"]
    for name in ("configuration", "http-api", "losses", "monitoring", "operating")
)

MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")

# Programs of others, whose options are not ours to check.
FOREIGN: Final = {
    *("docker", "kubectl", "nginx", "journalctl", "systemctl", "useradd", "for", "chown", "chmod"),
    *("pip", "/opt/dandelion/bin/pip", "python3", "cp", "echo", "mkdir", "printf", "grep", "{"),
    *("cat", "head", "openssl"),
}


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", TEXT[page], re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", block, flags=re.MULTILINE) for indent, block in found]


def rows(text: str, first: str) -> list[list[str]]:
    """Return the cells of the one table whose header starts with ``first``."""
    (table,) = re.findall(rf"^\| {first} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in table.splitlines()]


def in_code(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@dataclass(frozen=True, slots=True)
class Command:
    """A command of a page, taken apart as a shell would."""

    page: Path
    line: str
    environment: dict[str, str]
    words: list[str]

    @property
    def program(self) -> str:
        name = self.words[0].removeprefix(".venv/bin/")
        return "dandelion" if name == "/opt/dandelion/bin/dandelion" else name

    @property
    def module(self) -> str:
        """The module of ``python -m …``, else ""."""
        return self.words[2] if self.program == "python" and self.words[1] == "-m" else ""

    def __str__(self) -> str:
        return f"{name_of(self.page)}: {' '.join(self.words)}"


def parsed(page: Path, line: str) -> Command:
    words = shlex.split(line.partition(" < ")[0], comments=True)
    environment = {}
    while "=" in words[0]:
        variable, _, value = words.pop(0).partition("=")
        environment[variable] = value
    return Command(page, line, environment, words)


def commands() -> Iterator[Command]:
    for page in PAGES:
        for block in blocks(page, "console"):
            for line in block.replace("\\\n", " ").splitlines():
                assert line.startswith("$ "), f"{name_of(page)}: {line}"
                for part in line.removeprefix("$ ").split(" | "):
                    yield parsed(page, part.partition(" > ")[0])


COMMANDS: Final = list(commands())
# Commands in the middle of a sentence are checked too.
MENTIONED: Final = [
    parsed(page, line)
    for page in PAGES
    for code in re.findall(r"`([^`]+)`", PROSE[page])
    for line in re.findall(r"^(?:make|dandelion|python -m|\.venv/bin/python) [^<…]+$", code)
]


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The committed artifacts, with the policies, variants and shadow that pages configure."""
    directory = tmp_path_factory.mktemp("artifacts")
    for model in (ROOT / "artifacts").iterdir():
        if model.is_dir():
            (directory / model.name).symlink_to(model)
    committed = (ROOT / "artifacts" / "serving.toml").read_text(encoding="utf-8")
    guide = ROOT / "docs" / "guide"
    (policies,) = blocks(guide / "http-api.md", "toml")
    (others,) = (one for one in blocks(guide / "configuration.md", "toml") if "shadow = " in one)
    configured = f"{policies}\n{others}"
    for model in tomllib.loads(configured)["models"]:
        committed = re.sub(rf"^{model} = .*\n", "", committed, flags=re.MULTILINE)
    (directory / "serving.toml").write_text(f"{committed}\n{configured}", encoding="utf-8")
    return directory


@pytest.fixture(scope="module")
def service(start_shared: StartService, artifacts: Path) -> Service:
    service = start_shared(artifacts=artifacts, protocols=",".join(PROTOCOLS))
    service.wait_until_ready()
    return service


@pytest.mark.parametrize(
    ("page", "block"),
    [(page, block) for page in PAGES for block in blocks(page, "python")],
    ids=lambda value: name_of(value) if isinstance(value, Path) else "block",
)
def test_python_block_runs(service: Service, page: Path, block: str) -> None:
    block = block.replace("localhost:8000", service.url.removeprefix("http://"))
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def rounded(value: Any) -> Any:
    """Round every number of a response to four decimal places, as the pages do."""
    match value:
        case float():
            return round(value, 4)
        case dict():
            return {key: rounded(inner) for key, inner in value.items()}
        case list():
            return [rounded(inner) for inner in value]
    return value


def shows(shown: Any, response: Any) -> bool:
    """Whether a page shows this response; "…" there stands for a value, or items, left out."""
    match shown, response:
        case "…", _:
            return True
        case dict(), dict():
            return shown.keys() == response.keys() and all(
                shows(shown[key], response[key]) for key in shown
            )
        case ["…", *rest], list():
            return any(shows(rest, response[start:]) for start in range(len(response) + 1))
        case [first, *rest], [head, *tail]:
            return shows(first, head) and shows(rest, tail)
    return bool(shown == response)


def test_what_a_page_shows_can_differ_from_the_response() -> None:
    whole = {"id": 7, "points": [1, 2, 3]}
    assert shows({"id": "…", "points": ["…", 2, "…"]}, whole)
    assert shows({"id": 7, "points": [1, "…"]}, whole)
    assert not shows({"id": 7, "points": ["…", 2]}, whole)
    assert not shows({"id": 7, "points": ["…", 4, "…"]}, whole)
    assert not shows({"id": 8, "points": [1, 2, 3]}, whole)
    assert not shows({"id": 7}, whole)


def requests() -> list[tuple[Path, str, str | None]]:
    """Return every call of curl, and the response that its page shows next."""
    found = []
    for page in PAGES:
        pattern = r"^```(console|jsonc?)\n(.*?)^```$"
        shown = re.findall(pattern, TEXT[page], re.DOTALL | re.MULTILINE)
        asked = [
            (language.removesuffix("c"), re.sub(r" +//.*$", "", block, flags=re.MULTILINE))
            if language == "jsonc"
            else (language, block)
            for language, block in shown
            if language != "console" or "$ curl " in block
        ]
        for (language, block), (following, response) in pairwise([*asked, ("", "")]):
            if language == "console":
                lines = block.replace("\\\n", " ").splitlines()
                found += [(page, line.removeprefix("$ "), None) for line in lines[:-1]]
                last = lines[-1].removeprefix("$ ")
                found.append((page, last, response if following == "json" else None))
    return found


def test_every_response_belongs_to_a_request() -> None:
    # What is marked as not run is a part of a response.
    shown = sum(
        len(re.findall(r"(?<!-->\n)^```jsonc?$", TEXT[page], re.MULTILINE)) for page in PAGES
    )
    assert shown == sum(response is not None for _, _, response in requests()) > 1


@pytest.mark.parametrize(("page", "command", "response"), requests())
def test_request_has_the_response_that_is_shown(
    service: Service, page: Path, command: str, response: str | None
) -> None:
    assert re.match(r"curl '?localhost:8000/", command)
    command = command.replace("localhost:8000", service.url.removeprefix("http://"))
    done = subprocess.run(
        ["bash", "-c", f"{command} --silent --show-error"],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    if response is not None:
        assert shows(json.loads(response), rounded(json.loads(done.stdout))), done.stdout


def test_readme_is_short() -> None:
    assert len(TEXT[ROOT / "README.md"].splitlines()) <= 130


def test_settings_table_is_printed_from_the_class() -> None:
    assert settings.table() in CONFIGURATION


def test_every_environment_variable_exists() -> None:
    fields = {f"{settings.PREFIX}{name.upper()}" for name in settings.Settings.model_fields}
    fields.add("DANDELION_API_KEY")  # of the reader's shell, in requests that the page shows
    for page in PAGES:
        for variable in re.findall(rf"\b{settings.PREFIX}[A-Z_]+\b", TEXT[page]):
            assert variable.partition("__")[0] in fields, f"{name_of(page)}: {variable}"
    used = {variable for command in COMMANDS for variable in command.environment}
    used = {variable for variable in used if not variable.startswith("OTEL_")}  # OpenTelemetry's
    assert all(variable.partition("__")[0] in fields for variable in used)


def test_every_variable_that_is_read_is_documented() -> None:
    sources = [
        path.read_text(encoding="utf-8")
        for package in ("dandelion", "app", "training", "study")
        for path in (ROOT / package).rglob("*.py")
    ]
    read = set(re.findall(r'environ(?:\.get\(|\.pop\(|\[)"([A-Z_]+)"', "\n".join(sources)))
    (_, training) = CONFIGURATION.split("\n## Training\n")
    assert {name for row in rows(training, "variable") for name in in_code(row[0])} == read


def test_series_are_those_of_the_service(service: Service) -> None:
    exposed: dict[str, tuple[set[str] | None, str]] = {}
    for family in text_string_to_metric_families(service.get("/metrics").text):
        if family.name.startswith("dandelion_"):
            labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            suffix = "_total" if family.type == "counter" else ""
            # None while there is no series, as those of keys where none are configured.
            exposed[family.name + suffix] = (labels if family.samples else None, family.type)
    documented = {}
    for cells in rows(MONITORING, "series"):
        (series,) = in_code(cells[0])
        name, _, given = series.rstrip("}").partition("{")
        labels = set(filter(None, given.split(",")))
        is_shown = exposed.get(name, (labels,))[0] is not None
        documented[name] = (labels if is_shown else None, cells[1])
    assert documented == exposed


def test_queries_use_series_of_the_service(service: Service) -> None:
    samples = {
        sample.name
        for family in text_string_to_metric_families(service.get("/metrics").text)
        for sample in family.samples
    }
    for page in PAGES:
        for query in blocks(page, "promql"):
            used = set(re.findall(r"\bdandelion_[a-z_]+", query))
            assert used
            assert used <= samples


def test_routes_and_statuses_are_those_of_the_service(service: Service) -> None:
    description = service.get("/openapi.json").json()
    routes = {
        f"{method.upper()} {path}"
        for path, operations in description["paths"].items()
        for method in operations
        if not path.startswith("/classify/") or "{" in path  # of one model with more labels
    }
    assert {name for row in rows(HTTP_API, "route") for name in in_code(row[0])} == routes
    classify = description["paths"]["/classify/{model}"]["post"]
    statuses = {int(status) for status in classify["responses"]} - {200}
    assert {int(row[0]) for row in rows(HTTP_API, "status")} == statuses
    schema = classify["requestBody"]["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = description["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    (request,) = re.findall(r"^## Request\n.*?^## ", HTTP_API, re.DOTALL | re.MULTILINE)
    fields = [name for row in rows(request, "field") for name in in_code(row[0])]
    assert fields == list(schema["properties"])


def test_losses_are_those_of_the_registry() -> None:
    documented = {}
    for cells in rows(LOSSES_PAGE, "loss"):
        (name,) = in_code(cells[0])
        options = tomllib.loads("\n".join(in_code(cells[2])))
        documented[name] = (cells[1], options)
    registered = {}
    for name, loss in LOSSES.items():
        options = {
            parameter.name: parameter.default
            for parameter in inspect.signature(loss.function).parameters.values()
            if parameter.kind is parameter.KEYWORD_ONLY
        }
        registered[name] = ("two" if loss.task == "binary" else "more", options)
    assert documented == registered


def test_extras_are_documented() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = set(tomllib.load(file)["project"]["optional-dependencies"])
    (rows,) = re.findall(r"\| extra \|.*?\n\n", OPERATING, re.DOTALL)
    assert set(in_code(rows)) == extras


def check_make(command: Command) -> None:
    _, *words = command.words
    for word in words:
        variable, is_set, _ = word.partition("=")
        pattern = rf"\$\({variable}\)|\$\(if \$\({variable}\)" if is_set else rf"(?m)^{word}:"
        assert re.search(pattern, MAKEFILE), command.line


def check_typer(
    app: typer.Typer, arguments: list[str], line: str, *, is_mention: bool = False
) -> None:
    group: Any = typer.main.get_command(app)
    name, *options = arguments
    assert name in group.commands, line
    command = group.commands[name]
    while options and options[0] in getattr(command, "commands", {}):
        command = command.commands[options.pop(0)]
    if is_mention:  # an example may leave out what is required
        known = {option for one in command.params for option in one.opts}
        assert {word for word in options if word.startswith("--")} <= known, line
    else:
        command.make_context(name, options)  # raises: no such option, or a bad value


def check(command: Command, *, is_mention: bool = False) -> None:
    """Fail if a command names a program, subcommand, option, variable or file that is not there."""
    if command.program == "make":
        check_make(command)
    elif command.program == "dandelion":
        _, name, *arguments = command.words
        if name in {"train", "retrain"}:
            check_typer(cli.app, [name, *arguments], command.line, is_mention=is_mention)
        elif name == "serve":
            options = importlib.import_module("app.options")
            settings.load(options.parse(arguments, command.line))
        elif name in {"reload", "rollback"}:
            importlib.import_module("app.reloading").parse(name, arguments, command.line)
        else:
            console = importlib.import_module("dandelion.command")
            check_typer(console.app, [name, *arguments], command.line, is_mention=is_mention)
    elif command.module in {"training", "study"}:
        app = importlib.import_module(f"{command.module}.cli").app
        if command.words[3:]:
            check_typer(app, command.words[3:], command.line, is_mention=is_mention)
    elif command.module == "pytest":
        paths = [word for word in command.words if word.startswith("tests/")]
        assert paths
        assert all((ROOT / path).exists() for path in paths), command.line
    elif command.module:
        assert importlib.util.find_spec(command.module), command.line
    elif command.program == "python":
        assert (ROOT / command.words[1]).exists(), command.line
    else:
        assert command.program in FOREIGN | {"curl", "."}, command.line


@pytest.mark.parametrize("command", [*COMMANDS, *MENTIONED], ids=str)
def test_command_exists(command: Command) -> None:
    check(command, is_mention=command in MENTIONED)


def test_checks_of_commands_can_fail() -> None:
    for line in (
        "make serv",
        "make serve WRKERS=2",
        "python -m training trian",
        "python -m training train --modle spam",
        "python -m training train --seed=-1",
        "python -m nothing",
        "python examples/none.py",
        "npm install",
    ):
        with pytest.raises(Exception, match=r"."):
            check(parsed(PAGES[0], line))


def test_every_command_is_documented() -> None:
    text = "\n".join(TEXT[page] for page in PAGES)
    for target in re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE):
        assert re.search(rf"\bmake {target}\b", text), target
    for module in ("training.cli", "study.cli", "dandelion.command"):
        group: Any = typer.main.get_command(importlib.import_module(module).app)
        program = "dandelion" if module == "dandelion.command" else f"python -m {module[:-4]}"
        for name in group.commands:
            assert re.search(rf"\b({program}|make) {name}\b", text), f"{program} {name}"


def test_commands_that_train_run(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The guide's commands in their order, each for one epoch."""
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("DATA_DIR", str(ROOT / data_dir))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    with (tmp_path / "mine.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["body", "label", "toxic"])
        for number in range(120):
            noun = f"{number:b}".translate({ord("0"): "la", ord("1"): "lo"})
            kind = ("abusive", "nasty") if number % 3 else ("fine", "kind")
            writer.writerow([f"a {kind[1]} message about {noun}", kind[0], number % 2])
    shutil.copy(tmp_path / "mine.csv", tmp_path / "forum.csv")
    table = (tmp_path / "mine.csv").read_text().replace(",", "\t")
    (tmp_path / "labelled.tsv").write_text(table.replace("body", "text"))
    with gzip.open(tmp_path / "chat.jsonl.gz", "wt") as packed:
        packed.write('{"body": "a kind message about tea", "label": "fine"}\n')
    lines = []
    for command in COMMANDS:
        given = command.words[1:] if command.program == "dandelion" else command.words[3:]
        is_module = command.module == "training" and given[0] in {"train", "evaluate"}
        # With an operating point, five folds are fitted: the tutorial does that.
        is_train = command.program == "dandelion" and given[0] == "train"
        if is_module or (is_train and "--operating-point" not in given):
            lines.append(command.line)
            if lines.count(command.line) == 1:
                words = [re.sub(r"^epochs=\d+$", "epochs=1", word) for word in given]
                is_fit = words[0] == "train" and "epochs=1" not in words
                arguments = [*words, "--set=epochs=1"] if is_fit else words
                done = CliRunner().invoke(cli.app, arguments)
                assert done.exit_code == 0, f"{command.line}\n{done.output}"
    assert len(lines) > 4


def test_console_commands_run() -> None:
    names = []
    for command in COMMANDS:
        # The guide on thresholds is run as a whole: tests/test_examples.py. `keys` writes a file.
        elsewhere = {"serve", "train", "sample", "evaluate", "estimate-prior", "policy", "keys"}
        elsewhere |= {"reload", "rollback"}  # of a service that runs: tests/app/workers
        elsewhere |= {"retrain", "promote"}  # tests/deploy/test_feedback.py
        elsewhere |= {"score"}  # its files: tests/documentation/test_blocks.py
        if any("://" in word for word in command.words):
            continue  # with an object store: tests/app/test_object_store.py
        if command.program == "dandelion" and command.words[1] not in elsewhere:
            names.append(command.words[1])
            done = subprocess.run(
                [sys.executable, "-m", "dandelion.command", *command.words[1:]],
                cwd=ROOT,
                input="Lunch at 12?\n",
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            assert done.stdout
    assert set(names) == {"models", "classify"}


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives to a page's headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", PROSE[page], re.MULTILINE):
        plain = re.sub(r"\[([^]]+)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        number = 0
        while (numbered := f"{anchor}-{number}" if number else anchor) in found:
            number += 1
        found.add(numbered)
    return found


@pytest.mark.parametrize("page", ALL_PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", TEXT[page]):
        target, _, anchor = link.partition("#")
        if target.startswith("http"):
            continue
        linked = (page.parent / target).resolve() if target else page
        assert linked.exists(), link
        if anchor:
            assert anchor in anchors(linked), link


def test_index_lists_every_page() -> None:
    index = TEXT[ROOT / "docs" / "README.md"]
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        path = str(page.relative_to(ROOT / "docs"))
        assert path == "README.md" or f"]({path})" in index, path


ROOMS: Final = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}


def paths_in(text: str) -> list[str]:
    """Return the paths in backticks that start with a directory of this repository."""
    found = [word for code in in_code(text) for word in code.split()]
    return [
        word
        for word in found
        if re.fullmatch(r"[\w.-]+(/[\w.*-]*)+", word) and word.split("/")[0] in ROOMS
    ]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_named_files_exist(page: Path) -> None:
    for path in paths_in(PROSE[page]):
        # Those of the examples `abuse` and `tversky` exist once a reader has trained them.
        assert path.startswith("artifacts/") or list(ROOT.glob(path.rstrip("/"))), path


@pytest.mark.parametrize(
    "cells", rows(TEXT[ROOT / "CONTRIBUTING.md"], "question"), ids=lambda cells: cells[0]
)
def test_things_are_where_contributing_says(cells: list[str]) -> None:
    place = cells[1]
    sources = []
    for path in paths_in(place):
        found = ROOT / path
        files = found.rglob("*.py") if found.is_dir() else [found]
        sources += [file.read_text(encoding="utf-8") for file in files]
    assert sources
    for name in set(in_code(place)) - set(paths_in(place)):
        defined = rf"^ *(class|def) {name}\b|^{name}\b"
        assert re.search(defined, "\n".join(sources), re.MULTILINE), name


def test_house_has_these_rooms() -> None:
    (tree,) = blocks(ROOT / "CONTRIBUTING.md", "text")
    rooms: dict[str, set[str]] = {}
    for line in tree.splitlines():
        name = line.split()[0]
        if line[0] != " ":
            room = rooms.setdefault(name.rstrip("/"), set())
        else:
            room.add(name.rstrip("/"))
    assert all((ROOT / room).is_dir() for room in rooms)
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= set(rooms)
    for package in ("dandelion", "app", "training"):
        assert all((ROOT / package / name).exists() for name in rooms[package])
        inner = {path.parent.name for path in (ROOT / package).glob("*/*.py")}
        assert {name for name in rooms[package] if "." not in name} == inner


def test_changelog_is_about_this_version() -> None:
    (version, *_) = re.findall(r"^## \[(.+?)\]", TEXT[ROOT / "CHANGELOG.md"], re.MULTILINE)
    assert version == metadata.version("dandelion-text")


def test_public_names_exist() -> None:
    assert all(hasattr(dandelion, name) for name in dandelion.__all__)
    assert sorted(dandelion.__all__) == dandelion.__all__
