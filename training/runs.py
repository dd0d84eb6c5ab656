"""Many runs: side by side, each kept once it is made."""

import ast
import hashlib
import json
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import dandelion

from .cache import cache_directory
from .data import custom_data, datasets
from .data.custom_data import CustomData
from .experiment import Result, Run, library_versions, train
from .model import embeddings
from .parallel import side_by_side

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
        Path(__file__).parent / f"{name}.py"
        for name in (
            *("data/datasets", "data/custom_data", "data/splits", "model/embeddings"),
            *("losses/options", "losses/pointwise", "losses/overlap", "losses/ranking"),
            *("losses/multiclass", "losses/registry", "model/network", "model/bags"),
            *("model/vocabulary", "quality/metrics", "quality/slices", "fitting/trainer"),
            "experiment",
        )
    ),
)


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
        _data_sha256(run.config.model, run.custom, datasets.data_directory()),
        None
        if run.custom is None
        else [run.custom.text_column, run.custom.label_column, run.custom.positive],
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
def _data_sha256(model: str, custom: CustomData | None, directory: Path) -> str:
    if custom is not None:
        return custom_data.read(custom).dataset.sha256
    return datasets.load(model, directory).sha256
