"""The event loop of a worker: what it logs of connections that it cannot accept."""

import errno
import logging

import pytest

from app.connections import event_loop


def test_few_lines_are_logged_where_many_connections_cannot_be_accepted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loop = event_loop.create()
    try:
        for _ in range(1000):
            loop.call_exception_handler(
                {
                    "message": "socket.accept() out of system resource",
                    "exception": OSError(errno.EMFILE, "Too many open files"),
                }
            )
        (line,) = caplog.records
        assert line.getMessage() == "cannot accept connections"
        assert line.levelno == logging.ERROR
        assert vars(line)["error"] == "Too many open files"
        assert line.exc_info is None
        loop.call_exception_handler({"message": "another one"})
        assert caplog.records[-1].getMessage() == "another one"
    finally:
        loop.close()
