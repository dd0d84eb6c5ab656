"""Run the service: ``python -m app``, ``dandelion serve``.

Importing the service takes a while, in which a signal must have its usual effect, too.
"""

import signal
import sys
from collections.abc import Sequence

from .workers import signals


def main(arguments: Sequence[str] | None = None, program: str = f"python -m {__package__}") -> int:
    """Handle signals, then import and run `command.main`, which see."""
    signals.ignore()
    raises = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if raises:  # with a traceback, wherever an import is
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from . import command  # noqa: PLC0415 - takes a while

    if raises:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return command.main(arguments, program)


if __name__ == "__main__":
    sys.exit(main())
