"""Turns in the event loop: what keeps it busy for long begins once in an iteration of the loop."""

import asyncio


class Turn:
    """Lets one request at a time do what keeps the event loop busy for up to a few milliseconds.

    Requests that arrive together would otherwise all be handled in one iteration of the loop, and
    health checks would wait for all of them. In order of arrival; for one event loop.
    """

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    async def wait(self) -> None:
        """Return in an iteration of the loop in which no other request has its turn."""
        async with self._lock:
            await asyncio.sleep(0)
