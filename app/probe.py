"""Ask the service whether it is ready: ``python -m app.probe``, for a container's health check."""

import sys
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException

from . import settings


def main() -> int:
    """Return 0 if the service on this machine is ready, else 1."""
    connection = HTTPConnection("127.0.0.1", settings.load().port, timeout=2)
    try:
        connection.request("GET", "/readyz")
        return int(connection.getresponse().status != HTTPStatus.OK)
    except (OSError, HTTPException):
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
