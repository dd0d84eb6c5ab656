"""``dandelion reload`` and ``dandelion rollback``: ask a running service, and wait for the outcome.

Exit codes: 0 the generation serves; 1 it does not, or the service cannot be asked; 2 wrong usage.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from .local_service import NotFoundError, connections, detail, find, shown

_TIMEOUT_S: Final = 10
_POLL_S: Final = 0.1
_MAX_BYTES: Final = 2**20
# A service that stops meanwhile, or is replaced: ask again for this long.
_PATIENCE_S: Final = 10.0

_PROGRAM: Final = "dandelion"
_DESCRIPTIONS: Final = {
    "reload": "Make a running service load serving.toml, policies and artifacts again, and wait "
    "until it serves them. If anything is wrong with them, it goes on with what it serves.",
    "rollback": "Make a running service go back to what it served before the last reload, and "
    "wait until it serves that.",
}


class _FailedError(Exception):
    """The service cannot be asked, or does not do it."""


class _Service:
    """The service that is asked.

    Args:
        url: of the service; None for the one on this machine.
        key: an API key; "" for none.
    """

    def __init__(self, url: str | None, key: str) -> None:
        self._url = None if url is None else urlsplit(url)
        self._address = find() if url is None else None
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self.name = url if self._address is None else shown(self._address)

    def ask(self, method: str, path: str) -> tuple[int, bytes]:
        """Send a request; returns status and body.

        Raises:
            OSError, HTTPException: it cannot be reached.
        """
        *others, last = self._connections()
        for connect in others:
            with suppress(OSError, HTTPException):
                return self._exchange(connect(), method, path)
        return self._exchange(last(), method, path)

    def _exchange(self, connection: HTTPConnection, method: str, path: str) -> tuple[int, bytes]:
        try:
            connection.request(method, f"{self._prefix}{path}", headers=self._headers)
            response = connection.getresponse()
            return response.status, response.read(_MAX_BYTES)
        finally:
            connection.close()

    @property
    def _prefix(self) -> str:
        return "" if self._url is None else self._url.path.rstrip("/")

    def _connections(self) -> Sequence[Callable[[], HTTPConnection]]:
        if self._url is None:
            return connections(self._address or find(), _TIMEOUT_S)
        kind = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        return [partial(kind, self._url.hostname or "", self._url.port, timeout=_TIMEOUT_S)]


class RunningService:
    """The service, for commands of `dandelion` (entry point ``service`` of ``dandelion.service``).

    Args:
        url: of the service; None for the one on this machine.
        key: an API key; "" for none.
    """

    def __init__(self, url: str | None, key: str) -> None:
        self._url, self._key = url, key

    def reload(self) -> int:
        """Do what ``dandelion reload`` does; returns its exit code."""
        return _carry_out("reload", lambda: _Service(self._url, self._key))

    def get(self, path: str) -> bytes:
        """Return the body of a response with status 200.

        Raises:
            ConnectionError: the service cannot be found or reached, or responds otherwise.
        """
        try:
            service = _Service(self._url, self._key)
            status, body = service.ask("GET", path)
        except (OSError, HTTPException, NotFoundError) as error:
            raise ConnectionError(str(error) or type(error).__name__) from error
        if status != HTTPStatus.OK:
            raise ConnectionError(f"{service.name}: {path}: {status} {detail(body)}")
        return body


def reload(arguments: Sequence[str] | None = None, program: str = f"{_PROGRAM} reload") -> int:
    """Have the service load what is on disk now; returns the exit code."""
    return _run("reload", parse("reload", arguments, program))


def rollback(arguments: Sequence[str] | None = None, program: str = f"{_PROGRAM} rollback") -> int:
    """Have the service go back to what it served before; returns the exit code."""
    return _run("rollback", parse("rollback", arguments, program))


def parse(action: str, arguments: Sequence[str] | None, program: str) -> argparse.Namespace:
    """Return the options ``url`` and ``key`` of a command line.

    Raises:
        SystemExit: after help (0), or an error that has been written (2).
    """
    parser = argparse.ArgumentParser(program, description=_DESCRIPTIONS[action], allow_abbrev=False)
    parser.add_argument(
        "--url",
        help="address of the service, such as https://host/prefix. Default: the one on this "
        "machine, at DANDELION_HOST and DANDELION_PORT, or DANDELION_UDS.",
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="file with an API key of scope admin; - is standard input.",
    )
    given = parser.parse_args(arguments)
    if given.url is not None and not _is_url(given.url):
        parser.error("--url: expected one such as http://127.0.0.1:8000")
    try:
        key = _read(given.key_file) if given.key_file else ""
        key.encode("ascii")
    except (OSError, ValueError):  # which may quote the key
        parser.error(f"--key-file {given.key_file}: cannot be read")
    return argparse.Namespace(url=given.url, key=key)


def _read(path: Path) -> str:
    if str(path) == "-":
        return sys.stdin.read(_MAX_BYTES).strip()
    return path.read_text(encoding="utf-8").strip()


def _run(action: str, given: argparse.Namespace) -> int:
    return _carry_out(action, lambda: _Service(given.url, given.key))


def _carry_out(action: str, find_service: Callable[[], _Service]) -> int:
    try:
        service = find_service()
        return _report(_wait(service, _begin(service, action)))
    except (_FailedError, NotFoundError) as error:
        sys.stderr.write(" ".join(f"error: {error}".split()) + "\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("stopped waiting; the service goes on\n")
        return 130  # 128 + SIGINT, the convention of shells


def _is_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _begin(service: _Service, action: str) -> int:
    """Ask for a generation; returns its number.

    Raises:
        _FailedError: the service refuses, or cannot be reached.
    """
    try:
        status, body = service.ask("POST", f"/admin/{action}")
    except (OSError, HTTPException) as error:
        raise _FailedError(f"{service.name}: {error or type(error).__name__}") from error
    if status != HTTPStatus.ACCEPTED:
        hint = ""
        if status == HTTPStatus.NOT_FOUND:
            hint = " It changes nothing over a network without an API key of scope admin."
        raise _FailedError(f"{service.name}: {status} {detail(body)}{hint}")
    return int(_decoded(body)["generation"])


def _wait(service: _Service, generation: int) -> Mapping[str, Any]:
    """Wait for the outcome; returns the report.

    Raises:
        _FailedError: the service does not report it.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while True:
        try:
            status, body = service.ask("GET", f"/admin/reloads/{generation}")
        except (OSError, HTTPException) as error:
            problem = str(error) or type(error).__name__
        else:
            if status == HTTPStatus.OK:
                found = _decoded(body)
                if found["state"] != "loading":
                    return found
                deadline = time.monotonic() + _PATIENCE_S
            problem = f"{status} {detail(body)}"
        if time.monotonic() > deadline:
            raise _FailedError(f"{service.name}: no report of generation {generation}: {problem}")
        time.sleep(_POLL_S)


def _decoded(body: bytes) -> Mapping[str, Any]:
    try:
        found: dict[str, Any] = json.loads(body)
        return {"generation": found["generation"], "state": found["state"]} | found
    except (ValueError, KeyError, TypeError) as error:
        raise _FailedError("the response is not that of this service") from error


def _report(found: Mapping[str, Any]) -> int:
    """Write a report; returns the exit code."""
    number, state = found["generation"], found["state"]
    if state == "failed":
        sys.stderr.write(f"generation {number} failed: {found['reason']}\n")
        return 1
    restores = f", as generation {found['restores']}" if found["restores"] else ""
    lines = [f"generation {number}: {state}{restores}"]
    lines += [
        f"  {model}: {facts['variant']} {facts['version']}"
        for model, facts in sorted(found["models"].items())
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0
