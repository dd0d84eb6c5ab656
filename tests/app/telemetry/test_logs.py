"""Log lines hold no text, even if somebody else logs a traceback."""

import logging

import pytest

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
