"""Log lines, for the console or as JSON. No line contains a text that a client sent.

So a traceback, whoever logs it, is written as the types and places of its errors: their messages
and the lines of code may quote a text.
"""

import json
import logging
import logging.config
import re
import time
import traceback
from types import TracebackType
from typing import Final, Literal

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

# `color_message`: uvicorn's second copy of a message.
_NOT_EXTRAS = [*RESERVED_ATTRS, "color_message"]

# What could end a value, begin another field or begin a quoted value.
_NEEDS_QUOTES: Final = re.compile(r"[\s=\"'\\]")

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType | None]


class _Discreet(logging.Formatter):
    """Formats an error without its message."""

    def formatException(self, ei: ErrorInfo | tuple[None, None, None]) -> str:  # noqa: N802
        """Return the type of each error in the chain, the last one first, and its places."""
        lines: list[str] = []
        error = ei[1]
        seen: set[int] = set()
        while error is not None and id(error) not in seen:
            seen.add(id(error))
            lines += [type(error).__qualname__, *map("  {}".format, where(error.__traceback__))]
            error = error.__cause__ or error.__context__
        return "\n".join(lines)


class ConsoleFormatter(_Discreet):
    """Formats a line for people: time, level, message, then each extra as ``key=value``.

    A value that could be taken for several fields is quoted, as a JSON string.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Format ``record``."""
        extras = [
            f"{key}={_quoted_if_necessary(str(value))}"
            for key, value in vars(record).items()
            if key not in _NOT_EXTRAS
        ]
        return " ".join([super().format(record), *extras])


def _quoted_if_necessary(value: str) -> str:
    if not value.isprintable():  # control characters, line separators, surrogates
        return json.dumps(value)
    if not value or _NEEDS_QUOTES.search(value):
        return json.dumps(value, ensure_ascii=False)
    return value


class DiscreetJsonFormatter(_Discreet, JsonFormatter):
    """Formats a line for programs."""


def configure(log_format: Literal["console", "json"], level: str) -> None:
    """Write every log line to standard error in one format.

    Args:
        log_format: ``console`` for people, ``json`` for programs.
        level: the least severe lines that are written: debug, info, warning, error.
    """
    formatters = {
        "console": {
            "()": ConsoleFormatter,
            "format": "%(asctime)s %(levelname)-7s %(message)s",
        },
        "json": {
            "()": DiscreetJsonFormatter,
            "format": "%(levelname)s %(name)s %(message)s",
            "rename_fields": {"levelname": "level", "name": "logger"},
            "reserved_attrs": _NOT_EXTRAS,
            "timestamp": True,
        },
    }
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"chosen": formatters[log_format]},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "chosen"}},
            "root": {"handlers": ["stderr"], "level": level.upper()},
        }
    )


def where(trace: TracebackType | None) -> list[str]:
    """Return the places of a traceback, innermost last, without the error's message.

    The message is left out because it may quote what a client sent.
    """
    return [
        f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(trace)
    ]


class Throttle:
    """Limits how often the same problem is logged.

    Args:
        interval_s: seconds between two lines at least.

    Attributes:
        count: times that the problem has occurred.
    """

    def __init__(self, interval_s: float = 10) -> None:
        self._interval_s = interval_s
        self._next = 0.0
        self.count = 0

    def is_due(self) -> bool:
        """Count the problem; returns whether a line is due."""
        self.count += 1
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._interval_s
        return True
