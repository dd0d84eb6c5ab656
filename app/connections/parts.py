"""The parts of a request, of which one is received next."""

from enum import Enum, auto


class Part(Enum):
    """A part of a request; ``NOTHING``: between two requests."""

    NOTHING = auto()
    HEADERS = auto()
    BODY = auto()


NOTHING, HEADERS, BODY = Part  # globals are read faster
