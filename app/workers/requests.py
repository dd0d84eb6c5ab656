"""The pipe by which workers ask the supervisor for another generation.

A request is written at once or not at all, so none is broken by the end of its sender; a full pipe
refuses it. Who may ask is checked before, see `routes.admin`.
"""

import os
from contextlib import suppress
from typing import Final

import msgspec

from ..serving.generations import MAX_REQUEST_BYTES, Request

_READ_BYTES: Final = 2**16
_decoder: Final = msgspec.json.Decoder(Request)


class Requests:
    """The pipe; the supervisor creates and reads it.

    Attributes:
        writing: its end for workers, which does not block.
    """

    def __init__(self) -> None:
        self._read, self.writing = os.pipe()
        os.set_blocking(self._read, False)
        os.set_blocking(self.writing, False)
        self._received = b""

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._read

    def receive(self) -> list[Request]:
        """Return the requests that have arrived."""
        try:
            self._received += os.read(self._read, _READ_BYTES)
        except BlockingIOError:
            return []
        *lines, self._received = self._received.split(b"\n")
        self._received = self._received[:MAX_REQUEST_BYTES]
        requests = []
        for line in lines:
            with suppress(msgspec.MsgspecError):
                requests.append(_decoder.decode(line))
        return requests

    def leave(self) -> None:
        """Close the end that only the supervisor reads, in a process that it has forked."""
        os.close(self._read)
