"""What the supervisor waits for: signals, and what can be read from its pipes and sockets."""

import os
import select
import signal
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

_MAX_SIGNALS: Final = 4096


class Events:
    """Receives signals, one after the other, without interrupting what runs.

    Args:
        numbers: of the signals; the handlers that they had return with `close`.
    """

    def __init__(self, numbers: Iterable[signal.Signals]) -> None:
        self._read, self._write = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self._write, False)
        self._numbers = frozenset(numbers)
        # The interpreter writes the number of each signal that has a handler.
        self._wakeup = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        self._handlers = {
            number: signal.signal(number, lambda *_: None) for number in self._numbers
        }

    def wait(self, sources: Iterable[int], timeout: float | None) -> list[int]:
        """Wait until something can be read, a signal arrives, or the time is over.

        Args:
            sources: descriptors to read from.
            timeout: in seconds; None for ever.

        Returns:
            The numbers of the signals that have arrived.
        """
        waiting = select.poll()
        for source in (self._read, *sources):
            waiting.register(source, select.POLLIN)
        waiting.poll(None if timeout is None else max(timeout, 0) * 1e3)
        try:
            return [
                number for number in os.read(self._read, _MAX_SIGNALS) if number in self._numbers
            ]
        except BlockingIOError:
            return []

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold signals back, for a fork: until `leave` the child would report its own here."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def leave(self) -> None:
        """Receive no signals any more, in a forked process; they stay blocked there."""
        signal.pthread_sigmask(signal.SIG_BLOCK, self._numbers)
        signal.set_wakeup_fd(-1)
        for number in self._numbers:
            signal.signal(number, signal.SIG_DFL)
        os.close(self._read)
        os.close(self._write)

    def close(self) -> None:
        """Restore the handlers."""
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup)
        os.close(self._read)
        os.close(self._write)
