"""Many runs: in parallel, each stored in the cache as soon as it is finished."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from . import cache, experiment
from .configuration import WITHOUT_EFFECT
from .data import datasets
from .experiment import Result, Run, train
from .model import embeddings
from .parallel import run_parallel
from .provenance import library_versions
from .provenance import watched_modules as modules_of

_RESULT_FILE = "result.json"
_ARTIFACT_DIRECTORY = "artifact"


@dataclass(frozen=True, slots=True)
class CachedRun:
    """A finished run in the cache.

    Attributes:
        result: its figures.
        artifact: its artifact's directory, which does not exist if the run did not ask to keep it.
    """

    result: Result
    artifact: Path


def run_all(runs: Sequence[Run], title: str) -> list[CachedRun]:
    """Carry out runs in parallel, and report progress.

    Finished runs are in the cache, so that an interrupted series is resumed.

    Args:
        runs: equal ones are carried out once.
        title: of the series.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    directories = [directory_of(run) for run in runs]
    missing = {
        directory: run
        for directory, run in zip(directories, runs, strict=True)
        if not (directory / _RESULT_FILE).exists()
    }
    done = len(set(directories)) - len(missing)
    run_parallel(_carry_out, list(missing.items()), title, _name_of, done=done)
    return [_read(directory) for directory in directories]


def run_cells(cells: Sequence[Sequence[Run]], title: str) -> list[list[CachedRun]]:
    """Carry out the runs of every cell of a table as one series, see `run_all`."""
    kept = iter(run_all([run for runs in cells for run in runs], title))
    return [[next(kept) for _ in runs] for runs in cells]


def run_cached(run: Run) -> CachedRun:
    """Carry out one run in this process, or take it from the cache.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    directory = directory_of(run)
    if not (directory / _RESULT_FILE).exists():
        _carry_out((directory, run))
    return _read(directory)


def directory_of(run: Run) -> Path:
    """Return where a run is stored, by everything that decides its numbers.

    Raises:
        TrainingError: data set or word vectors are missing or wrong.
    """
    dataset = experiment.texts_of(run)
    wide = run.config.wide
    key = cache.key(
        run.config.model_dump(mode="json", exclude=set(WITHOUT_EFFECT)),
        # What the wide path reads follows from the configuration by code that is not watched.
        None if wide is None else asdict(wide.features()),
        run.protocol,
        run.seed,
        run.read_test,
        embeddings.identify(run.glove),
        [dataset.name, dataset.sha256, dataset.content_sha256],
        _types_sha256(run),
        run.sample_rows,
        run.minority_share,
        run.keep_artifact,
        library_versions(),
        cache.code(*watched_modules()),
    )
    return cache.directory("runs", key)


def watched_modules() -> tuple[str, ...]:
    """Return the modules whose code decides the numbers of a run."""
    return modules_of(experiment.__name__)


def _types_sha256(run: Run) -> str | None:
    finer = datasets.FINER.get(run.config.model)
    if not run.config.types_weight or run.dataset is not None or finer is None:
        return None
    return datasets.load(finer).content_sha256


def _name_of(job: tuple[Path, Run]) -> str:
    _, run = job
    return f"{run.config.model}/{run.config.variant}, {run.protocol}, seed {run.seed}"


def _carry_out(job: tuple[Path, Run]) -> None:
    directory, run = job
    directory.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".run-", dir=directory.parent))
    try:
        _, result = train(run, temporary / _ARTIFACT_DIRECTORY)
        (temporary / _RESULT_FILE).write_text(json.dumps(asdict(result)), encoding="utf-8")
        if not run.keep_artifact:
            shutil.rmtree(temporary / _ARTIFACT_DIRECTORY)
        try:
            temporary.rename(directory)
        except OSError:
            # Another command may have finished the same run first.
            if not (directory / _RESULT_FILE).exists():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _read(directory: Path) -> CachedRun:
    values = json.loads((directory / _RESULT_FILE).read_text(encoding="utf-8"))
    return CachedRun(Result(**values), directory / _ARTIFACT_DIRECTORY)
