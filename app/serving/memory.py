"""Returning memory to the system after large requests."""

import asyncio
from collections.abc import Callable
from typing import Final

from ..telemetry.processes import return_freed_memory

_DELAY_S: Final = 1.0
_WORTHWHILE_BYTES: Final = 16_000_000


class Trimmer:
    """Returns freed memory once large requests have ended: at most once in a second.

    glibc keeps what was freed for the next allocation, so without this a burst of large bodies
    would stay in the resident memory.

    Args:
        trim: returns memory to the system; takes milliseconds, so it runs in a thread.
        delay_s: seconds to wait for further requests.
    """

    def __init__(
        self, trim: Callable[[], None] = return_freed_memory, delay_s: float = _DELAY_S
    ) -> None:
        self._trim = trim
        self._delay_s = delay_s
        self._used = 0
        self._is_scheduled = False

    def schedule(self, used: int) -> None:
        """Return memory soon, if enough was used since the last time.

        Args:
            used: bytes that were used since the last call.
        """
        self._used += used
        if self._used >= _WORTHWHILE_BYTES and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(self._delay_s, self._start)

    def _start(self) -> None:
        self._used = 0
        self._is_scheduled = False
        asyncio.get_running_loop().run_in_executor(None, self._trim)
