"""Data for the tests of training: the real data sets if they are available, and a tiny one."""

import hashlib
import os
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from training.configuration import SourceChoice
from training.data import datasets, readers, sources, splits
from training.data.datasets import Source


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One cache for the whole session and its workers, so that slow splits are computed once."""
    base = tmp_path_factory.getbasetemp()
    directory = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    monkeypatch.setenv("TRAINING_CACHE", str(directory))
    return directory


class QuickGroupKFold(StratifiedGroupKFold):
    """The same folds, faster: what a group would do to every fold is computed in one step."""

    def _find_best_fold(
        self,
        y_counts_per_fold: NDArray[np.float64],
        y_cnt: NDArray[np.int64],
        group_y_counts: NDArray[np.float64],
    ) -> int:
        size = self.n_splits
        counts = np.repeat(y_counts_per_fold[np.newaxis], size, axis=0)
        counts[range(size), range(size)] += group_y_counts
        spreads = np.std(counts / y_cnt, axis=1).mean(axis=1).tolist()
        rows = y_counts_per_fold.sum(axis=1).tolist()
        best = 0
        for fold in range(1, size):
            least = spreads[best]
            is_close = abs(spreads[fold] - least) <= 1e-8 + 1e-5 * least  # as `np.isclose`
            if spreads[fold] < least or (is_close and rows[fold] < rows[best]):
                best = fold
        return best


@pytest.fixture
def quick_folds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Group tens of thousands of texts in a tenth of the time."""
    monkeypatch.setattr(splits, "StratifiedGroupKFold", QuickGroupKFold)


def tiny_lines() -> bytes:
    rng = np.random.default_rng(0)
    words = {"ham": ["lunch", "home", "mum", "later"], "spam": ["prize", "win", "free", "claim"]}
    lines = [
        f"{label}\t{' '.join(rng.choice(words[label], 4))} {number}"
        for label, count in (("ham", 240), ("spam", 60))
        for number in range(count)
    ]
    return "\n".join(lines).encode() + b"\n"


def write_archive(path: Path, member: str, data: bytes) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, data)


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A made-up data set named ``tiny``, in its own DATA_DIR."""
    data = tiny_lines()
    source = Source(
        name="Tiny",
        title="Tiny",
        file="tiny.zip",
        members=("tiny.tsv",),
        sha256=hashlib.sha256(data).hexdigest(),
        urls=("http://127.0.0.1:9/tiny.zip",),
        licence="none",
        label_names=("ham", "spam"),
        topic="spam",
        read=datasets.SOURCES["spam"].read,
    )
    directory = tmp_path / "data"
    directory.mkdir()
    write_archive(directory / "tiny.zip", "tiny.tsv", data)
    monkeypatch.setenv("DATA_DIR", str(directory))
    monkeypatch.setitem(datasets.SOURCES, "tiny", source)
    return source


def _read_types(members: Mapping[str, bytes]) -> tuple[list[str], NDArray[np.int64]]:
    texts, labels = datasets.SOURCES["spam"].read(members)
    prizes = np.array(["prize" in text for text in texts])
    return texts, np.where(labels == 1, 2 - prizes, 0)


@pytest.fixture
def tiny_type(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> Source:
    """The same texts with finer classes: spam is of two kinds."""
    source = replace(tiny, label_names=("ham", "prize", "other spam"), read=_read_types)
    monkeypatch.setitem(datasets.SOURCES, "tiny_type", source)
    monkeypatch.setitem(datasets.FINER, "tiny", "tiny_type")
    return source


@pytest.fixture
def tiny_sources(tiny: Source, monkeypatch: pytest.MonkeyPatch) -> list[SourceChoice]:
    """Two sources, ``tiny`` and its harmless texts, in the DATA_DIR of ``tiny``."""
    ham = replace(tiny, read=readers.only(0, tiny.read), has=(0,), topic=None)
    monkeypatch.setitem(cast("dict[str, Source]", sources.SOURCES), "tiny", tiny)
    monkeypatch.setitem(cast("dict[str, Source]", sources.SOURCES), "tiny_ham", ham)
    return [SourceChoice(name="tiny"), SourceChoice(name="tiny_ham")]
