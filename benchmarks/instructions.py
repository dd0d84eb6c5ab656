"""A guard without a clock: instructions of the featuriser, the forward pass and the route.

A time measured on a shared machine cannot fail a change; a count of instructions can. Each engine
runs under ``valgrind --tool=callgrind``, which counts only between two marks around the repeated
work, so that neither starting Python nor loading a model is part of it. What is a quarter dearer
than the accepted figure fails::

    python -m benchmarks.instructions            # compares with instructions.json
    python -m benchmarks.instructions --accept   # writes it
"""

import argparse
import asyncio
import ctypes
import gc
import itertools
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from starlette.types import ASGIApp, Message
from threadpoolctl import threadpool_info

from app.main import create_app
from app.settings import PREFIX, Settings
from app.telemetry import logs
from dandelion import Classifier, serving
from dandelion.engines.choice import Engine

ROOT: Final = Path(__file__).parent.parent
ACCEPTED: Final = Path(__file__).with_suffix(".json")
ENGINES: Final[tuple[Engine, ...]] = ("compiled", "numpy")
MODEL: Final = "spam"
# One part of the accepted figure: less is what a new compiler or a new release of a library moves.
TOLERANCE: Final = 0.25

TEXT: Final = "Are we still meeting for lunch tomorrow at 12? I'll bring the maps you asked for 😊"
TEXTS: Final = tuple(
    " ".join(parts)
    for parts in itertools.product(
        (
            "Hi!",
            "Good morning Zoë,",
            "WINNER!!",
            "ok so",
            "Dear customer, your parcel no. 48213 is waiting:",
            "haha 😂😂",
            "URGENT",
            "Привет,",
        ),
        (
            "the train leaves at 7.45 from platform 3",
            "you have won a £500 voucher",
            "call 0800 555 0199 before 6pm",
            "can you pick up milk & bread on your way home?",
            "I'm running late, sorry, start without me",
            "confirm your address at http://parcels.example/48213",
            "what did she say about the weekend",
            "text STOP to 80800 to end",
        ),
        ("", "Thanks!", "xx", "Reply today, the offer ends on 31/12 and terms apply."),
    )
)

_MARKS: Final = """\
#include <valgrind/callgrind.h>
void begin(void) { CALLGRIND_START_INSTRUMENTATION; CALLGRIND_ZERO_STATS; }
void end(const char *name) { CALLGRIND_DUMP_STATS_AT(name); CALLGRIND_STOP_INSTRUMENTATION; }
"""

_DUMP: Final = re.compile(
    r"^desc: Trigger: Client Request: (.*) / (\d+)$.*?^summary: (\d+)$", re.MULTILINE | re.DOTALL
)


class CountError(Exception):
    """Nothing could be counted; the message says what is missing."""


@dataclass(frozen=True)
class Counts:
    """What was counted, and where.

    Attributes:
        conditions: what moves the figures without any change of ours: versions, processor.
        instructions: name of a piece of work → instructions of doing it once.
    """

    conditions: dict[str, str]
    instructions: dict[str, int]


def main(arguments: list[str] | None = None) -> int:
    """Compare with the accepted figures, or accept what is found; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.instructions")
    parser.add_argument("--accept", action="store_true", help=f"write {ACCEPTED.name}")
    accept = parser.parse_args(arguments).accept
    try:
        found = count()
    except CountError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    if accept:
        ACCEPTED.write_text(json.dumps(asdict(found), indent=2) + "\n", encoding="utf-8")
        sys.stdout.write(f"accepted: {ACCEPTED}\n")
        return 0
    accepted = Counts(**json.loads(ACCEPTED.read_text(encoding="utf-8")))
    sys.stdout.write(table(accepted, found))
    mistakes = dearer(accepted, found)
    sys.stdout.write("\n".join([*differences(accepted, found), *mistakes, ""]))
    return 1 if mistakes else 0


def dearer(accepted: Counts, found: Counts) -> list[str]:
    """Name each piece of work that costs a quarter more than accepted, or is not in both."""
    mistakes = []
    for name in accepted.instructions | found.instructions:
        before, now = accepted.instructions.get(name), found.instructions.get(name)
        if before is None or now is None:
            mistakes.append(f"{name}: {'not accepted yet' if before is None else 'not counted'}")
        elif now >= before * (1 + TOLERANCE):
            mistakes.append(
                f"{name}: {now:,} instructions, {now / before - 1:+.0%} over the accepted "
                f"{before:,}; less than {TOLERANCE:+.0%} is allowed"
            )
    if mistakes:
        mistakes.append(
            "Make it cheaper or, where it is worth its price, accept it and say why in the commit: "
            "make instructions ACCEPT=1"
        )
    return mistakes


def differences(accepted: Counts, found: Counts) -> list[str]:
    """Tell what is not as it was when the figures were accepted: it may explain a change."""
    there, here = accepted.conditions, found.conditions
    return [
        f"accepted with another {name}: {there.get(name)}; here: {here.get(name)}"
        for name in there | here
        if there.get(name) != here.get(name)
    ]


def table(accepted: Counts, found: Counts) -> str:
    """Write a line per piece of work: its name, the accepted and the found figure, the change."""
    lines = [f"{'instructions':<36}{'accepted':>14}{'found':>14}{'change':>8}"]
    for name, now in found.instructions.items():
        before = accepted.instructions.get(name)
        change = "new" if before is None else f"{now / before - 1:+.1%}"
        lines.append(f"{name:<36}{before or 0:>14,}{now:>14,}{change:>8}")
    return "\n".join(lines) + "\n"


def count() -> Counts:
    """Count every piece of work, each engine in a process of its own.

    Raises:
        CountError: a program is missing, or an engine cannot be run.
    """
    for program in ("valgrind", "cc"):
        if shutil.which(program) is None:
            raise CountError(
                f"{program}: no such program; on Debian: apt-get install valgrind gcc libc6-dev"
            )
    conditions = {"C compiler": _run(["cc", "--version"]).partition("\n")[0]}
    instructions: dict[str, int] = {}
    for engine in ENGINES:
        with tempfile.TemporaryDirectory() as directory:
            _run_under_callgrind(engine, Path(directory))
            conditions |= json.loads((Path(directory) / "conditions.json").read_text())
            instructions |= _read_dumps(Path(directory))
    return Counts(conditions, instructions)


def _run_under_callgrind(engine: str, directory: Path) -> None:
    (directory / "marks.c").write_text(_MARKS)
    _run(["cc", "-O2", "-shared", "-fPIC", "-o", directory / "marks.so", directory / "marks.c"])
    environment = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
    environment |= {"PYTHONHASHSEED": "0", "OPENBLAS_NUM_THREADS": "1"}
    _run(
        [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no"),
            f"--callgrind-out-file={directory / 'dump'}",
            *(sys.executable, "-c", "from benchmarks.instructions import work; work()"),
            *(engine, directory),
        ],
        environment,
    )


def _run(command: list[str | Path], environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise CountError(f"{command[0]} failed: {done.stderr[-4000:]}")
    return done.stdout


def _read_dumps(directory: Path) -> dict[str, int]:
    """Read ``NAME / CALLS`` and the instructions of all calls from each of callgrind's files."""
    found: dict[str, int] = {}
    for path in sorted(directory.glob("dump.*"), key=lambda path: int(path.suffix[1:])):
        ((name, calls, instructions),) = _DUMP.findall(path.read_text(encoding="utf-8"))
        found[name] = round(int(instructions) / int(calls))
    return found


