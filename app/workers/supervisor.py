"""The supervisor: holds the sockets and the shared memory, and replaces one generation by another.

It loads no model. Each generation is a child, see `generation`, and has its own workers, see
`worker_processes`. While another one loads, the current one serves; when all workers of the new one
accept connections, the old ones are asked to retire.
"""

import logging
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec

from ..serving.generations import Action, Refused, Reply, Report, Request, State
from ..serving.phase import Phase
from ..settings import SettingsError, variable
from ..telemetry.generation_metrics import GENERATIONS, Outcome
from ..telemetry.metrics import Metrics
from . import generation, parents, server, signals
from .channel import Failed, Loaded, Serves
from .events import Events
from .generation import Load, Order, Snapshot
from .member import Member
from .shared import Shared, Times
from .worker_processes import Place, check_fork, freeze

if TYPE_CHECKING:
    from collections.abc import Callable

    from .sockets import Listener

# A generation that is killed is not replaced sooner than that.
_SHORT_LIFE_S: Final = 1.0
# What the processes of a generation may need to end in addition to their own time limits.
_MARGIN_S: Final = 2.0
# How often to look for the end of orphans that are still there.
_LOOK_S: Final = 0.02
_OUTCOMES: Final = {Action.RELOAD: Outcome.LOADED, Action.ROLLBACK: Outcome.ROLLED_BACK}

_log = logging.getLogger("dandelion")

Facts = Mapping[str, int | str | None]


