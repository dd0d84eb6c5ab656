"""Where a running service listens, for the probe: found through ``/proc``, without a file.

The service keeps an anonymous file in memory with its address (Linux, memfd_create(2)). Processes
of the same user see it among the open files of the service. So the probe finds a port that the
system chose, and a service that was configured by options.
"""

import json
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

_NAME: Final = "dandelion-address"
_LINK: Final = f"/memfd:{_NAME} (deleted)"
_MAX_BYTES: Final = 4096


@dataclass(frozen=True)
class Address:
    """Where a service listens.

    Attributes:
        host: as configured.
        port: as configured; may be 0.
        listens: the port that it has.
        uds: path of its Unix domain socket, used instead of the port.
    """

    host: str
    port: int
    listens: int
    uds: str | None = None


def announce(address: Address) -> None:
    """Announce the address until this process, and those forked from it, have ended."""
    with suppress(AttributeError, OSError):  # not Linux, or a sandbox: nothing will find it
        descriptor = os.memfd_create(_NAME)
        os.write(descriptor, json.dumps(asdict(address)).encode())


def announced(processes: Iterable[int | str] | None = None) -> set[Address]:
    """Return the addresses that processes announce, as far as this user may see them.

    Args:
        processes: their ids; by default, those of every process.
    """
    if processes is None:
        with suppress(OSError):
            processes = [each.name for each in Path("/proc").iterdir() if each.name.isdecimal()]
    found = set()
    for process in processes or ():
        with suppress(OSError):  # it has ended, or is another user's
            for file in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError, ValueError, TypeError):
                    if str(file.readlink()) == _LINK:
                        found.add(Address(**json.loads(file.read_bytes()[:_MAX_BYTES])))
    return found