# What runs under callgrind


def work() -> None:
    """Do all of one engine's work, every piece between marks; ``sys.argv``: engine, directory."""
    (engine,) = (one for one in ENGINES if one == sys.argv[1])
    directory = Path(sys.argv[2])
    (directory / "conditions.json").write_text(json.dumps(_conditions()))
    logs.configure("console", "info")
    settings = Settings(artifacts=ROOT / "artifacts", engine=engine)
    classifier = Classifier.load(serving.read(settings.artifacts, {})[MODEL], engine)
    # Its turns come after a number of objects, not calls: they would make the figures jump.
    gc.disable()
    marks = _Marks(directory, engine)
    for name, texts, calls in (("1 text", [TEXT], 50), ("256 texts", list(TEXTS), 4)):
        batch = classifier.encode(texts)
        marks.count(f"featuriser, {name}", calls, partial(classifier.encode, texts))
        marks.count(f"forward pass, {name}", calls, partial(classifier.infer, batch))
    asyncio.run(_work_of_the_route(settings, marks))


class _Marks:
    """Tells callgrind where work begins and ends."""

    def __init__(self, directory: Path, engine: str) -> None:
        self._library = ctypes.CDLL(str(directory / "marks.so"))
        self._engine = engine

    def begin(self) -> None:
        self._library.begin()

    def end(self, name: str, calls: int) -> None:
        self._library.end(f"{self._engine}: {name} / {calls}".encode())

    def count(self, name: str, calls: int, work: Callable[[], object]) -> None:
        for _ in range(calls):  # caches are filled, Python's bytecode is specialised
            work()
        self.begin()
        for _ in range(calls):
            work()
        self.end(name, calls)


async def _work_of_the_route(settings: Settings, marks: _Marks) -> None:
    app = create_app(settings)
    async with _started(app):
        for name, texts, calls in (("1 text", [TEXT], 50), ("256 texts", TEXTS, 4)):
            body = json.dumps({"texts": texts}).encode()
            for counted in (False, True):
                if counted:
                    marks.begin()
                for _ in range(calls):
                    status = await _status(app, "POST", f"/classify/{MODEL}", body)
                    if status != 200:
                        raise CountError(f"the route answered with {status}, not 200")
            marks.end(f"route, {name}", calls)


@asynccontextmanager
async def _started(app: ASGIApp) -> AsyncIterator[None]:
    """Start an ASGI application and stop it, as a server does."""
    orders: asyncio.Queue[Message] = asyncio.Queue()
    answers: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, orders.get, answers.put))
    await orders.put({"type": "lifespan.startup"})
    await answers.get()
    yield
    await orders.put({"type": "lifespan.shutdown"})
    await running


async def _status(app: ASGIApp, method: str, path: str, body: bytes = b"") -> int:
    """Make one request of an ASGI application; returns the answer's status."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "scheme": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": b"",
        "headers": [
            (b"host", b"127.0.0.1:8000"),
            (b"content-type", b"application/json"),
            (b"content-length", str(len(body)).encode()),
        ],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
    }
    statuses: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    await app(scope, receive, send)
    return statuses[0]


def _conditions() -> dict[str, str]:
    """Describe what the figures depend on; asked under callgrind, which hides parts of a CPU."""
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "Python": platform.python_version(),
        **{name: metadata.version(name) for name in ("numpy", "pydantic", "fastapi", "starlette")},
        "processor seen by NumPy": " ".join(simd["baseline"] + simd["found"]),
        "processor seen by BLAS": " ".join(
            str(library["architecture"])
            for library in threadpool_info()
            if library["user_api"] == "blas"
        ),
    }


if __name__ == "__main__":
    sys.exit(main())
