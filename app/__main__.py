"""Run the service: ``python -m app``."""

import errno
import logging
import signal
import socket
import sys
from typing import Any

import uvicorn

from dandelion import ArtifactError, KernelError
from dandelion.serving import ServingError

from . import settings
from .settings import Settings, SettingsError
from .telemetry import logs
from .workers import supervisor

_log = logging.getLogger("dandelion")


def main() -> int:
    """Serve until told to stop; returns the exit code."""
    try:
        chosen = settings.load()
        _check_address(chosen)
        logs.configure(chosen.log_format, chosen.log_level)
        with supervisor.metrics_directory(chosen.workers):
            code = _serve(chosen)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:  # uvicorn hands SIGINT on when all is done
        code = -signal.SIGINT
    if code < 0:  # end by the signal that was sent, without Python's traceback for SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(-code)
    return max(code, 0)


def _check_address(chosen: Settings) -> None:
    """Try to listen before the models are loaded: uvicorn tells it among ten other lines.

    Raises:
        SettingsError: the host has no address of this machine, or the port cannot be had.
    """
    host, port = chosen.host, chosen.port
    family = socket.AF_UNSPEC
    if chosen.workers > 1:  # whose sockets uvicorn opens, for one family alone
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        found = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(f"DANDELION_HOST: {host!r} has no address ({error})") from error
    failed = [failure for one in found if (failure := _try_to_bind(*one)) is not None]
    for failure in failed:
        if failure.errno in {errno.EADDRINUSE, errno.EACCES}:
            raise SettingsError(
                f"DANDELION_PORT: cannot listen on {host}:{port}: {failure.strerror}; "
                "choose another port"
            ) from failure
    if len(failed) == len(found):
        raise SettingsError(
            f"DANDELION_HOST: cannot listen on {host!r}: {failed[0].strerror}"
        ) from failed[0]


def _try_to_bind(
    family: int, kind: int, protocol: int, _: str, address: tuple[Any, ...]
) -> OSError | None:
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _serve(chosen: Settings) -> int:
    """Serve; returns the exit code, or the number of the signal that ended it, negative."""
    # Here, because they import prometheus_client, which must find the workers' directory.
    from .main import create_app  # noqa: PLC0415
    from .telemetry.metrics import Metrics  # noqa: PLC0415

    failures: list[Exception] = []

    def stop(error: Exception) -> None:
        failures.append(error)
        server.should_exit = True
        expected = isinstance(error, (ArtifactError, KernelError))
        _log.critical("%s", error, exc_info=None if expected else error)

    metrics = Metrics(chosen.workers)
    try:
        app = create_app(chosen, stop, metrics)
    except (ServingError, ArtifactError, KernelError) as error:
        _log.critical("%s", error)
        return 1
    config = uvicorn.Config(
        app,
        host=chosen.host,
        port=chosen.port,
        workers=chosen.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here asks who the client is
        timeout_graceful_shutdown=chosen.shutdown_grace_s,
    )
    if chosen.workers > 1:
        return supervisor.run(config, metrics)
    server = uvicorn.Server(config)
    server.run()
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
