"""The channel between the supervisor and the processes of a generation: one socket pair for each.

The generation, and its workers once they serve, write messages, JSON in lines. The supervisor sends
the listening sockets, once: for the first generation they are opened only when it has loaded. When
no process of the generation is left, the supervisor's end is at its end, however they ended.
"""

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Final

import msgspec
from msgspec import Struct

# A message of at most 4 MB: a serving.toml, escaped, and the names of what it names.
_MAX_BYTES: Final = 2**22
_RECEIVED_BYTES: Final = 2**16
# Linux sends at most 253 descriptors at once (unix(7), SCM_MAX_FD).
_DESCRIPTORS: Final = 200
_MORE, _LAST = b"+", b"."
_PATIENCE_S: Final = 10.0


class Loaded(Struct, tag=True, frozen=True):
    """A generation has loaded, and awaits the listening sockets.

    Attributes:
        serving_file: the content of ``serving.toml``.
        contents: path of each artifact and policy file → hash of its content.
        models: model → variant and version.
    """

    serving_file: str
    contents: dict[str, str]
    models: dict[str, dict[str, str]]


class Serves(Struct, tag=True, frozen=True):
    """A worker accepts connections.

    Attributes:
        worker: its index.
    """

    worker: int


class Failed(Struct, tag=True, frozen=True):
    """A generation ends because of an error.

    Attributes:
        reason: in a sentence.
        is_setting: whether a setting is wrong.
        facts: for the log.
    """

    reason: str
    is_setting: bool = False
    facts: Mapping[str, int | str | None] = {}


Message = Loaded | Serves | Failed
_decoder: Final = msgspec.json.Decoder(Message)

Sockets = Sequence[Sequence[socket.socket]]


class SupervisorEnd:
    """Receives messages without blocking.

    Args:
        end: of the socket pair.

    Attributes:
        is_closed: whether no process of the generation is left.
    """

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)
        self._end = end
        self._received = b""
        self.is_closed = False

    def fileno(self) -> int:
        """Return the descriptor to wait for."""
        return self._end.fileno()

    def receive(self) -> list[Message]:
        """Return the messages that have arrived; what is none ends the channel."""
        while not self.is_closed:
            try:
                data = self._end.recv(_RECEIVED_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            self._received += data
            self.is_closed = not data or len(self._received) > _MAX_BYTES
        *lines, self._received = self._received.split(b"\n")
        messages = []
        for line in lines:
            with suppress(msgspec.MsgspecError):
                messages.append(_decoder.decode(line))
        return messages

    def send_sockets(self, sockets: Sockets) -> None:
        """Send the listening sockets of each worker.

        Raises:
            OSError: the generation does not receive them.
        """
        descriptors = [each.fileno() for one in sockets for each in one]
        self._end.settimeout(_PATIENCE_S)
        try:
            for start in range(0, len(descriptors), _DESCRIPTORS):
                chunk = descriptors[start : start + _DESCRIPTORS]
                is_last = start + _DESCRIPTORS >= len(descriptors)
                socket.send_fds(self._end, [_LAST if is_last else _MORE], chunk)
        finally:
            self._end.setblocking(False)

    def close(self) -> None:
        """Close this end."""
        self._end.close()


class GenerationEnd:
    """Sends messages; for the processes of a generation.

    Args:
        end: of the socket pair.
    """

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def send(self, message: Message) -> None:
        """Send a message, if the supervisor still lives."""
        with suppress(OSError):
            self._end.sendall(msgspec.json.encode(message) + b"\n")

    def receive_sockets(self, workers: int) -> list[list[socket.socket]]:
        """Wait for the listening sockets; returns those of each worker.

        Raises:
            EOFError: the supervisor has ended.
        """
        found: list[socket.socket] = []
        data = _MORE
        while data == _MORE:
            data, descriptors, _, _ = socket.recv_fds(self._end, 1, _DESCRIPTORS)
            if not data:
                raise EOFError
            found += [socket.socket(fileno=each) for each in descriptors]
        each = len(found) // workers
        return [found[start : start + each] for start in range(0, len(found), each)]

    def close(self) -> None:
        """Close this end in this process."""
        self._end.close()


def create() -> tuple[SupervisorEnd, GenerationEnd]:
    """Return the two ends of a new channel; after the fork each process closes the other's."""
    one, other = socket.socketpair()
    return SupervisorEnd(one), GenerationEnd(other)