class Supervisor:
    """Keeps a generation serving, until a signal stops the service.

    Args:
        load: loads a generation, in its process.
        listen: opens the sockets of each worker, once the first generation has loaded.
        workers: of a generation.
        metrics: with room for them.
        shared: memory that every process has.
        times: limits.
    """

    def __init__(  # noqa: PLR0913, PLR0917
        self,
        load: Load,
        listen: "Callable[[], Listener]",
        workers: int,
        metrics: Metrics,
        shared: Shared,
        times: Times,
    ) -> None:
        self._load = load
        self._listen = listen
        self._workers = workers
        self._metrics = metrics
        self._shared = shared
        self._times = times
        self._lifeline = parents.Lifeline()
        self._adopts = parents.become_parent_of_orphans()
        self._listener: Listener | None = None
        self._all: list[Member] = []  # every generation that has a process, or a worker
        self._current: Member | None = None
        self._next: Member | None = None  # it loads, or waits for the end of an earlier one
        self._previous: Snapshot | None = None
        self._number = 0  # of the last generation
        self._reload_again = False
        self._restart_at: float | None = None  # the current generation was killed
        self._stop_at: float | None = None
        self._exit_code: int | None = None
        self._events = Events(signals.HANDLED)

    def run(self) -> int:
        """Serve; returns the exit code, or the number of the signal that ended it, negative.

        Raises:
            SettingsError: the first generation cannot be served because of a setting.
        """
        freeze()
        try:
            self._begin(Action.START)
            while self._exit_code is None:
                self._step()
            self._stop()
            return self._exit_code
        finally:  # nothing is left where an error ends it
            for member in self._all:
                member.kill(self._workers_of(member))
            self._events.close()

    def _step(self) -> None:
        """Wait for something to happen, and act on it."""
        self._start_next()
        numbers = self._events.wait(self._sources(), self._seconds())
        self._receive()  # first, as a signal may follow from what a worker answered
        for number in numbers:
            if self._exit_code is None:
                self._handle(number)
        for request in self._shared.requests.receive():
            self._shared.reports.reply(request.ticket, self._reply(request))
        self._collect()
        now = time.monotonic()
        self._kill_late(now)
        if self._stop_at is not None and now >= self._stop_at:
            self._exit_code = -signal.SIGTERM

    def _sources(self) -> list[int]:
        channels = [member.channel.fileno() for member in self._all if member.is_open]
        return [self._shared.requests.fileno(), *channels]

    def _seconds(self) -> float | None:
        """Return for how long to wait at most; None for ever."""
        times = [self._stop_at, *(member.ends_at for member in self._all)]
        if self._next is None and self._is_serving:
            times.append(self._restart_at)
        due = [at - time.monotonic() for at in times if at is not None]
        if any(member.has_ended and self._workers_of(member) for member in self._all):
            due.append(_LOOK_S)
        return max(0.0, min(due)) if due else None

    @property
    def _is_serving(self) -> bool:
        return self._shared.service.current is Phase.SERVING

    # Signals and requests.

    def _handle(self, number: int) -> None:
        if number == signal.SIGTERM and self._times.drain and self._is_serving and self._current:
            self._stop_at = time.monotonic() + self._times.drain
            self._shared.service.advance(Phase.DRAINING)
            self._drop_next("the service stops")
            self._current.ask(Phase.DRAINING)
            server.log_drain(self._times.drain)
        elif number in {signal.SIGTERM, signal.SIGINT}:
            self._exit_code = -number
        elif number in signals.HARMLESS and not (signals.is_reload(number) and self._is_serving):
            signals.log_ignored(number)
        elif signals.is_reload(number):
            if self._next is None:
                self._begin(Action.RELOAD)
            else:  # what was changed since it began to load is not lost
                self._reload_again = True

    def _reply(self, request: Request) -> Reply:
        if not self._is_serving:
            return Reply(refused=Refused.STOPPING)
        if self._next is not None:
            return Reply(self._next.number, Refused.BUSY)
        if request.action is not Action.ROLLBACK:
            return Reply(self._begin(Action.RELOAD))
        if self._previous is None:
            return Reply(refused=Refused.NO_PREVIOUS)
        return Reply(self._begin(Action.ROLLBACK, self._previous))

    # From one generation to the next.

    def _begin(self, action: Action, snapshot: Snapshot | None = None) -> int:
        """Begin a generation; returns its number. Its process starts as soon as there is room."""
        self._number += 1
        restores = None if snapshot is None else snapshot.generation
        report = Report(self._number, action, restores=restores)
        self._next = Member(Order(self._number, action, snapshot), report)
        self._shared.reports.put(report)
        if action is not Action.START:
            facts = {"generation": self._number, "action": action.value}
            _log.info("loading another generation", extra=facts)
        return self._number

    def _begin_again(self) -> None:
        """Begin the reload that was asked for while another one ran."""
        if self._reload_again and self._is_serving:
            self._reload_again = False
            self._begin(Action.RELOAD)

    def _start_next(self) -> None:
        """Start the process of the next generation, if one is due and there is room for it."""
        if self._next is None and self._restart_at is not None and self._is_serving:
            if time.monotonic() < self._restart_at or self._current is None:
                return
            self._begin(Action.RESTART, self._current.snapshot)
        if self._next is None or self._next.process is not None:
            return
        if len(self._all) < GENERATIONS:
            self._fork(self._next)
            return
        for member in self._all:  # the oldest that drains ends now
            if member is not self._current:
                member.ask(Phase.STOPPING)
                break

    def _fork(self, member: Member) -> None:
        row = self._metrics.open_row(member.number)
        place = Place(
            number=member.number,
            row=row,
            supervisor=os.getpid(),
            service=self._shared.service,
            asked=member.asked,
            lifeline=self._lifeline,
            channel=member.other_end,
            drain_s=self._times.retire,
            orphan_s=self._times.load + self._times.retire + self._times.stop,
        )
        process = multiprocessing.get_context("fork").Process(
            target=self._work,
            args=(member.order, place),
            name=f"generation-{member.number}",
        )
        try:
            with self._events.held():
                check_fork()
                process.start()
        except OSError as error:
            self._metrics.retire(row)
            member.close()
            self._fail(member, f"could not start a process: {error.strerror}")
            return
        finally:
            member.other_end.close()
        member.begun = time.monotonic()
        if member.order.action is not Action.START:
            member.ends_at = member.begun + self._times.load
        member.process = process
        self._all.append(member)

    def _work(self, order: Order, place: Place) -> None:
        """Entry point of a generation's process."""
        self._events.leave()
        self._lifeline.leave()
        self._shared.requests.leave()
        for member in (*self._all, self._next):
            if member is not None:
                member.channel.close()
        if self._listener is not None:  # it receives them
            self._close_sockets(self._listener)
        sys.exit(generation.run(order, self._load, self._workers, self._metrics, place))

    def _receive(self) -> None:
        """Act on what generations report."""
        for member in self._all:
            for message in member.channel.receive() if member.is_open else ():
                if isinstance(message, Failed):
                    member.failure = message
                elif member is not self._next:
                    continue
                elif isinstance(message, Loaded):
                    self._loaded(member, message)
                elif isinstance(message, Serves):
                    member.serving.add(message.worker)
                    # The first generation replaces none: it serves as soon as one of them does.
                    is_first = member.order.action is Action.START
                    if is_first or len(member.serving) == self._workers:
                        self._activate(member)

    def _loaded(self, member: Member, message: Loaded) -> None:
        """Let a generation start its workers."""
        member.snapshot = Snapshot(
            member.number, message.serving_file, message.contents, message.models
        )
        if self._listener is None:
            self._listener = self._listen()
        try:
            member.channel.send_sockets(self._listener.sockets)
        except OSError as error:
            self._fail(member, f"did not take its sockets: {error}")

    def _activate(self, member: Member) -> None:
        """Let the generation that serves now be the current one, and the one before retire."""
        before, self._current, self._next = self._current, member, None
        self._restart_at = member.ends_at = None
        action = member.order.action
        models = member.snapshot.models if member.snapshot is not None else {}
        self._publish(member, state=State.SERVING, finished=time.time(), models=models)
        if before is not None:
            is_rolled_back = action is Action.ROLLBACK
            self._publish(before, state=State.ROLLED_BACK if is_rolled_back else State.SUPERSEDED)
            if action is not Action.RESTART:
                self._previous = before.snapshot
            if action in _OUTCOMES:
                self._metrics.generations.count_reload(_OUTCOMES[action])
            self._retire(before)
            facts = {"generation": member.number, "action": action.value}
            _log.info("another generation serves", extra=facts)
        self._begin_again()

    def _retire(self, member: Member) -> None:
        """Let the workers of a generation finish with their connections."""
        member.ask(Phase.RETIRING)
        member.ends_at = time.monotonic() + self._times.retire + self._times.stop + _MARGIN_S

    def _drop_next(self, reason: str) -> None:
        """Give up the generation that loads."""
        if self._next is not None:
            member = self._next
            self._fail(member, reason)
            member.kill()  # its workers, if any, finish with their connections

    def _fail(self, member: Member, reason: str, facts: Facts | None = None) -> None:
        """Give up a generation that does not serve; what was served before goes on."""
        self._next = None
        self._publish(member, state=State.FAILED, finished=time.time(), reason=reason)
        if member.order.action is Action.START:
            if self._exit_code is None:
                self._refuse_start(member.failure, reason, facts)
            return
        if member.order.action is Action.RESTART:
            self._restart_at = time.monotonic() + _SHORT_LIFE_S
        else:
            self._metrics.generations.count_reload(Outcome.FAILED)
        _log.error(
            "%s failed; generation %d goes on",
            member.order.action.value,
            self._current.number if self._current else 0,
            extra={"generation": member.number, "reason": reason, **(facts or {})},
        )
        self._retire(member)
        self._begin_again()

    def _refuse_start(self, failure: Failed | None, reason: str, facts: Facts | None) -> None:
        """End the service, whose first generation cannot be served.

        Raises:
            SettingsError: a setting is wrong.
        """
        if failure is not None and failure.is_setting:
            raise SettingsError(reason)
        if facts:
            _log.critical("%s; stopping the service", reason, extra=facts)
        else:
            _log.critical("%s", reason)
        self._exit_code = 1

    def _publish(self, member: Member, **changes: object) -> None:
        member.report = msgspec.structs.replace(member.report, **changes)
        self._shared.reports.put(member.report)

    # The end of generations.

    def _collect(self) -> None:
        """Act on generations that have ended, and wait for their workers."""
        for member in [*self._all]:
            if member.exit_code is not None and not member.has_ended:
                member.has_ended = True
                self._ended(member, member.exit_code)
        parents.reap_orphans({each.process.pid for each in self._all if each.process is not None})
        for member in [*self._all]:
            if member.has_ended and not member.is_open and not self._workers_of(member):
                self._metrics.retire_all(member.number)
                member.close()
                self._all.remove(member)

    def _ended(self, member: Member, exit_code: int) -> None:
        """Act on the end of a generation's process."""
        failure = member.failure
        if member is self._next:
            if failure is not None:
                self._fail(member, failure.reason, failure.facts)
            elif exit_code < 0:
                self._fail(member, f"killed by signal {-exit_code} while it was loading")
            else:
                self._fail(member, f"ended with exit code {exit_code} while it was loading")
            if member.order.action is Action.RESTART and exit_code >= 0:
                _log.critical("what was served cannot be served again; stopping the service")
                self._exit_code = 1
        elif member is self._current and self._exit_code is None:
            facts: Facts = {"generation": member.number, "exit_code": exit_code}
            if failure is not None:
                facts = {**facts, **failure.facts}
            if exit_code > 0:
                reason = failure.reason if failure is not None else "a generation's process failed"
                _log.critical("%s; stopping the service", reason, extra=facts)
                self._exit_code = 1
            else:
                _log.warning("a generation's process died; starting another", extra=facts)
                now = time.monotonic()
                is_short = now - member.begun < _SHORT_LIFE_S
                self._restart_at = now + _SHORT_LIFE_S if is_short else now

    def _kill_late(self, now: float) -> None:
        """Kill what has not ended, or not loaded, in time."""
        for member in [*self._all]:
            if member.ends_at is None or now < member.ends_at:
                continue
            member.ends_at = None
            if member is self._next:
                limit = f"{self._times.load:g} s ({variable('reload_timeout_s')})"
                self._drop_next(f"did not serve within {limit}")
                if member.order.action is Action.RESTART:
                    self._exit_code = 1
            else:
                _log.error(
                    "a generation did not end in time; killing it",
                    extra={"generation": member.number},
                )
                member.kill(self._workers_of(member))

    def _workers_of(self, member: Member) -> list[int]:
        """Return the processes of a generation that count and that run, but for its own."""
        if not self._adopts:  # their ids may be those of other programs by now
            return []
        own = member.process.pid if member.process is not None else None
        # Once adopted, they are waited for here, and their ids may be those of other programs.
        is_left = parents.is_child if member.has_ended else parents.exists
        return [
            pid for pid in self._metrics.process_ids(member.number) if pid != own and is_left(pid)
        ]

    def _stop(self) -> None:
        """Let all finish the requests in flight; end those that do not stop in time."""
        if self._listener is not None:
            self._listener.withdraw()
            self._close_sockets(self._listener)
        self._shared.service.advance(Phase.STOPPING)
        self._drop_next("the service stops")
        for member in self._all:
            member.ask(Phase.STOPPING)
            member.ends_at = time.monotonic() + self._times.stop + _MARGIN_S
        while self._all:
            for number in self._events.wait(self._sources(), self._seconds()):
                if number == signal.SIGINT:  # a second one
                    for member in self._all:
                        member.ask(Phase.KILLED)
                elif number in signals.HARMLESS:
                    signals.log_ignored(number)
            self._receive()
            self._collect()
            self._kill_late(time.monotonic())

    def _close_sockets(self, listener: "Listener") -> None:
        for sockets in listener.sockets:
            for each in sockets:
                each.close()
