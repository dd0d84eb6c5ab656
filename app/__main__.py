"""Run the service: ``python -m app``."""

import logging
import sys

import uvicorn

from dandelion import ArtifactError

from . import logs, settings
from .main import create_app
from .registry import ServingError
from .settings import SettingsError

_log = logging.getLogger("dandelion")


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    try:
        chosen = settings.load()
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    logs.configure(chosen.log_format, chosen.log_level)
    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True
        expected = isinstance(error, ArtifactError)
        _log.critical("%s", error, exc_info=None if expected else error)

    try:
        app = create_app(chosen, stop)
    except (ServingError, ArtifactError) as error:
        _log.critical("%s", error)
        return 1
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            host=chosen.host,
            port=chosen.port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=chosen.shutdown_grace_s,
        )
    )
    server.run()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
