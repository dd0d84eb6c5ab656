"""The signals that do not end the service. Without a handler each of them would."""

import logging
import signal
from typing import Final

_log = logging.getLogger("dandelion")

_NAMES: Final = ("SIGHUP", "SIGUSR1", "SIGUSR2")

# Those of them that this system has. A worker ignores all of them.
HARMLESS: Final = frozenset(
    signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__
)

# Those that the supervisor handles.
HANDLED: Final = HARMLESS | {
    signal.Signals[name]
    for name in ("SIGTERM", "SIGINT", "SIGCHLD")
    if name in signal.Signals.__members__
}


def ignore() -> None:
    """Ignore them: while the models are loaded, and in a worker."""
    for number in HARMLESS:
        signal.signal(number, signal.SIG_IGN)


def log_ignored(number: int) -> None:
    """Log that a signal has no effect."""
    _log.warning("signal ignored", extra={"signal": signal.Signals(number).name})


def log_no_reload(number: int) -> None:
    """Log that the service cannot reload."""
    _log.warning(
        "reloading is not possible on this system, whose processes cannot be forked: restart the "
        "service",
        extra={"signal": signal.Signals(number).name},
    )


def is_reload(number: int) -> bool:
    """Return whether a signal asks for a reload."""
    return signal.Signals(number).name == "SIGHUP"
