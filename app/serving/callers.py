"""Who sent a request: the name of its API key, and what the key allows."""

from typing import Protocol

from dandelion.api_keys import Access

__all__ = ["Access", "Caller"]


class Caller(Protocol):
    """The holder of an API key, in ``scope["caller"]`` where keys are configured.

    Attributes:
        name: of the key, which is no secret.
    """

    name: str

    def take(self, texts: int) -> None:
        """Charge the key for texts that are about to be classified.

        Raises:
            Problem: 429, the key has a limit, which they exceed.
        """
