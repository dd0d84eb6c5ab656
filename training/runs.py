"""Many runs: side by side, each kept once it is made."""

import ast
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import TypeVar

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

import dandelion

from . import datasets, embeddings, own_data
from .experiment import Result, Run, library_versions, train
from .own_data import OwnData
from .storage import cache_directory

# Of the library, these decide no number: runs are made with NumPy's engine.
_WITHOUT_NUMBERS = {"__init__", "classifier", "choice", "compiled"}

# A run is made again when the code changes that its numbers depend on.
_CODE = (
    *sorted(
        path
        for path in Path(dandelion.__file__).parent.rglob("*.py")
        if path.stem not in _WITHOUT_NUMBERS
    ),
    *(
        Path(__file__).with_name(f"{name}.py")
        for name in (
            *("datasets", "own_data", "embeddings", "splits", "evaluation", "losses"),
            *(
                "multiclass_losses",
                "network",
                "bags",
                "vocabulary",
                "fairness",
                "trainer",
                "experiment",
            ),
        )
    ),
)

J = TypeVar("J")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Kept:
    """A finished run in the cache.

    Attributes:
        result: its figures.
        artifact: its artifact's directory; there is none if the run did not ask to keep it.
    """

    result: Result
    artifact: Path


def run_all(runs: Sequence[Run], title: str, workers: int | None = None) -> list[Kept]:
    """Carry runs out, as many side by side as there are processors, with a progress bar.

    Finished runs are kept by the hash of everything they depend on, so that an interrupted series
    goes on where it broke off.

    Raises:
        TrainingError: data set or word vectors are missing or wrong.
    """
    homes = [_home(run) for run in runs]
    missing = {
        home: run
        for home, run in zip(homes, runs, strict=True)
        if not (home / "result.json").exists()
    }
    done = len(set(homes)) - len(missing)
    side_by_side(_carry_out, list(missing.items()), title, workers=workers, done=done)
    return [_read(home) for home in homes]


def run_cells(cells: Sequence[Sequence[Run]], title: str) -> list[list[Kept]]:
    """Carry out the runs of every cell of a table in one series, see `run_all`."""
    kept = iter(run_all([run for runs in cells for run in runs], title))
    return [[next(kept) for _ in runs] for runs in cells]


def side_by_side(
    job: Callable[[J], R],
    jobs: Sequence[J],
    title: str,
    *,
    workers: int | None = None,
    done: int = 0,
) -> list[R]:
    """Do jobs in processes of their own, with a progress bar.

    After a failure none is begun any more.

    Args:
        job: a function of a module.
        jobs: its arguments.
        title: beside the bar.
        workers: processes; by default one a processor.
        done: jobs that the bar counts as done already.

    Returns:
        What ``job`` returned, in the order of ``jobs``.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Progress(*columns, TimeElapsedColumn(), TimeRemainingColumn()) as progress,
        ProcessPoolExecutor(
            max_workers=workers or os.cpu_count(), mp_context=get_context("spawn")
        ) as pool,
    ):
        task = progress.add_task(title, total=done + len(jobs), completed=done)
        futures = [pool.submit(job, one) for one in jobs]
        try:
            for future in as_completed(futures):
                future.result()
                progress.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [future.result() for future in futures]


def keep(run: Run) -> Kept:
    """Carry one run out in this process, or take it from the cache.

    Raises:
        TrainingError: data set, word vectors or configuration are missing or wrong.
    """
    home = _home(run)
    if not (home / "result.json").exists():
        _carry_out((home, run))
    return _read(home)


def _carry_out(job: tuple[Path, Run]) -> None:
    home, run = job
    home.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".run-", dir=home.parent))
    try:
        _, result = train(run, aside / "artifact")
        (aside / "result.json").write_text(json.dumps(asdict(result)), encoding="utf-8")
        if not run.keep_artifact:
            shutil.rmtree(aside / "artifact")
        shutil.rmtree(home, ignore_errors=True)
        aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _read(home: Path) -> Kept:
    return Kept(Result(**json.loads((home / "result.json").read_text())), home / "artifact")


def _home(run: Run) -> Path:
    key = [
        # Neither its name nor whether it is shipped changes what is fitted.
        run.config.model_dump(mode="json", exclude={"variant", "shipped"}),
        run.protocol,
        run.seed,
        run.read_test,
        embeddings.identify(run.glove),
        _data_sha256(run.config.model, run.own, datasets.data_directory()),
        None if run.own is None else [run.own.text_column, run.own.label_column, run.own.positive],
        run.sample_rows,
        run.minority_share,
        run.keep_artifact,
        library_versions(),
        _code_sha256(),
    ]
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    return cache_directory() / "runs" / digest[:24]


@cache
def _code_sha256() -> str:
    return hashlib.sha256("".join(map(_code_of, _CODE)).encode()).hexdigest()


def _code_of(path: Path) -> str:
    """Return a module's code: neither comments, layout nor docstrings decide a number."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
            node.body = [one for one in node.body if not _is_docstring(one)]
    return ast.dump(tree)


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


@cache
def _data_sha256(model: str, own: OwnData | None, directory: Path) -> str:
    if own is not None:
        return own_data.read(own).dataset.sha256
    return datasets.load(model, directory).sha256
