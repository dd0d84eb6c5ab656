"""Run the service: ``python -m app``, ``dandelion serve``."""

import gc
import logging
import signal
import socket
import sys
from collections.abc import Sequence

import uvicorn

from dandelion import ArtifactError, KernelError
from dandelion.serving import ServingError

from . import options, settings
from .main import create_app
from .settings import Settings, SettingsError
from .telemetry import logs
from .telemetry.metrics import Metrics
from .workers import sockets, supervisor

_log = logging.getLogger("dandelion")


def main(arguments: Sequence[str] | None = None, program: str = f"python -m {__package__}") -> int:
    """Serve until a signal stops it.

    Args:
        arguments: of the command line, see `options`; None for this process's.
        program: the name of the command, for its help.

    Returns:
        The exit code: 2 for wrong settings, 1 for artifacts that cannot be served. After a signal
        the process ends by that signal instead.
    """
    try:
        chosen = settings.load(options.parse(arguments, program))
        _check_platform(chosen)
        bound = sockets.bind(chosen.host, chosen.port)
        logs.configure(chosen.log_format, chosen.log_level)
        code = _serve(chosen, bound)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (ServingError, ArtifactError, KernelError) as error:
        _log.critical("%s", error)
        return 1
    except KeyboardInterrupt:  # uvicorn re-raises SIGINT when all is done
        code = -signal.SIGINT
    if code < 0:  # end by the signal that was sent, without Python's traceback for SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(-code)
    return max(code, 0)


def _check_platform(chosen: Settings) -> None:
    if chosen.workers > 1 and not supervisor.CAN_FORK:
        raise SettingsError(
            f"{settings.source('workers')}: {chosen.workers} is not possible on this system, whose "
            "processes cannot be forked; set it to 1"
        )


def _serve(chosen: Settings, bound: list[socket.socket]) -> int:
    """Load the models, then listen; returns the exit code, or a signal's number, negative."""
    metrics = Metrics(workers=chosen.workers if supervisor.CAN_FORK else 0)
    config = uvicorn.Config(
        create_app(chosen, metrics),
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # nothing here needs the client's address
        timeout_graceful_shutdown=chosen.shutdown_grace_s,
    )
    listening = sockets.listen(bound, chosen.host, chosen.workers)
    if supervisor.CAN_FORK:
        return supervisor.run(config, listening, metrics)
    gc.freeze()  # the models stay, so the collector need not traverse them
    uvicorn.Server(config).run(listening[0])
    return 0


if __name__ == "__main__":
    sys.exit(main())
