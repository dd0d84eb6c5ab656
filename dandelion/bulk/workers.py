"""Processes that score, each with the artifact loaded once; results come in the order of the tasks.

Each worker has a pipe of its own, and one task at a time. If it dies, its pipe ends, and so does a
worker whose parent dies: nobody waits for somebody who is gone.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from threadpoolctl import threadpool_limits

from .errors import BulkError
from .job import Job
from .scorer import Scorer

Task = TypeVar("Task")
Message = TypeVar("Message")
Result = TypeVar("Result")

# Blocks that are read ahead or wait for an earlier one, for each worker.
_WAITING: Final = 3

_PATIENCE_S: Final = 5


class Workers:
    """Workers for a job; a context manager that ends them.

    Args:
        job: what they do.
        count: how many there are. A single one is this process itself.

    Raises:
        ArtifactError, ThresholdError: see `Scorer`.
        BulkError: a worker died.
    """

    def __init__(self, job: Job, count: int) -> None:
        self._scorer = Scorer(job) if count == 1 else None
        self._processes: list[Any] = []
        self._pipes: list[Connection] = []
        if count > 1:
            try:
                self._start(job, count)
            except BaseException:
                self._end(at_once=True)
                raise

    def _start(self, job: Job, count: int) -> None:
        context = multiprocessing.get_context("spawn")  # the same everywhere
        with _interrupts_held_back():
            for _ in range(count):
                ours, theirs = context.Pipe()
                process = context.Process(target=_work, args=(job, theirs), daemon=True)
                process.start()
                theirs.close()  # so that the pipe ends with the worker
                self._processes.append(process)
                self._pipes.append(ours)
        for pipe in self._pipes:
            self._receive(pipe)

    @property
    def process_ids(self) -> list[int]:
        """Of the workers that are processes of their own."""
        return [process.pid for process in self._processes]

    def each(
        self,
        function: Callable[[Scorer, Message], Result],
        tasks: Iterable[tuple[Task, Message]],
    ) -> Iterator[tuple[Task, Result]]:
        """Yield tasks and their results, in order; a few tasks are taken ahead.

        Args:
            function: of a module, as it goes to other processes by its name.
            tasks: what stays here, and what is sent to a worker, which can be pickled.

        Raises:
            BulkError: a worker died.
        """
        if self._scorer is not None:
            for task, message in tasks:
                yield task, function(self._scorer, message)
            return
        coming = iter(tasks)
        idle, busy = [*self._pipes], dict[Connection, int]()
        waiting: deque[tuple[Task, list[Result]]] = deque()
        first, is_over = 0, False  # the number of the first one that waits
        while True:
            while idle and not is_over and len(waiting) < _WAITING * len(self._pipes):
                for task, message in coming:
                    pipe = idle.pop()
                    busy[pipe] = first + len(waiting)
                    waiting.append((task, []))
                    self._send(pipe, (function, message))
                    break
                else:
                    is_over = True
            while waiting and waiting[0][1]:
                task, (result,) = waiting.popleft()
                first += 1
                yield task, result
            if not busy:
                if is_over:
                    return
                continue
            for ready in wait(list(busy)):
                pipe = ready  # type: ignore[assignment]
                number = busy.pop(pipe)
                waiting[number - first][1].append(self._receive(pipe))
                idle.append(pipe)

    def _send(self, pipe: Connection, message: object) -> None:
        try:
            pipe.send(message)
        except OSError:
            raise self._death(pipe) from None

    def _receive(self, pipe: Connection) -> Any:
        try:
            is_error, value = pipe.recv()
        except (EOFError, OSError):
            raise self._death(pipe) from None
        if is_error:
            raise value
        return value

    def _death(self, pipe: Connection) -> BulkError:
        process = self._processes[self._pipes.index(pipe)]
        process.join(_PATIENCE_S)
        how = f"exit code {process.exitcode}"
        if process.exitcode is not None and process.exitcode < 0:
            how = f"signal {-process.exitcode}"
        return BulkError(
            f"worker {process.pid} died ({how}), perhaps for lack of memory: try fewer --workers"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(at_once=error is not None)

    def _end(self, *, at_once: bool) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            if at_once:
                process.terminate()
        for process in self._processes:
            process.join(_PATIENCE_S)
            if process.is_alive():
                process.kill()
                process.join()


def _work(job: Job, pipe: Connection) -> None:
    """Score what comes until the pipe ends: a worker's entry point."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the parent, which ends this one
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), threadpool_limits(1):
        try:
            scorer = Scorer(job)
        except Exception as error:  # noqa: BLE001 - raised again by the parent
            pipe.send((True, error))
            return
        pipe.send((False, None))
        while True:
            function, message = pipe.recv()
            try:
                result = False, function(scorer, message)
            except Exception as error:  # noqa: BLE001 - raised again by the parent
                result = True, error
            pipe.send(result)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Have processes begin with Ctrl-C blocked, until they ignore it."""
    is_possible = hasattr(signal, "pthread_sigmask")
    if not is_possible or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def usable_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
