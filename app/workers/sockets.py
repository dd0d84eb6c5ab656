"""The service's sockets: its port is bound before the models are loaded and opened afterwards."""

import ctypes
import errno
import logging
import os
import socket
import struct
import sys
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final

from ..settings import SettingsError, source

_log = logging.getLogger("dandelion")

# A filter in classic BPF (Linux, networking/filter.rst) that drops the packets which begin a
# handshake: of the flags in the TCP header's byte 13 (RFC 9293, section 3.1), SYN.
_SO_ATTACH_FILTER: Final = 26  # asm-generic/socket.h
_DROP_SYN: Final = (
    (0x30, 0, 0, 13),  # load byte 13
    (0x45, 0, 1, 0x02),  # go on if it has bit 2, else skip one
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFF_FFFF),  # keep
)


@dataclass(frozen=True)
class Listener:
    """The listening sockets of a service.

    Attributes:
        sockets: of each worker, at least one.
    """

    sockets: Sequence[Sequence[socket.socket]]

    def withdraw(self) -> None:
        """Remove the address, if it is one that outlives the sockets; before they are closed."""


def bind(host: str, port: int) -> list[socket.socket]:
    """Take a port at every address of the host, without listening yet.

    Args:
        host: name or address.
        port: 0 takes a free one.

    Returns:
        At least one socket. Addresses that this machine lacks, such as IPv6 ones, are left out.
        The one for ``::`` accepts IPv4 as well; an IPv6 address of a name does not, as the name's
        IPv4 addresses have sockets of their own.

    Raises:
        SettingsError: the host has no address of this machine, or the port is not available.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"{source('host')}: {host!r} has no address ({error})") from error
    both = _is_every_ipv6(host)
    sockets: list[socket.socket] = []
    failures: list[OSError] = []
    with ExitStack() as opened:
        for family, _, _, _, address in dict.fromkeys(found):
            if sockets:  # one port for all, also where it was left to the system
                port = sockets[0].getsockname()[1]
            try:
                bound = _bound(family, (address[0], port, *address[2:]), both=both)
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


def listen(bound: Sequence[socket.socket], host: str, workers: int) -> Listener:
    """Open the port, with a socket for each worker at each address.

    Args:
        bound: from `bind`.
        host: for the log.
        workers: at least 1.

    Returns:
        A listener whose first worker has the sockets of ``bound``.

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
    return Listener([list(bound), *siblings])


def refuse_new(listening: socket.socket) -> None:
    """Let no new connection into a TCP socket's queue, where the system can (Linux).

    A client that tries gets no response, tries again after a second (RFC 6298), and finds the
    socket closed. Without it, who connects just before the close would be let in and cut off.

    Args:
        listening: the socket, which stays open; other processes that have it are affected, too.
    """
    if sys.platform != "linux" or listening.family == socket.AF_UNIX:
        return
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in _DROP_SYN))
    program = struct.pack("HP", len(_DROP_SYN), ctypes.addressof(code))  # struct sock_fprog
    with suppress(OSError):  # a sandbox without it
        listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)


def accept_waiting(listening: socket.socket) -> list[socket.socket]:
    """Accept every connection that waits in a socket's queue.

    Args:
        listening: the socket; it does not block any more.
    """
    listening.setblocking(False)
    accepted = []
    while True:
        try:
            accepted.append(listening.accept()[0])
        except ConnectionAbortedError:  # the client has left the queue
            continue
        except OSError:  # none is left, or no file descriptor for it
            return accepted


def _bound(
    family: int, address: tuple[Any, ...], *, both: bool = False, shared: bool = False
) -> socket.socket:
    """Return a bound socket; ``both``: an IPv6 one that accepts IPv4, ``shared``: with siblings."""
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        if os.name == "posix":  # elsewhere it would take a port from another program
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, not both)
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
    both = first.family == socket.AF_INET6 and not first.getsockopt(
        socket.IPPROTO_IPV6, socket.IPV6_V6ONLY
    )
    sibling = _bound(first.family, first.getsockname(), both=both, shared=True)
    sibling.listen()
    return sibling


def _refused(host: str, port: int, error: OSError) -> SettingsError:
    return SettingsError(
        f"{source('port')}: cannot listen on {_shown(host, port)}: {error.strerror}; "
        "choose another port"
    )


def _is_every_ipv6(host: str) -> bool:
    try:
        address = ip_address(host)
    except ValueError:  # a name
        return False
    return address.version == 6 and address.is_unspecified


def _shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
