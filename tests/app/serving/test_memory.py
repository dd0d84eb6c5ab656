"""When freed memory is returned to the system."""

import asyncio

from app.serving.memory import Trimmer


def test_memory_is_returned_once_after_large_requests_only() -> None:
    calls: list[int] = []

    async def scenario() -> None:
        trimmer = Trimmer(lambda: calls.append(1), delay_s=0.01)
        trimmer.schedule(1000)
        await asyncio.sleep(0.05)
        assert not calls
        trimmer.schedule(20_000_000)
        trimmer.schedule(20_000_000)
        while not calls:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)

    asyncio.run(scenario())
    assert len(calls) == 1
