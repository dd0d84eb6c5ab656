"""The command: from its arguments to a service that listens, and to its exit code."""

import asyncio
import gc
import importlib.util
import logging
import signal
import socket
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import uvicorn
from starlette.types import ASGIApp

from dandelion import ArtifactError, KernelError
from dandelion.serving import ServingError, read_serving_file

from . import options, settings
from .connections import descriptors, event_loop
from .connections.open_connections import Connections
from .main import assemble, create_app, load
from .process_lock import SharingError
from .serving.artifacts import locate
from .serving.generations import Control
from .serving.phase import SharedPhase
from .serving.rates import SharedRates
from .settings import Settings, SettingsError
from .telemetry import logs
from .telemetry.metrics import Metrics
from .workers import limits, signals, sockets, unix_socket
from .workers.announcement import Address, announce
from .workers.generation import Order, Product
from .workers.processors import available
from .workers.server import SingleServer
from .workers.shared import Shared, Times
from .workers.sockets import Listener
from .workers.supervisor import Supervisor

# Workers for each processor from which a warning is due.
_MANY: Final = 2

# What reads requests from connections.
Http = type[asyncio.Protocol] | Literal["auto"]

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
    signals.ignore()  # what does not end the service later does not end its start either
    try:
        chosen = settings.load(options.parse(arguments, program))
        bound = _bind(chosen)
        logs.configure(chosen.log_format, chosen.log_level)
        _check_workers(chosen, len(bound) or 1)
        settings.log_service_links()
        code = _serve(chosen, bound)
    except SettingsError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except (ServingError, ArtifactError, KernelError, SharingError) as error:
        _log.critical("%s", error)
        return 1
    except KeyboardInterrupt:  # uvicorn re-raises SIGINT when all is done
        code = -signal.SIGINT
    if code < 0:  # end by the signal that was sent, without Python's traceback for SIGINT
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        signal.raise_signal(-code)
    return max(code, 0)


def _check_workers(chosen: Settings, addresses: int) -> None:
    """Refuse workers that the system cannot run; warn of more than its processors can use."""
    if chosen.workers == 1:
        return
    name = settings.source("workers")
    if not limits.CAN_FORK:
        raise SettingsError(
            f"{name}: {chosen.workers} is not possible on this system, whose processes cannot be "
            "forked; set it to 1"
        )
    needed = limits.open_files(chosen.workers, addresses)
    allowed = descriptors.raise_limit()
    if needed > allowed:
        raise SettingsError(
            f"{name}: {chosen.workers} need {needed} open files, and the system allows {allowed} "
            "(ulimit -n); set fewer"
        )
    processors = available()
    if chosen.workers > _MANY * processors:
        facts = {"workers": chosen.workers, "processors": processors}
        _log.warning("many more workers than processors; each takes memory", extra=facts)


def _bind(chosen: Settings) -> list[socket.socket]:
    """Take the address before the models are loaded; a Unix domain socket is only checked."""
    if chosen.uds is None:
        return sockets.bind(chosen.host, chosen.port)
    if not hasattr(socket, "AF_UNIX"):
        raise SettingsError(f"{settings.source('uds')}: this system has no Unix domain sockets")
    unix_socket.check(chosen.uds)
    return []


def _listen(chosen: Settings, bound: list[socket.socket]) -> Listener:
    if chosen.uds is None:
        listener = sockets.listen(bound, chosen.host, chosen.workers)
        listens = bound[0].getsockname()[1]
    else:
        listener = unix_socket.listen(chosen.uds, chosen.workers)
        listens = 0
    uds = str(chosen.uds.absolute()) if chosen.uds else None
    announce(Address(chosen.host, chosen.port, listens, uds))
    return listener


def _serve(chosen: Settings, bound: list[socket.socket]) -> int:
    """Load the models, then listen; returns the exit code, or a signal's number, negative."""
    metrics = Metrics(workers=chosen.workers if limits.CAN_FORK else 0)
    http = _protocol(chosen, metrics, len(bound) or 1)  # first: it may refuse the start
    listen = partial(_listen, chosen, bound)
    rates = SharedRates(is_shared=limits.CAN_FORK)
    if limits.CAN_FORK:
        shared = Shared()

        def load_one(order: Order) -> Product:
            for each in bound:  # inherited; the process receives those that listen
                each.close()
            return _load(chosen, metrics, http, shared, rates, order)

        times = Times(
            drain=chosen.drain_s,
            grace=chosen.shutdown_grace_s,
            load=chosen.reload_timeout_s,
            retire=chosen.reload_drain_s,
        )
        return Supervisor(load_one, listen, chosen.workers, metrics, shared, times).run()
    phase = SharedPhase()
    config = _config(chosen, create_app(chosen, metrics, phase, rates), http)
    listener = listen()
    try:
        gc.freeze()  # the models stay, so the collector need not traverse them
        server = SingleServer(config, phase, chosen.drain_s, listener.withdraw)
        server.run(list(listener.sockets[0]))
    finally:  # where a start fails
        listener.withdraw()
    return 0


def _load(  # noqa: PLR0913, PLR0917
    chosen: Settings,
    metrics: Metrics,
    http: Http,
    shared: Shared,
    rates: SharedRates,
    order: Order,
) -> Product:
    """Load a generation; in its process.

    Raises:
        ServingError, ArtifactError, KernelError, SettingsError: see `main.load`, `main.assemble`.
    """
    if order.snapshot is None:
        local = locate(chosen)
        serving_file = read_serving_file(Path(local.settings.artifacts))
    else:
        local = locate(chosen, order.snapshot.serving_file, order.snapshot.contents)
        serving_file = order.snapshot.serving_file.encode()
    registry = load(local.settings, metrics, serving_file)
    control = Control(order.generation, shared.reports, shared.requests.writing)
    app = assemble(local.settings, registry, metrics, shared.service, rates, control)
    manifests = [served.manifest for served in registry.all()]
    models = {one.model: {"variant": one.variant, "version": one.version} for one in manifests}
    config = _config(chosen, app, http)
    return Product(config, serving_file.decode(), local.contents(registry.contents), models)


def _config(chosen: Settings, app: ASGIApp, http: Http) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=http,
        ws="none",
        loop=f"{event_loop.__name__}:{event_loop.create.__name__}",
        workers=1,  # of uvicorn's; by default it reads a variable of other programs
        log_config=None,
        access_log=False,
        server_header=False,
        # Only the access log has the client's address.
        proxy_headers=bool(chosen.trusted_proxies),
        forwarded_allow_ips=chosen.trusted_proxies,
        timeout_keep_alive=chosen.keep_alive_s,  # type: ignore[arg-type] # of a timer, not whole
        timeout_graceful_shutdown=chosen.shutdown_grace_s,
    )


def _protocol(chosen: Settings, metrics: Metrics, addresses: int) -> Http:
    """Return what reads requests from connections.

    Raises:
        SettingsError: too few file descriptors.
    """
    if importlib.util.find_spec("httptools") is None:  # Windows
        _log.warning("without httptools: no limits on connections, URLs and headers, no timeouts")
        return "auto"
    from .connections.protocol import protocol  # noqa: PLC0415

    possible = descriptors.connections_within(
        descriptors.raise_limit(),
        chosen.max_connections,
        others=limits.open_files(chosen.workers, addresses),
    )
    return protocol(Connections(chosen, metrics, possible))
