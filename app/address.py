"""Where the service listens, as its settings say: read alike by the service and by its probe.

The probe must start quickly, so nothing here imports a library.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Final

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8000
MAX_PORT: Final = 65535

# Python converts no more than 4300 digits; no setting needs as many as these.
_DIGITS: Final = re.compile(r"[0-9]{1,18}")


def parse_whole(value: str) -> int:
    """Return a whole number that is written in the digits 0 to 9, and nothing else.

    Raises:
        ValueError: it is not.

    Example:
        >>> parse_whole("9420")
        9420
    """
    if not _DIGITS.fullmatch(value):
        raise ValueError("expected a whole number, of at most 18 digits from 0 to 9")
    return int(value)


def parse_host(value: str) -> str:
    """Return a host.

    Raises:
        ValueError: it is empty or not UTF-8.
    """
    _check_encoding(value)
    if not value:
        raise ValueError("expected an address or a name, such as 127.0.0.1")
    return value


def parse_port(value: str) -> int:
    """Return a port; 0 is any.

    Raises:
        ValueError: it is no number from 0 to 65535.
    """
    port = parse_whole(value)
    if port > MAX_PORT:
        raise ValueError(f"expected a port, from 0 to {MAX_PORT}")
    return port


def parse_uds(value: str) -> Path | None:
    """Return the path of a Unix domain socket; None for an empty value.

    Raises:
        ValueError: it is not UTF-8.
    """
    _check_encoding(value)
    return Path(value) if value else None


def is_local(host: str, uds: Path | None) -> bool:
    """Return whether only this machine can connect: a Unix domain socket, or a loopback address.

    What is configured decides, not the address of a client, which a proxy on this machine hides. A
    name counts as an address elsewhere, but for ``localhost`` (RFC 6761, section 6.3).
    """
    if uds is not None:
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return host.lower() == "localhost"
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def _check_encoding(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:  # Python has decoded it to surrogates
        raise ValueError("expected UTF-8") from None
