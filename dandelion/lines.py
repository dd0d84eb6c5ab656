"""The lines of a stream, as they arrive and in constant memory."""

import os
from collections.abc import Iterator
from typing import Final

# The largest line, without its end: as much as a request to the service may contain.
MAX_LINE_BYTES: Final = 8_000_000

# The stream is read in pieces of this size at most.
_PIECE_BYTES: Final = 2**16


class LineError(Exception):
    """A line is not UTF-8, or too long; the message names it."""


def read_lines(descriptor: int) -> Iterator[list[str]]:
    """Yield lines without their ends, as many at a time as are available.

    Args:
        descriptor: of standard input.

    Raises:
        LineError: a line is not UTF-8, or too long; the lines before it have been yielded.
    """
    for lines in _complete_lines(descriptor):
        texts = []
        for number, line in lines:
            try:
                texts.append(line.removesuffix(b"\r").decode())
            except UnicodeDecodeError as error:
                yield texts
                raise LineError(
                    f"standard input, line {number}: not UTF-8, from byte {error.start + 1}"
                ) from None
        yield texts


def _complete_lines(descriptor: int) -> Iterator[list[tuple[int, bytes]]]:
    """Yield lines with their numbers.

    Raises:
        LineError: a line is too long; the lines before it have been yielded.
    """
    rest = b""
    number = 1  # of the rest
    while piece := os.read(descriptor, _PIECE_BYTES):  # what is there, without waiting for more
        *lines, rest = (rest + piece).split(b"\n")
        longest = lines[0] if lines else rest  # the others are shorter than a piece
        if len(longest) > MAX_LINE_BYTES + longest.endswith(b"\r"):
            raise LineError(f"standard input, line {number}: longer than {MAX_LINE_BYTES} bytes")
        if lines:
            yield list(enumerate(lines, number))
        number += len(lines)
    if rest:
        yield [(number, rest)]
