"""A process that probes the service: ``python -m benchmarks.soak.prober PORT``.

It prints a line when it has begun, probes until its input is closed, and then prints what it found
as JSON: kind → [when it was due by the machine's monotonic clock, milliseconds, whether it
succeeded] of each probe. Standard library only, so that it starts quickly and takes little
processor time.
"""

import json
import os
import socket
import sys
import threading
import time
from contextlib import suppress
from typing import Final

Found = list[tuple[float, float, bool]]

_LIVE_INTERVAL_S: Final = 0.02
_METRICS_INTERVAL_S: Final = 0.2
PATIENCE_S: Final = 5
_REQUEST: Final = "GET {path} HTTP/1.1\r\nHost: probe\r\n{more}\r\n"


class Probe:
    """Sends one request every ``interval_s``, each due at its own time.

    A probe that waits for the previous one is late, and its latency counts from when it was due:
    a service that stalls for a second has failed every probe of this second, not one.

    Args:
        port: of the service.
        path: requested.
        interval_s: between two probes.
        keeps: whether one connection is used for all.
    """

    def __init__(self, port: int, path: str, interval_s: float, *, keeps: bool) -> None:
        self._port = port
        self._interval_s = interval_s
        self._keeps = keeps
        more = "" if keeps else "Connection: close\r\n"
        self._request = _REQUEST.format(path=path, more=more).encode()
        self._connection: socket.socket | None = None

    def run(self, stop: threading.Event) -> Found:
        """Probe until ``stop``; return when each was due, its milliseconds and its success."""
        found: Found = []
        due = free = time.monotonic()
        while not stop.is_set():
            now = time.monotonic()
            if now < due:
                stop.wait(due - now)
                continue
            started = due if free > due else now  # late by itself: the system was
            succeeded = self._succeeds()
            free = time.monotonic()
            latency_s = free - started if succeeded else max(free - started, PATIENCE_S)
            found.append((started, latency_s * 1e3, succeeded))
            due += self._interval_s
        now = time.monotonic()
        while due < free:  # those that the last one kept waiting
            found.append((due, (now - due) * 1e3, True))
            due += self._interval_s
        self._close()
        return found

    def _succeeds(self) -> bool:
        reused = self._connection is not None
        succeeded = self._attempt()
        if not succeeded and reused:  # the other side may have closed it since: RFC 9112, 9.3.1
            succeeded = self._attempt()
        return succeeded

    def _attempt(self) -> bool:
        try:
            if self._connection is None:
                address = ("127.0.0.1", self._port)
                self._connection = socket.create_connection(address, timeout=PATIENCE_S)
            self._connection.sendall(self._request)
            succeeded, reusable = _receive(self._connection)
        except OSError:
            succeeded = reusable = False
        if not (self._keeps and reusable):
            self._close()
        return succeeded

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _receive(connection: socket.socket) -> tuple[bool, bool]:
    """Read a response; return whether its status is 200, and whether the connection stays open."""
    received = b""
    while b"\r\n\r\n" not in received:
        data = connection.recv(1 << 16)
        if not data:
            return False, False
        received += data
    head, _, body = received.partition(b"\r\n\r\n")
    lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    missing = int(lines.get(b"content-length", b"0")) - len(body)
    while missing > 0:
        data = connection.recv(1 << 16)
        if not data:
            return False, False
        missing -= len(data)
    return head[9:12] == b"200", lines.get(b"connection") != b"close"


def main(port: int) -> None:
    """Probe until the input is closed."""
    with suppress(OSError):  # so that the load does not delay the probes; needs the right to
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    probes = {
        "kept": Probe(port, "/livez", _LIVE_INTERVAL_S, keeps=True),
        "new": Probe(port, "/livez", _LIVE_INTERVAL_S, keeps=False),
        "metrics": Probe(port, "/metrics", _METRICS_INTERVAL_S, keeps=False),
    }
    stop = threading.Event()
    found: dict[str, Found] = {}

    def run(name: str) -> None:
        found[name] = probes[name].run(stop)

    threads = [threading.Thread(target=run, args=(name,)) for name in probes]
    for thread in threads:
        thread.start()
    sys.stdout.write("probing\n")
    sys.stdout.flush()
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(int(sys.argv[1]))
