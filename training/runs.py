"""Many runs: side by side, each stored in the cache as soon as it is finished."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from . import cache, experiment
from .data import datasets
from .experiment import Result, Run, library_versions, train
from .model import embeddings
from .parallel import side_by_side

# Of what a run imports, these do not decide its numbers.
WITHOUT_NUMBERS: Final = frozenset(
    {
        "dandelion",  # re-exports
        "dandelion.classifier",  # runs take from it how long batches are cut, worth 1e-6 of a score
        "dandelion.engines.compiled",  # runs use NumPy's engine
        "dandelion.engines.library",
        "dandelion.installation",  # part of messages
        "dandelion.serving",  # names the variants in messages
        "dandelion.tables",  # texts and labels are in the key
        *(
            f"{__name__.rpartition('.')[0]}.{name}"
            for name in (
                "cache",
                "configuration",  # its values are in the key
                "data.datasets",  # so are texts and labels
                "errors",
            )
        ),
    }
)

_RESULT_FILE = "result.json"
_ARTIFACT_DIRECTORY = "artifact"


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished run in the cache.

    Attributes:
        result: its figures.
        artifact: its artifact's directory, which does not exist if the run did not ask to keep it.
    """

    result: Result
    artifact: Path


def run_all(runs: Sequence[Run], title: str, workers: int | None = None) -> list[Kept]:
    """Carry out runs side by side, and report progress.

    Finished runs are in the cache, so that an interrupted series is resumed.

    Args:
        runs: equal ones are carried out once.
        title: of the series.
        workers: processes; by default one per processor.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    homes = [directory_of(run) for run in runs]
    missing = {
        home: run
        for home, run in zip(homes, runs, strict=True)
        if not (home / _RESULT_FILE).exists()
    }
    done = len(set(homes)) - len(missing)
    side_by_side(_carry_out, list(missing.items()), title, _name_of, workers=workers, done=done)
    return [_read(home) for home in homes]


def run_cells(cells: Sequence[Sequence[Run]], title: str) -> list[list[Kept]]:
    """Carry out the runs of every cell of a table as one series, see `run_all`."""
    kept = iter(run_all([run for runs in cells for run in runs], title))
    return [[next(kept) for _ in runs] for runs in cells]


def keep(run: Run) -> Kept:
    """Carry out one run in this process, or take it from the cache.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    home = directory_of(run)
    if not (home / _RESULT_FILE).exists():
        _carry_out((home, run))
    return _read(home)


def directory_of(run: Run) -> Path:
    """Return where a run is stored, by everything that decides its numbers.

    Raises:
        TrainingError: data set or word vectors are missing or wrong.
    """
    dataset = datasets.load(run.config.model) if run.dataset is None else run.dataset
    key = cache.key(
        # Neither its name nor whether it is shipped changes what is fitted.
        run.config.model_dump(mode="json", exclude={"variant", "shipped"}),
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
    return cache.imported_by(experiment.__name__, without=WITHOUT_NUMBERS)


def _types_sha256(run: Run) -> str | None:
    finer = datasets.FINER.get(run.config.model)
    if not run.config.types_weight or run.dataset is not None or finer is None:
        return None
    return datasets.load(finer).content_sha256


def _name_of(job: tuple[Path, Run]) -> str:
    _, run = job
    return f"{run.config.model}/{run.config.variant}, {run.protocol}, seed {run.seed}"


def _carry_out(job: tuple[Path, Run]) -> None:
    home, run = job
    home.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".run-", dir=home.parent))
    try:
        _, result = train(run, aside / _ARTIFACT_DIRECTORY)
        (aside / _RESULT_FILE).write_text(json.dumps(asdict(result)), encoding="utf-8")
        if not run.keep_artifact:
            shutil.rmtree(aside / _ARTIFACT_DIRECTORY)
        shutil.rmtree(home, ignore_errors=True)
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read(home: Path) -> Kept:
    values = json.loads((home / _RESULT_FILE).read_text(encoding="utf-8"))
    return Kept(Result(**values), home / _ARTIFACT_DIRECTORY)
