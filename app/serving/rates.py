"""Limits in texts per second, which the processes of the service share: token buckets.

A bucket holds at most ``burst`` texts and fills at ``per_second``. So within any ``t`` seconds at
most ``per_second * t + burst`` texts pass. What is stored of it is one number, the time at which it
will be full again (the generic cell rate algorithm, ITU-T I.371): to take texts moves that time on
by what it takes to refill them.

The memory is created before the first fork, and its buckets are found by name, so a limit survives
a reload of the keys. A bucket is changed by one store of 8 bytes, under a lock that the kernel
releases when its holder dies: a process that is killed has taken all of its texts or none.
"""

import mmap
import threading
import time
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from dandelion.api_keys import MAX_KEYS

from ..process_lock import ProcessLock, SharingError

# While one generation of workers follows another, both have their keys.
_BUCKETS: Final = 4 * MAX_KEYS
_NAME_BYTES: Final = 64
_WORD: Final = 8
_SECOND: Final = 1_000_000_000  # in ns


class SharedRates:
    """The buckets of this process and of those that are forked from it.

    Args:
        is_shared: whether processes will be forked; else it belongs to this process alone.

    Raises:
        SharingError: the system refuses the memory, or the file to lock.
    """

    def __init__(self, *, is_shared: bool = False) -> None:
        self._processes: AbstractContextManager[object] = nullcontext()
        try:
            memory = memoryview(mmap.mmap(-1, _BUCKETS * (_NAME_BYTES + _WORD)))
            if is_shared:
                self._processes = ProcessLock("dandelion-rates")
        except OSError as error:
            raise SharingError(
                f"cannot share the limits of API keys between processes: {error.strerror}"
            ) from error
        self._threads = threading.Lock()
        self._names = memory[: _BUCKETS * _NAME_BYTES]
        self._full_at = memory[_BUCKETS * _NAME_BYTES :].cast("q")

    def bucket(self, name: str, per_second: int, burst: int) -> "Bucket":
        """Return the bucket of a name, with what it holds if there is one; a new one is full.

        Args:
            name: at most 64 ASCII characters.
            per_second: texts by which it fills.
            burst: texts that it holds.
        """
        return Bucket(self, name, per_second, burst)

    def take(self, name: bytes, index: int, cost: int, capacity: int) -> tuple[int, int]:
        """Take from a bucket if it holds enough.

        Args:
            name: of the bucket, filled with null bytes.
            index: where it was, -1 if that is unknown.
            cost: time that it takes to refill what is taken, in ns.
            capacity: time that it takes to fill the bucket, in ns.

        Returns:
            Where it is; and the time until it holds enough, in ns, 0 if that was taken.
        """
        with self._threads, self._processes:
            now = time.monotonic_ns()
            if index < 0 or not self._is_at(index, name):
                index = self._find(name)
            full_at = max(self._full_at[index], now)
            if full_at > now + capacity:  # emptier than empty: a reload has changed the limit
                full_at = self._full_at[index] = now + capacity
            wait = full_at + cost - now - capacity
            if wait > 0:
                return index, wait
            self._full_at[index] = full_at + cost
            return index, 0

    def _is_at(self, index: int, name: bytes) -> bool:
        start = index * _NAME_BYTES
        return bool(self._names[start : start + _NAME_BYTES] == name)

    def _find(self, name: bytes) -> int:
        """Find or add a bucket, in the place of the one that is full for the longest time.

        A full bucket is like a new one, so nothing is lost; only with more than 256 names that are
        in use at once, one of them gets a new burst.
        """
        for index in range(_BUCKETS):
            if self._is_at(index, name):
                return index
        index = min(range(_BUCKETS), key=self._full_at.__getitem__)
        start = index * _NAME_BYTES
        # In this order: a process that is killed in between leaves a full bucket without a name.
        self._names[start : start + _NAME_BYTES] = bytes(_NAME_BYTES)
        self._full_at[index] = 0
        self._names[start : start + _NAME_BYTES] = name
        return index


class Bucket:
    """One name's bucket, see `SharedRates.bucket`."""

    __slots__ = ("_capacity", "_index", "_name", "_per_second", "_rates")

    def __init__(self, rates: SharedRates, name: str, per_second: int, burst: int) -> None:
        self._rates = rates
        self._name = name.encode().ljust(_NAME_BYTES, b"\0")
        self._per_second = per_second
        self._capacity = self._cost(burst)
        self._index = -1

    def take(self, texts: int) -> float:
        """Take texts if the bucket holds them.

        Args:
            texts: at most the burst; more are never there.

        Returns:
            0 if they were taken; else the seconds until the bucket holds them.
        """
        self._index, wait = self._rates.take(
            self._name, self._index, self._cost(texts), self._capacity
        )
        return wait / _SECOND

    def _cost(self, texts: int) -> int:
        """Return the time that it takes to refill texts, in ns, rounded up."""
        return -(-texts * _SECOND // self._per_second)
