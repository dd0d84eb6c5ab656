"""The event loop of a worker.

When no descriptor is free, asyncio's loop reports each connection that it cannot accept, with a
traceback, a hundred times a second and more. uvloop reports nothing; see `descriptors`.
"""

import asyncio
import importlib
import importlib.util
import logging
from typing import Any, Final

from ..telemetry.logs import Throttle

_log = logging.getLogger("dandelion.connections")

_has_uvloop = importlib.util.find_spec("uvloop") is not None  # not on Windows
_implementation = importlib.import_module("uvloop" if _has_uvloop else "asyncio")

# The message of asyncio's report.
_CANNOT_ACCEPT: Final = "socket.accept() out of system resource"


def create() -> asyncio.AbstractEventLoop:
    """Return a new event loop, for ``uvicorn.Config(loop=…)``."""
    loop: asyncio.AbstractEventLoop = _implementation.new_event_loop()
    throttle = Throttle()

    def handle(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if context.get("message") != _CANNOT_ACCEPT or not isinstance(error, OSError):
            loop.default_exception_handler(context)
        elif throttle.is_due():
            facts = {"error": error.strerror, "count": throttle.count}
            _log.error("cannot accept connections", extra=facts)

    loop.set_exception_handler(handle)
    return loop
