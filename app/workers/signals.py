"""The signals that the service does not act on. Without a handler each of them would end it."""

import logging
import signal
from typing import Final

_log = logging.getLogger("dandelion")

_RELOAD: Final = "SIGHUP"
_NAMES: Final = (_RELOAD, "SIGUSR1", "SIGUSR2")

# Those of them that this system has.
IGNORED: Final = frozenset(
    signal.Signals[name] for name in _NAMES if name in signal.Signals.__members__
)


def ignore() -> None:
    """Ignore them: while the models are loaded, and in a worker."""
    for number in IGNORED:
        signal.signal(number, signal.SIG_IGN)


def log_ignored(number: int) -> None:
    """Log that a signal has no effect."""
    name = signal.Signals(number).name
    if name == _RELOAD:
        _log.warning("reloading is not supported yet: restart the service", extra={"signal": name})
    else:
        _log.warning("signal ignored", extra={"signal": name})
