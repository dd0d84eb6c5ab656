"""Harmless texts of any length: how they are cut, and what is counted."""

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion import Classifier
from study import scope
from study.scope import cut, measure, read_speeches
from training.errors import DatasetError

from ..conftest import ROOT

SPEECHES = tuple(" ".join(f"w{speech}.{word}" for word in range(95)) for speech in range(3))


@given(st.integers(1, 95), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_pieces_have_their_length_and_do_not_overlap(words: int, count: int, seed: int) -> None:
    pieces = cut(SPEECHES, words, count, seed)
    assert len(pieces) == min(count, 3 * (95 // words))
    used = [word for piece in pieces for word in piece.split()]
    assert len(used) == len(set(used)) == words * len(pieces)
    for piece in pieces:
        assert any(piece in speech for speech in SPEECHES)
    assert pieces == cut(SPEECHES, words, count, seed)


def test_flagged_texts_are_counted_at_the_default_threshold(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scope, "LENGTHS", (10, 30))
    directory = ROOT / "artifacts" / "spam" / "squared_hinge-wide"
    speeches = ("WINNER!! Claim your free prize now, call 09012345678 today! " * 9, "lunch " * 60)
    (found,) = measure({"spam": directory}, speeches).models
    classifier = Classifier.load(directory)
    assert (found.version, found.threshold) == (
        classifier.manifest.version,
        classifier.manifest.threshold,
    )
    for row in found.lengths:
        texts = cut(speeches, row.words, scope.TEXTS, 0)
        flagged = [one.label == "spam" for one in classifier.classify(texts)]
        assert (row.texts, row.flagged) == (len(texts), sum(flagged))
        assert 0 < row.flagged < row.texts


def test_speeches_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    path = tmp_path / "state_of_the_union_1990_on.zip"
    with pytest.raises(DatasetError, match=r"no such file. It holds the State of the Union .*tgz"):
        read_speeches(tmp_path)
    path.write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="not a readable ZIP archive"):
        read_speeches(tmp_path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("2.txt", "second")
        archive.writestr("1.txt", "first")
        archive.writestr("notes.md", "no speech")
    assert read_speeches(tmp_path) == ("first", "second")
