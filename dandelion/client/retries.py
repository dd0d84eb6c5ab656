"""When a failed request is sent again: exponential backoff with jitter, and what the service asks.

Classifying changes nothing, so that any request may be sent again, however it failed.
"""

import random
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

# At its capacity, or about to stop; or the proxy in front of it reached none.
RETRIED: Final = frozenset({429, 502, 503})

_SECONDS: Final = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how fast a failed request is sent again.

    The wait before attempt n + 1 is drawn evenly from 0 to ``first_wait_s`` × 2ⁿ⁻¹, at most
    ``max_wait_s``: clients that failed together do not come back together. What ``Retry-After``
    asks for is added.

    Attributes:
        attempts: in all; 1 sends nothing again.
        first_wait_s: the longest wait after the first attempt, in seconds.
        max_wait_s: the longest wait that is drawn; a response that asks for more than ten times as
            much is not waited for.

    Raises:
        ValueError: there is no attempt, or a negative time.
    """

    attempts: int = 5
    first_wait_s: float = 0.2
    max_wait_s: float = 6.0

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise ValueError(f"attempts is {self.attempts}; expected at least 1")
        if not (self.first_wait_s >= 0 and self.max_wait_s >= 0):
            raise ValueError("first_wait_s and max_wait_s are seconds; expected no negative number")

    def wait_s(self, attempts: int, asked_s: float = 0.0) -> float | None:
        """Return how long to wait before the next attempt; None to give up.

        Args:
            attempts: so far, at least 1.
            asked_s: what the response asks for, in seconds.
        """
        if attempts >= self.attempts or asked_s > 10 * self.max_wait_s:
            return None
        longest = min(self.max_wait_s, self.first_wait_s * 2.0 ** min(attempts - 1, 60))
        return asked_s + random.uniform(0, longest)  # noqa: S311 - no secret # nosec B311


def asked_s(headers: Mapping[str, str]) -> float:
    """Return what ``Retry-After`` asks for, in seconds or as a date (RFC 9110, 10.2.3); else 0."""
    value = headers.get("retry-after", "").strip()
    if _SECONDS.fullmatch(value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
