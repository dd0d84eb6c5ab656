"""Score files on a cluster of Ray, the extra `ray`; the one module that imports it.

The rows of the data set are files: each is scored by one actor, as a whole, see `file_scoring`.
Ray Data's own readers would lose line numbers, broken rows, and a row's bytes as they stood there.

Actors get the artifact from the process that starts them. They need Dandelion in the same version,
with the same engine, and access to the files.
"""

import json
import logging
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ..engines import library
from ..installation import install_command
from ..json_values import loads
from .addresses import File
from .errors import BulkError, NotStartedError, RefusedError
from .file_scoring import Done, collect, score_task, tidied
from .run import Options, Totals, Watch
from .scorer import Scorer


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where to score.

    Attributes:
        address: of a cluster that this machine is part of, ``auto`` for the one that runs; None
            starts Ray on this machine.
        actors: that score, each on one processor; None for one for each processor of the cluster.
    """

    address: str | None = None
    actors: int | None = None


def score_files(files: Sequence[File], options: Options, cluster: Cluster, watch: Watch) -> Totals:
    """Score files on a cluster.

    Args:
        files: see `plan_files`.
        options: how; ``workers`` are not used.
        cluster: where.
        watch: learns how far the work is.

    Raises:
        NotStartedError: Ray is not installed, there is no such cluster, or it cannot be started.
        RefusedError: a file does not fit what is asked for, or the software of a machine differs
            from this one's.
        BulkError: a file cannot be read or written, or Ray failed.
    """
    watch.begin(sum(file.size for file in files))
    with tidied(files) as run, _connected(cluster) as ray:
        return collect(_results(ray, files, options, cluster, run), options, watch)


@contextmanager
def _connected(cluster: Cluster) -> Iterator[Any]:
    """Import Ray, and connect to a cluster or start one, unless this process is connected.

    Raises:
        NotStartedError: Ray is not installed, there is no such cluster, or it cannot be started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Else it warns of lost references to arguments of actors; `_results` keeps them.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    try:
        import ray  # noqa: PLC0415 - an extra
        import ray.data  # noqa: PLC0415
    except ImportError as error:
        raise NotStartedError(
            f"--engine ray needs the extra `ray`, which is not installed. Install it: "
            f"{install_command('ray')}"
        ) from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    if ray.is_initialized():
        yield ray
        return
    options: dict[str, Any] = {"address": cluster.address, "log_to_driver": False}
    if cluster.address is None:
        processors = max(cluster.actors or 0, os.cpu_count() or 1)
        options |= {"address": "local", "include_dashboard": False, "num_cpus": processors}
    try:
        ray.init(logging_level=logging.ERROR, **options)
    except Exception as error:  # Ray raises one of no other type, too, when it starts too slowly
        problem = f"no cluster of Ray at {cluster.address}"
        if cluster.address is None:
            problem = "Ray could not be started on this machine, which may be too busy"
        raise NotStartedError(f"{problem} ({type(error).__name__})") from error
    try:
        yield ray
    finally:
        ray.shutdown()


def _results(
    ray: Any, files: Sequence[File], options: Options, cluster: Cluster, run: str
) -> Iterator[tuple[File, Done]]:
    """Yield the files as they are done, and what became of them."""
    artifact = ray.put({one.name: one.read_bytes() for one in options.job.artifact.iterdir()})
    actors = cluster.actors or int(ray.cluster_resources().get("CPU", 1))
    items = [row_of(number, file) for number, file in enumerate(files)]
    software = Software(version("dandelion-text"), options.engine)
    rows = ray.data.from_items(items, override_num_blocks=len(items)).map(
        FileScorer,
        fn_constructor_args=(options, artifact, software, run),
        compute=ray.data.ActorPoolStrategy(size=min(actors, len(items))),
        num_cpus=1,
    )
    try:
        for row in rows.iter_rows():
            found = loads(row["result"].encode())
            if "error" in found:
                error = RefusedError if found["is_refused"] else BulkError
                raise error(found["error"])
            yield files[row["number"]], Done(**found)
    except ray.exceptions.RayError as error:
        raise BulkError(
            f"Ray failed ({type(error).__name__}); its logs are in /tmp/ray/session_latest/logs on "
            "the machine that failed"
        ) from error


def row_of(number: int, file: File) -> dict[str, Any]:
    """Return the row of a file in the data set."""
    return {"number": number, "file": json.dumps(asdict(file))}


@dataclass(frozen=True, slots=True)
class Software:
    """What scores depend on besides the job: it must be the same on all machines.

    Attributes:
        version: of Dandelion.
        engine: that computes the scores.
    """

    version: str
    engine: str


class FileScorer:
    """What an actor is: it loads the artifact once, then scores file after file.

    Args:
        options: how.
        contents: a reference to the files of the artifact, by name.
        expected: the software of the process that started it.
        run: see `dandelion.remote.writing`.
    """

    def __init__(self, options: Options, contents: Any, expected: Software, run: str) -> None:
        import ray  # noqa: PLC0415 - an extra
        from threadpoolctl import threadpool_limits  # noqa: PLC0415 - in actors alone

        threadpool_limits(1)
        self._options, self._run = options, run
        self._scorer: Scorer | None = None
        self._problem = ""
        engine = "compiled" if library.is_available() else "numpy"
        found = Software(version("dandelion-text"), engine)
        if found != expected:
            self._problem = (
                f"a machine of the cluster has Dandelion {found.version} with the engine "
                f"{found.engine}, but this one {expected.version} with {expected.engine}: scores "
                "could differ. Install the same on all of them"
            )
            return
        with tempfile.TemporaryDirectory() as directory:
            for name, data in ray.get(contents).items():
                (Path(directory) / name).write_bytes(data)
            self._scorer = Scorer(replace(options.job, artifact=Path(directory)))

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Score a file; errors are part of the result, so that Ray does not begin it again."""
        file = File(**json.loads(row["file"]))
        found: dict[str, Any]
        if self._scorer is None:
            found = {"error": self._problem, "is_refused": True}
        else:
            try:
                found = asdict(score_task(self._scorer, (file, self._options, self._run)))
            except BulkError as error:
                found = {"error": str(error), "is_refused": isinstance(error, RefusedError)}
        return {"number": row["number"], "result": json.dumps(found)}
