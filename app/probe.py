"""Check whether the service is ready: ``python -m app.probe``, for a container's health check.

It asks the service that is process 1, as in a container, where that listens; else the one at the
configured address. The service listens only once its models are loaded: until then the connection
is refused, which counts as not ready. A service that cannot classify now, or that drains because it
will stop, responds with 503.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Final

from .local_service import NotFoundError, configured, connections, detail, find, shown
from .workers.announcement import Address

__all__ = ["NotReadyError", "configured", "main"]

_TIMEOUT_S: Final = 2
_MAX_BYTES: Final = 4096

NotReadyError = NotFoundError


def main() -> int:
    """Return the exit code: 0 if the service on this machine is ready, else 1, with a reason."""
    try:
        _check(find())
    except NotReadyError as error:
        sys.stderr.write(" ".join(f"not ready: {error}".split()) + "\n")
        return 1
    return 0


def _check(address: Address) -> None:
    """Ask the service.

    Raises:
        NotReadyError: it cannot be reached, or responds with an error.
    """
    failures: list[Exception] = []
    for connect in connections(address, _TIMEOUT_S):
        try:
            _ask(connect())
        except (OSError, HTTPException, ValueError) as error:
            failures.append(error)
        else:
            return
    raise NotReadyError(f"{shown(address)}: {failures[0] or type(failures[0]).__name__}")


def _ask(connection: HTTPConnection) -> None:
    try:
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        if response.status != HTTPStatus.OK:
            raise NotReadyError(f"{response.status} {detail(response.read(_MAX_BYTES))}")
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
