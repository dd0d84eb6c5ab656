"""Responses that take long to compute, and are kept."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from starlette.responses import Response

from .. import errors

_MAX_WAITING: Final = 16  # requests for others to be computed


class KeptResponses:
    """Responses that were computed: in a thread, one after another.

    Args:
        size: how many are kept, the most recently used ones.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._bodies: OrderedDict[Any, bytes] = OrderedDict()
        self._is_free = asyncio.Semaphore()
        self._waiting = 0

    async def response(self, key: Any, compute: Callable[[], bytes]) -> Response:
        """Return a response, computed unless it is kept.

        Raises:
            Problem: 429, too many others wait.
        """
        if key not in self._bodies:
            if self._waiting >= _MAX_WAITING:
                raise errors.overloaded()
            self._waiting += 1
            try:
                async with self._is_free:
                    if key not in self._bodies:
                        self._bodies[key] = await asyncio.to_thread(compute)
            finally:
                self._waiting -= 1
            if len(self._bodies) > self._size:
                self._bodies.popitem(last=False)
        body = self._bodies[key]
        self._bodies.move_to_end(key)
        return Response(body, media_type="application/json")
