"""File descriptors: as many as the system allows, and fewer connections than those.

Were there more connections than descriptors, libuv, below uvloop, would accept and reset them
without an error, those of probes too. With a limit on connections below that of descriptors, idle
ones are closed first, and others are refused with a response and a log line.
"""

import logging
import sys
from contextlib import suppress
from typing import Final

from .open_connections import lingering

# What a worker opens otherwise: its libraries' files, the log, sockets to listen, the event loop.
_OTHERS: Final = 32

_log = logging.getLogger("dandelion")


def connections_within_limit(wanted: int) -> int:
    """Raise this process's soft limit on descriptors to its hard limit; children inherit it.

    Args:
        wanted: connections of a worker.

    Returns:
        The connections that a worker may have; fewer than ``wanted``, with a warning in the log,
        where the limit does not suffice for them. At least 1.
    """
    limit = _raise_limit()
    if limit is None:
        return wanted
    possible = wanted
    while possible > 1 and possible + lingering(possible) + _OTHERS > limit:
        possible = min(possible - 1, limit)
    if possible < wanted:
        facts = {"descriptors": limit, "connections": possible, "wanted": wanted}
        _log.warning("few file descriptors (ulimit -n); fewer connections per worker", extra=facts)
    return possible


def _raise_limit() -> int | None:
    """Return the soft limit; None if there is none, or on a system without them."""
    if sys.platform == "win32":
        return None
    import resource  # noqa: PLC0415 - Unix alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS allows less than its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return None if soft == resource.RLIM_INFINITY else soft
