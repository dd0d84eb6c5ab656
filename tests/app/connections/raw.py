"""Responses as bytes on a connection."""

import re
import socket

import httpx2


def read_to_end(connection: socket.socket) -> bytes:
    """Read until the service closes its half."""
    received = bytearray()
    while piece := connection.recv(65536):
        received += piece
    return bytes(received)


def ask(connection: socket.socket, request: bytes) -> httpx2.Response:
    """Send a request on a connection that stays open."""
    connection.sendall(request)
    received = b""
    while not complete(received):
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    (response,) = responses(received)
    return response


def complete(received: bytes) -> bool:
    """Return whether a whole response was received."""
    head, _, body = received.partition(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: (\d+)", head)
    return length is not None and len(body) >= int(length[1])


def responses(received: bytes) -> list[httpx2.Response]:
    """Split what was received."""
    found = []
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        length = int(dict(headers).get("content-length", 0))
        body, received = received[:length], received[length:]
        found.append(httpx2.Response(int(first.split()[1]), headers=headers, content=body))
    return found
