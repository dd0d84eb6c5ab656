"""A generation: a process that loads models, checks them and forks the workers that serve them.

It is a child of the supervisor, which loads nothing itself: so a bad artifact, and the memory of
everything that was served before, ends with a process.
"""

import logging
import os
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import uvicorn

from dandelion import ArtifactError, KernelError
from dandelion.serving import ServingError

from ..serving.generations import Action
from ..serving.phase import SharedPhase
from ..settings import SettingsError
from ..telemetry import logs
from ..telemetry.metrics import Metrics
from . import parents, signals
from .channel import Failed, Loaded
from .worker_processes import Place, WorkerProcesses, freeze

# What may be wrong with what is to be served: each has a message for people.
_EXPECTED: Final = (ServingError, ArtifactError, KernelError, SettingsError)

_MAX_LISTED: Final = 5

_log = logging.getLogger("dandelion")


@dataclass(frozen=True)
class Snapshot:
    """What a generation has loaded.

    Attributes:
        generation: its number.
        serving_file: the content of ``serving.toml`` then.
        contents: path of each artifact and policy file → hash of its content.
        models: model → variant and version.
    """

    generation: int
    serving_file: str
    contents: Mapping[str, str]
    models: Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Order:
    """What a generation is to load.

    Attributes:
        generation: its number.
        action: what began it.
        snapshot: what it is to restore; None for what is on disk.
    """

    generation: int
    action: Action
    snapshot: Snapshot | None = None


@dataclass(frozen=True)
class Product:
    """What a generation has loaded, ready to be served.

    Attributes:
        config: of the servers.
        serving_file, contents, models: see `Snapshot`.
    """

    config: uvicorn.Config
    serving_file: str = ""
    contents: Mapping[str, str] | None = None
    models: Mapping[str, Mapping[str, str]] | None = None


Load = Callable[[Order], Product]


def run(order: Order, load: Load, workers: int, metrics: Metrics, place: Place) -> int:
    """Be a generation: load, report, await the sockets, and keep the workers; in a forked process.

    Args:
        order: what to load.
        load: loads it.
        workers: how many.
        metrics: with room for the workers.
        place: among the other generations.

    Returns:
        The exit code.
    """
    # Until it has workers, nothing is lost with it.
    parents.ask_for_signal_at_parent_end(signal.SIGKILL)
    if os.getppid() != place.supervisor:
        return 1
    for number in (*signals.HARMLESS, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    metrics.write_to(place.row)
    try:
        product = load(order)
        contents = dict(product.contents or {})
        if order.snapshot is not None:
            _check_unchanged(order.snapshot, contents)
    except _EXPECTED as error:
        place.channel.send(Failed(str(error), is_setting=isinstance(error, SettingsError)))
        return 1
    except Exception as error:  # noqa: BLE001 - whatever it is, the generation before goes on
        facts = {"error": type(error).__qualname__, "where": logs.where(error.__traceback__)}
        _log.error("unexpected error", extra=facts)
        place.channel.send(Failed(f"unexpected error: {type(error).__qualname__}; see the log"))
        return 1
    product.config.load()
    product.config.get_loop_factory()  # imports the event loop
    freeze()
    models = {model: dict(facts) for model, facts in (product.models or {}).items()}
    place.channel.send(Loaded(product.serving_file, contents, models))
    try:
        sockets = place.channel.receive_sockets(workers)
    except (EOFError, OSError):  # the supervisor has ended
        return 1
    return WorkerProcesses(product.config, sockets, metrics, SharedPhase(), place).run()


def _check_unchanged(snapshot: Snapshot, contents: Mapping[str, str]) -> None:
    """Check that what is restored is what was served.

    Raises:
        ServingError: files were changed since.
    """
    names = {*snapshot.contents, *contents}
    changed = sorted(name for name in names if snapshot.contents.get(name) != contents.get(name))
    if changed:
        listed = ", ".join(changed[:_MAX_LISTED])
        more = f" and {len(changed) - _MAX_LISTED} more" if len(changed) > _MAX_LISTED else ""
        raise ServingError(
            f"what generation {snapshot.generation} served is no longer on disk: {listed}{more} "
            "changed since; put the files back, or reload"
        )
