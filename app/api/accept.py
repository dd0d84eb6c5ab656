"""What a client prefers, by its ``Accept`` header (RFC 9110, section 12.5.1)."""

import re
from collections.abc import Iterable
from typing import Final

_WEIGHT: Final = re.compile(r"(?:0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?)")


def prefers(accept: Iterable[str], wanted: str, default: str) -> bool:
    """Return whether a client would rather have one media type than another.

    Args:
        accept: the values of the request's ``Accept`` headers.
        wanted: a media type such as ``text/html``.
        default: what it gets where it does not prefer the other, or what it sends cannot be read.

    Example:
        >>> prefers(["text/html, */*;q=0.8"], "text/html", "application/json")
        True
        >>> prefers(["*/*"], "text/html", "application/json")
        False
    """
    ranges = list(_ranges(accept))
    return _weight(wanted, ranges) > _weight(default, ranges)


def _ranges(accept: Iterable[str]) -> Iterable[tuple[str, float]]:
    """Yield each media range with its weight; a parameter other than ``q`` excludes it."""
    for element in ",".join(accept).lower().split(","):
        media, *parameters = (part.strip() for part in element.split(";"))
        weights = [value.removeprefix("q=") for value in parameters if value.startswith("q=")]
        if len(weights) < len(parameters) or len(weights) > 1:
            continue
        if all(map(_WEIGHT.fullmatch, weights)):
            yield media, float(weights[0]) if weights else 1.0


def _weight(media: str, ranges: Iterable[tuple[str, float]]) -> float:
    """Return the weight of a media type: that of the most specific range it is in."""
    weights = dict(ranges)
    kind = media.partition("/")[0]
    found = (weights[one] for one in (media, f"{kind}/*", "*/*") if one in weights)
    return next(found, 0.0)
