"""A small artifact to score with, files, and what is written of them."""

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet

from dandelion import Classifier
from dandelion.artifact import save
from dandelion.bulk import Scorer
from dandelion.bulk import parquet as parquet_module
from dandelion.bulk import run as run_module

from ..examples import FEATURES, make_artifact
from .files import BROKEN, NAMES, ROWS, TEXTS, Recorder, Score, Whole, contents, run
from .reference import job_of


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("bulk") / "spam" / "tiny"
    save(make_artifact(features=FEATURES), directory)
    return directory


@pytest.fixture(scope="session")
def classifier(artifact: Path) -> Classifier:
    return Classifier.load(artifact)


@pytest.fixture(scope="session")
def scorer(artifact: Path) -> Scorer:
    return Scorer(job_of(artifact))


@contextmanager
def small_blocks() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(run_module, "BLOCK_BYTES", 1000)
        monkeypatch.setattr(parquet_module, "_UNIT_ROWS", 37)
        yield


@pytest.fixture(scope="module", autouse=True)
def many_blocks() -> Iterator[None]:
    """Have small files consist of many blocks."""
    with small_blocks():
        yield


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same rows in every format; in each but Parquet every seventh is broken."""
    directory = tmp_path_factory.mktemp("inputs")
    lines = [
        "broken" if n % BROKEN == 3 else json.dumps({"id": n, "text": text})
        for n, text in enumerate(TEXTS)
    ]
    fields = ["broken" if n % BROKEN == 3 else f'{n},"{text}"' for n, text in enumerate(TEXTS)]
    contents = {
        "a.jsonl": "\n".join(lines).encode(),
        "a.csv": "\n".join(["id,text", *fields]).encode(),
        "a.tsv": "\n".join(["id\ttext", *fields]).replace(",", "\t").encode(),
    }
    contents["a.jsonl.gz"] = gzip.compress(contents["a.jsonl"])
    for name, data in contents.items():
        (directory / name).write_bytes(data)
    texts = [None if n % BROKEN == 3 else text for n, text in enumerate(TEXTS)]
    table = pa.table({"id": pa.array(range(ROWS), pa.int16()), "text": texts})
    table = table.replace_schema_metadata({"written by": "a test"})
    parquet.write_table(table, directory / "a.parquet", row_group_size=150, compression="zstd")
    return {path.name: path for path in directory.iterdir()}


@pytest.fixture(scope="session")
def score(artifact: Path, inputs: dict[str, Path]) -> Score:
    return lambda name, *arguments, **options: run(artifact, inputs[name], *arguments, **options)


@pytest.fixture(scope="session")
def whole(
    artifact: Path, inputs: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Whole:
    """What uninterrupted runs write, and how many steps they take."""
    found = {}
    with small_blocks():
        for name in NAMES:
            directory, watch = tmp_path_factory.mktemp("whole"), Recorder()
            totals = run(artifact, inputs[name], directory / name, watch)
            assert (totals.rows, totals.scored, totals.broken) == (343, 343, 57)
            assert watch.units == watch.total
            found[name] = contents(directory), watch
            assert set(found[name][0]) == {name, f"{name}.errors.jsonl"}
    return found
