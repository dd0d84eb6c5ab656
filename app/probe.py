"""Check whether the service is ready: ``python -m app.probe``, for a container's health check.

The service listens only once its models are loaded: until then the connection is refused, which
counts as not ready. A service that listens but cannot classify now responds with 503.
"""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from .settings import Address


def main() -> int:
    """Return the exit code: 0 if the service on this machine is ready, else 1."""
    connection = HTTPConnection("127.0.0.1", Address().port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != HTTPStatus.OK)
    except (OSError, HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
