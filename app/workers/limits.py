"""What the system must allow, so that there can be workers."""

import os
import sys
from typing import Final

# macOS forks, but its system libraries may crash in the child (CPython's issue 33725).
CAN_FORK: Final = hasattr(os, "fork") and sys.platform != "darwin"

# `multiprocessing` keeps two pipes to each process.
_FILES_OF_A_WORKER: Final = 2
_OTHER_FILES: Final = 32


def open_files(workers: int, addresses: int) -> int:
    """Return about how many files a process has open, besides its connections.

    A generation has all of them; a worker inherits the pipes of those that were forked before it.

    Args:
        workers: of a generation.
        addresses: that each of them listens on.
    """
    return _OTHER_FILES + workers * (addresses + _FILES_OF_A_WORKER)
