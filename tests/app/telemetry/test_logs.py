"""Log lines hold no text, even if somebody else logs a traceback."""

import json
import logging
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.telemetry import logs

from ..contract import CANARY


@pytest.mark.parametrize("formatter", [logs.ConsoleFormatter, logs.DiscreetJsonFormatter])
def test_a_traceback_is_written_without_messages(formatter: type[logging.Formatter]) -> None:
    def fail() -> None:
        try:
            raise LookupError(CANARY)  # noqa: TRY301
        except LookupError as error:
            raise ValueError(f"{CANARY} again") from error

    try:
        fail()
    except ValueError as error:
        record = logging.LogRecord(
            "uvicorn.error",
            logging.ERROR,
            __file__,
            1,
            "Exception in ASGI application",
            (),
            (type(error), error, error.__traceback__),
        )
    line = formatter("%(message)s").format(record)
    assert CANARY not in line
    assert "ValueError" in line
    assert "LookupError" in line
    assert "test_logs.py" in line


def console(**extras: object) -> str:
    record = logging.LogRecord("dandelion", logging.INFO, __file__, 1, "request", (), None)
    vars(record).update(extras)
    return logs.ConsoleFormatter("%(message)s").format(record)


@given(st.text() | st.text("ab=\"'\\ \n"), st.text())
@example("9.9.9.9 status=500 model=evil", "")
@example("a\nERROR forged", "\u2028\ud800\x1b[31m")
def test_no_value_in_the_console_looks_like_another_field(one: str, other: str) -> None:
    line = console(one=one, other=other)
    assert line.isprintable()
    found = re.fullmatch(r'request one=("(?:[^"\\]|\\.)*"|[^\s="]+) other=(.*)', line)
    assert found is not None
    for written, value in zip(found.groups(), (one, other), strict=True):
        assert (json.loads(written) if written.startswith('"') else written) == value


def test_plain_values_in_the_console_are_not_quoted() -> None:
    line = console(model="spam", status=200, duration_ms=0.25, client="2001:db8::7", path="/a,b")
    assert line == "request model=spam status=200 duration_ms=0.25 client=2001:db8::7 path=/a,b"
