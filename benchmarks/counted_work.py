"""The work whose instructions are counted: featuriser, forward pass and route of one engine.

Runs under callgrind, see `instructions`: ``python -m benchmarks.counted_work ENGINE DIRECTORY``.
The only module here that imports the service: the route is called in this process.
"""

import asyncio
import gc
import itertools
import json
import platform
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Final

import numpy as np
from starlette.types import ASGIApp, Message
from threadpoolctl import threadpool_info

from app.main import create_app
from app.settings import Settings
from app.telemetry import logs
from dandelion import Classifier
from dandelion.engines.choice import Engine

from . import artifacts
from .callgrind import CountError, Marks
from .engines import ENGINES

MODEL: Final = "spam"
CONDITIONS: Final = "conditions.json"

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

# Versions that change the figures without any change of ours.
_LIBRARIES: Final = ("numpy", "msgspec", "pydantic", "fastapi", "starlette")


def main(engine: Engine, directory: Path) -> None:
    """Do all work of one engine, each piece between marks; write the conditions as well."""
    (directory / CONDITIONS).write_text(json.dumps(_conditions()))
    logs.configure("console", "info")
    settings = Settings(artifacts=artifacts.HOME, engine=engine)
    classifier = Classifier.load(artifacts.served()[MODEL], engine)
    # A collection comes after a number of allocations, not of calls: it would make figures jump.
    gc.disable()
    marks = Marks(directory)
    for size, texts, calls in (("1 text", [TEXT], 50), ("256 texts", list(TEXTS), 4)):
        batch = classifier.encode(texts)
        marks.count(f"{engine}: featuriser, {size}", calls, partial(classifier.encode, texts))
        marks.count(f"{engine}: forward pass, {size}", calls, partial(classifier.infer, batch))
    asyncio.run(_call_route(settings, engine, marks))


async def _call_route(settings: Settings, engine: Engine, marks: Marks) -> None:
    app = create_app(settings)
    async with _started(app):
        for size, texts, calls in (("1 text", [TEXT], 50), ("256 texts", TEXTS, 4)):
            body = json.dumps({"texts": texts}).encode()
            for counted in (False, True):
                if counted:
                    marks.begin()
                for _ in range(calls):
                    status = await _status(app, "POST", f"/classify/{MODEL}", body)
                    if status != 200:
                        raise CountError(f"the response has status {status}, not 200")
            marks.end(f"{engine}: route, {size}", calls)


@asynccontextmanager
async def _started(app: ASGIApp) -> AsyncIterator[None]:
    """Run an ASGI application's lifespan inside a ``with`` block, as a server does."""
    to_app: asyncio.Queue[Message] = asyncio.Queue()
    from_app: asyncio.Queue[Message] = asyncio.Queue()
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    running = asyncio.ensure_future(app(scope, to_app.get, from_app.put))
    await to_app.put({"type": "lifespan.startup"})
    await from_app.get()
    yield
    await to_app.put({"type": "lifespan.shutdown"})
    await running


async def _status(app: ASGIApp, method: str, path: str, body: bytes = b"") -> int:
    """Send one request to an ASGI application; return the status of the response."""
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
    """Return what the figures depend on; under callgrind, which hides features of the processor."""
    versions = {}
    for name in _LIBRARIES:
        with suppress(metadata.PackageNotFoundError):
            versions[name] = metadata.version(name)
    simd = np.show_config(mode="dicts")["SIMD Extensions"]
    return {
        "Python": platform.python_version(),
        **versions,
        "processor seen by NumPy": " ".join(simd["baseline"] + simd["found"]),
        "processor seen by BLAS": " ".join(
            str(library["architecture"])
            for library in threadpool_info()
            if library["user_api"] == "blas"
        ),
    }


if __name__ == "__main__":
    (chosen,) = (engine for engine in ENGINES if engine == sys.argv[1])
    main(chosen, Path(sys.argv[2]))
