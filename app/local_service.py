"""The service on this machine: where it listens, and a connection to it.

It is found without a file and without its settings' libraries: the probe must start quickly.
"""

import json
import os
import socket
from collections.abc import Callable, Mapping
from functools import partial
from http.client import HTTPConnection
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from .address import DEFAULT_HOST, DEFAULT_PORT, parse_host, parse_port, parse_uds
from .service_links import is_service_link
from .workers.announcement import Address, announced

# Restated: importing the settings takes longer than the whole probe.
_PREFIX: Final = "DANDELION_"


class NotFoundError(Exception):
    """The service cannot be found."""


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


def find() -> Address:
    """Return where the service listens: process 1, as in a container, else as configured.

    Raises:
        NotFoundError: there is none, or there are several.
    """
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
        raise NotFoundError(
            f"port 0 is any port, and {number} services run here with it; set {_PREFIX}PORT"
        )
    return found[0]


def configured(environ: Mapping[str, str]) -> tuple[str, int, Path | None]:
    """Return host, port and Unix domain socket, as the settings have them.

    Raises:
        NotFoundError: one is invalid, so that no service runs with it.
    """
    merged = {name.upper(): value for name, value in environ.items()}
    given = {name: value for name, value in merged.items() if not is_service_link(name, value)}
    name = ""
    try:
        host = parse_host(given.get(name := f"{_PREFIX}HOST", DEFAULT_HOST))
        port = parse_port(given.get(name := f"{_PREFIX}PORT", str(DEFAULT_PORT)))
        uds = parse_uds(given.get(name := f"{_PREFIX}UDS", ""))
    except ValueError as error:
        raise NotFoundError(f"{name}: {error}") from error
    return host, port, uds


def connections(address: Address, timeout: float) -> list[Callable[[], HTTPConnection]]:
    """Return what creates the connections to try, one after the other.

    Args:
        address: of the service.
        timeout: for all of them together, in seconds.
    """
    if address.uds:
        return [partial(_UnixConnection, address.uds, timeout)]
    hosts = _hosts(address.host)
    return [partial(HTTPConnection, host, address.listens, timeout / len(hosts)) for host in hosts]


def _hosts(host: str) -> list[str]:
    """Return the hosts to try, one after the other."""
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return [host]
    if not address.is_unspecified:
        return [host]
    return ["127.0.0.1"] if address.version == 4 else ["::1", "127.0.0.1"]


def detail(body: bytes) -> str:
    """Return the detail of a problem (RFC 9457) if there is one."""
    try:
        return str(json.loads(body)["detail"])
    except (ValueError, KeyError, TypeError):
        return "without a reason"


def shown(address: Address) -> str:
    """Return an address as a person reads it."""
    return f"unix:{address.uds}" if address.uds else f"{address.host} port {address.listens}"
