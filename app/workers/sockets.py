"""The service's sockets: its port is bound before the models are loaded and opened afterwards."""

import errno
import logging
import os
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

from ..settings import SettingsError, source

_log = logging.getLogger("dandelion")


def bind(host: str, port: int) -> list[socket.socket]:
    """Take a port at every address of the host, without listening yet.

    Args:
        host: name or address.
        port: 0 takes a free one.

    Returns:
        At least one socket. Addresses that this machine lacks, such as IPv6 ones, are left out.

    Raises:
        SettingsError: the host has no address of this machine, or the port is not available.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"{source('host')}: {host!r} has no address ({error})") from error
    sockets: list[socket.socket] = []
    failures: list[OSError] = []
    with ExitStack() as opened:
        for family, kind, protocol, _, address in dict.fromkeys(found):
            if sockets:  # one port for all, also where it was left to the system
                port = sockets[0].getsockname()[1]
            try:
                bound = _bound(family, kind, protocol, (address[0], port, *address[2:]))
            except OSError as error:
                if error.errno in {errno.EADDRINUSE, errno.EACCES}:
                    raise _refused(host, port, error) from error
                failures.append(error)
            else:
                sockets.append(opened.enter_context(bound))
        if not sockets:
            raise SettingsError(
                f"{source('host')}: cannot listen on {host!r}: {failures[0].strerror}"
            ) from failures[0]
        opened.pop_all()
    return sockets


def listen(bound: Sequence[socket.socket], host: str, workers: int) -> list[list[socket.socket]]:
    """Open the port, with a socket for each worker at each address.

    Args:
        bound: from `bind`.
        host: for the log.
        workers: at least 1.

    Returns:
        The sockets of each worker; the first worker's are those of ``bound``.

    Raises:
        SettingsError: another program has begun to listen on the port since.
    """
    port = bound[0].getsockname()[1]
    try:
        for first in bound:
            first.listen()
        siblings = [[_sibling(first) for first in bound] for _ in range(1, workers)]
    except OSError as error:
        raise _refused(host, port, error) from error
    _log.info("listening on http://%s", _shown(host, port))
    return [list(bound), *siblings]


def _bound(
    family: int, kind: int, protocol: int, address: tuple[Any, ...], *, shared: bool = False
) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":  # elsewhere it would take a port from another program
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # IPv4 has a separate socket
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound


def _sibling(first: socket.socket) -> socket.socket:
    """Return a second listening socket at the same address, for another worker."""
    # Only now may the port be shared, as by now it is ours: had the first socket allowed it before
    # it listened, a second service would have shared the port as well.
    first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sibling = _bound(first.family, first.type, first.proto, first.getsockname(), shared=True)
    sibling.listen()
    return sibling


def _refused(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"{source('port')}: cannot listen on {_shown(host, port)}: {error.strerror}; "
        "choose another port"
    )


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
