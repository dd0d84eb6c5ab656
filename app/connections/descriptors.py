"""File descriptors: as many as the system allows, and fewer connections than those.

If there were more connections than descriptors, libuv, which uvloop is built on, would accept and
reset the excess ones without an error, even those of probes. With a limit on connections below that
of descriptors, idle ones are closed first, and others are refused with a response and a log line.
"""

import logging
import math
import sys
from contextlib import suppress
from typing import Final

from ..settings import SettingsError
from .open_connections import max_lingering

# Connections with which a worker is of use: probes, a scraper, and a few clients.
_FEWEST: Final = 8

_log = logging.getLogger("dandelion")


def raise_limit() -> float:
    """Raise this process's soft limit on descriptors to its hard limit; children inherit it.

    Returns:
        The limit; infinite where the system has none.
    """
    if sys.platform == "win32":
        return math.inf
    import resource  # noqa: PLC0415 - Unix alone has it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        with suppress(ValueError, OSError):  # macOS allows less than its hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
            soft = hard
    return math.inf if soft == resource.RLIM_INFINITY else soft


def connections_within(limit: float, wanted: int, *, others: int) -> int:
    """Return how many connections a worker may have.

    Args:
        limit: of descriptors.
        wanted: the connections that are configured.
        others: descriptors that are used for something else.

    Returns:
        Fewer than ``wanted``, with a warning in the log, where the limit does not suffice for them;
        but at least 8, if that many are wanted.

    Raises:
        SettingsError: it does not suffice for 8.
    """
    fewest = min(wanted, _FEWEST)
    needed = fewest + max_lingering(fewest) + others
    if limit < needed:
        raise SettingsError(
            f"the system allows {limit:.0f} open files (ulimit -n), and the service needs "
            f"{needed} at least; raise the limit"
        )
    possible = wanted
    while possible + max_lingering(possible) + others > limit:
        possible = min(possible - 1, int(limit))
    if possible < wanted:
        facts = {"descriptors": limit, "connections": possible, "wanted": wanted}
        _log.warning("few file descriptors (ulimit -n); fewer connections per worker", extra=facts)
    return possible
