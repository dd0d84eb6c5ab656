"""Check whether the service is ready: ``python -m app.probe``, for a container's health check.

It asks the service that is process 1, as in a container, where that listens; else the one at the
configured address. The service listens only once its models are loaded: until then the connection
is refused, which counts as not ready. A service that cannot classify now, or that drains because it
will stop, responds with 503.
"""

import json
import os
import socket
import sys
from collections.abc import Mapping
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from .address import DEFAULT_HOST, DEFAULT_PORT, parse_host, parse_port, parse_uds
from .service_links import is_service_link
from .workers.announcement import Address, announced

# Restated: importing the settings takes longer than the whole probe.
_PREFIX: Final = "DANDELION_"

_TIMEOUT_S: Final = 2
_MAX_BYTES: Final = 4096


class NotReadyError(Exception):
    """The service is not ready, or cannot be found."""


class _UnixConnection(HTTPConnection):
    """An HTTP connection through a Unix domain socket."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket."""
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def main() -> int:
    """Return the exit code: 0 if the service on this machine is ready, else 1, with a reason."""
    try:
        _check(_address())
    except NotReadyError as error:
        sys.stderr.write(" ".join(f"not ready: {error}".split()) + "\n")
        return 1
    return 0


def _address() -> Address:
    """Return where the service listens."""
    for address in announced([1]):
        return address
    host, port, uds = configured(os.environ)
    if uds:
        return Address(host, 0, 0, str(uds))
    if port:
        return Address(host, port, port)
    found = [each for each in announced() if (each.host, each.port) == (host, 0)]
    if len(found) != 1:
        number = len(found) or "no"
        raise NotReadyError(
            f"port 0 is any port, and {number} services run here with it; set {_PREFIX}PORT"
        )
    return found[0]


def configured(environ: Mapping[str, str]) -> tuple[str, int, Path | None]:
    """Return host, port and Unix domain socket, as the settings have them.

    Raises:
        NotReadyError: one is invalid, so that no service runs with it.
    """
    merged = {name.upper(): value for name, value in environ.items()}
    given = {name: value for name, value in merged.items() if not is_service_link(name, value)}
    name = ""
    try:
        host = parse_host(given.get(name := f"{_PREFIX}HOST", DEFAULT_HOST))
        port = parse_port(given.get(name := f"{_PREFIX}PORT", str(DEFAULT_PORT)))
        uds = parse_uds(given.get(name := f"{_PREFIX}UDS", ""))
    except ValueError as error:
        raise NotReadyError(f"{name}: {error}") from error
    return host, port, uds


def _check(address: Address) -> None:
    """Ask the service.

    Raises:
        NotReadyError: it cannot be reached, or responds with an error.
    """
    failures: list[Exception] = []
    hosts = [] if address.uds else _hosts(address.host)
    for host in hosts or [""]:
        try:
            _ask(
                HTTPConnection(host, address.listens, _TIMEOUT_S / len(hosts))
                if hosts
                else _UnixConnection(address.uds or "", _TIMEOUT_S)
            )
        except (OSError, HTTPException, ValueError) as error:
            failures.append(error)
        else:
            return
    raise NotReadyError(f"{_shown(address)}: {failures[0] or type(failures[0]).__name__}")


def _ask(connection: HTTPConnection) -> None:
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise NotReadyError(f"{response.status} {_detail(response.read(_MAX_BYTES))}")
    finally:
        connection.close()


def _hosts(host: str) -> list[str]:
    """Return the hosts to try, one after the other."""
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return [host]
    if not address.is_unspecified:
        return [host]
    return ["127.0.0.1"] if address.version == 4 else ["::1", "127.0.0.1"]


def _detail(body: bytes) -> str:
    """Return the problem's detail (RFC 9457) if there is one."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "without a reason"


def _shown(address: Address) -> str:
    return f"unix:{address.uds}" if address.uds else f"{address.host} port {address.listens}"


if __name__ == "__main__":
    sys.exit(main())
