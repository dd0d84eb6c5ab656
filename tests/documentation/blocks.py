"""The fenced blocks of the documentation, and how a page is run: a shell, Python and a service."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from markdown_it import MarkdownIt

from ..conftest import PATIENCE_S, ROOT

MARKER: Final = re.compile(r"<!-- not run: (.+?) -->\s*")

_SERVES: Final = re.compile(r"\bdandelion serve\b")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: its file.
        line: where it starts, from 1.
        language: the info string.
        text: the content.
        not_run: the reason why it is not run, from the comment in front of it; else "".
    """

    page: Path
    line: int
    language: str
    text: str
    not_run: str

    @property
    def commands(self) -> list[str]:
        """The commands of a console block, each in one line."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.removeprefix("$ ") for line in lines]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in their order, those in lists, too."""
    found = []
    reason = ""
    for token in MarkdownIt("commonmark").parse(page.read_text(encoding="utf-8")):
        if token.type == "html_block":
            marker = MARKER.fullmatch(token.content.strip())
            reason = marker[1] if marker else ""
        elif token.type == "fence":
            line = token.map[0] + 1 if token.map else 0
            found.append(Block(page, line, token.info.strip(), token.content, reason))
            reason = ""
        elif token.type.endswith("_open"):
            reason = ""
    return found


def matches(shown: str, output: str) -> bool:
    """Whether a page shows this output: "…" stands for anything, and numbers may differ."""
    return bool(re.search(_pattern(shown), _loose(output), re.DOTALL))


def _pattern(shown: str) -> str:
    parts = re.split(r"\s*…\s*", _loose(shown))
    return ".*?".join(re.escape(part) for part in parts)


def _loose(text: str) -> str:
    """Return text in which numbers, versions and verdicts, and white space, are all alike."""
    text = re.sub(r"\b[0-9a-f]{12}\b", "VERSION", text)
    text = re.sub(r"[-−]?\d[\d.,]*(?<![.,])", "#", text)
    text = re.sub(r"\b(?:kept|broken|undecided)\b", "VERDICT", text)
    return " ".join(text.split())


def shows(shown: Any, response: Any, tolerance: float = 0.0) -> bool:
    """Whether a page shows this response; "…" there stands for a value, or items, left out."""
    match shown, response:
        case "…", _:
            return True
        case float(), int() | float():
            return abs(shown - response) <= tolerance
        case dict(), dict():
            return shown.keys() == response.keys() and all(
                shows(shown[key], response[key], tolerance) for key in shown
            )
        case list(), list():
            return len(shown) == len(response) and all(
                shows(one, other, tolerance) for one, other in zip(shown, response, strict=True)
            )
    return bool(shown == response)


@dataclass
class Shell:
    """Runs commands of a page as a reader does, in a directory of its own.

    `dandelion` and `python` are those of this environment. `make` shows what it would do, and `pip`
    checks what it is asked for: the packaging tests install the package. `dandelion serve` starts a
    service on a free port, which the commands and requests after it reach.
    """

    directory: Path
    environment: dict[str, str]
    service: subprocess.Popen[bytes] | None = None
    address: str = ""
    output: str = ""

    def run(self, command: str) -> str:
        """Run a command; returns what it wrote."""
        if _SERVES.search(command):
            self.output = self.serve(command)
            return self.output
        command = command.replace("localhost:8000", self.address)
        if command.startswith("curl "):
            command += " --silent --show-error"
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=PATIENCE_S * 5,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}"
        self.output = done.stdout
        return done.stdout

    def python(self, block: str) -> str:
        """Run a block of Python in the same names as those before it; returns what it wrote."""
        code = f"import os\nos.chdir({str(self.directory)!r})\n" + block
        self.output = self.run(f"python -c {shlex.quote(code)}")
        return self.output

    def serve(self, command: str) -> str:
        """Start the service and wait until it is ready; returns its log."""
        self.stop()
        command = re.sub(r"(--port[ =]|DANDELION_PORT=)\d+", r"\g<1>0", command)
        log = self.directory / "service.log"
        with log.open("wb") as file:
            self.service = subprocess.Popen(
                ["bash", "-c", f"exec env {command}" if "=" in command else command],
                cwd=self.directory,
                env=self.environment | {"DANDELION_PORT": "0", "DANDELION_DRAIN_S": "0"},
                stderr=file,
                start_new_session=True,
            )
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(r"\bready\b", log.read_text()):
            assert self.service.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        (port,) = set(re.findall(r"http://[^\s\"]+?:(\d+)", log.read_text()))
        self.address = f"127.0.0.1:{port}"
        self.environment["DANDELION_PORT"] = port
        return log.read_text()

    def stop(self) -> None:
        """Stop the service, if there is one."""
        if self.service is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.service.pid, signal.SIGTERM)
            self.service.wait(PATIENCE_S)
            self.service = None


_PROGRAMS: Final[Mapping[str, str]] = {
    "dandelion": 'exec {python} -m dandelion.command "$@"',
    "python": 'exec {python} "$@"',
    "make": 'exec {make} --dry-run --directory {root} "$@"',
    "pip": 'exec {python} {root}/tests/documentation/pip_arguments.py "$@"',
}


def shell(directory: Path, make: str, **variables: str) -> Shell:
    """Return a shell whose programs are those of this checkout."""
    programs = directory / ".programs"
    programs.mkdir()
    for name, line in _PROGRAMS.items():
        program = programs / name
        line = line.format(python=sys.executable, make=make, root=ROOT)  # noqa: PLW2901
        program.write_text(f"#!/bin/sh\n{line}\n")
        program.chmod(0o755)
    inherited = {name: value for name, value in os.environ.items() if "DANDELION_" not in name}
    inherited = {name: value for name, value in inherited.items() if not name.startswith("MAKE")}
    environment = inherited | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        **variables,
    }
    return Shell(directory, environment)


def run_page(page: Path, at: Shell) -> Iterator[tuple[Block, str]]:
    """Run a whole page, block by block, and compare what it shows; yields each with its output."""
    is_python = False
    for block in blocks(page):
        if block.not_run:
            continue
        match block.language:
            case "console":
                output = "".join(at.run(command) for command in block.commands)
            case "python":
                output = at.python(block.text)
            case "text":
                # What Python computes from the page alone is the same everywhere.
                same = block.text == at.output if is_python else matches(block.text, at.output)
                assert same, f"{block}\n{at.output}"
                output = at.output
            case "json":
                response = json.loads(at.output)
                assert shows(_anonymous(json.loads(block.text)), _anonymous(response), 0.1), block
                output = at.output
            case "toml" if "[models" in block.text:
                (at.directory / "artifacts" / "serving.toml").write_text(block.text)
                output = ""
            case "toml":
                output = ""
            case other:
                raise AssertionError(f"{block}: nothing runs {other!r}")
        is_python = block.language == "python"
        yield block, output


def _anonymous(response: Any) -> Any:
    """Leave out the version: training elsewhere gives another one."""
    return response | {"version": ""} if isinstance(response, dict) else response
