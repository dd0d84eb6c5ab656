"""Which library is loaded, and what happens when none can be."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from dandelion import Classifier, KernelError
from dandelion.engines import library

from ..examples import THREE, make_artifact
from .kernel_build import build

ARTIFACT = make_artifact(labels=THREE)

needs_kernel = pytest.mark.skipif(
    not library.LIBRARY.exists(), reason="the compiled engine was not built: no C compiler"
)


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Look for the library in an empty directory."""
    path = tmp_path / "_kernel.so"
    monkeypatch.setattr(library, "LIBRARY", path)
    library.libraries.cache_clear()
    yield path
    library.libraries.cache_clear()


@needs_kernel
def test_the_installed_library_is_used() -> None:
    """Otherwise the tests of the compiled engine are skipped."""
    assert library.libraries().holding
    assert library.is_available()


def refused(caplog: pytest.LogCaptureFixture) -> str:
    """Check that ``auto`` falls back to NumPy and logs why; return why."""
    with caplog.at_level(logging.INFO, "dandelion"):
        assert Classifier(ARTIFACT).engine == "numpy"
    assert Classifier(ARTIFACT).scores(["free!"]).shape == (1, 3)
    with pytest.raises(KernelError) as caught:
        Classifier(ARTIFACT, engine="compiled")
    assert f"NumPy computes the scores: {caught.value}" in caplog.messages
    return str(caught.value)


@pytest.mark.usefixtures("elsewhere")
def test_a_missing_library(caplog: pytest.LogCaptureFixture) -> None:
    assert refused(caplog).startswith("_kernel.so was not built. With a C compiler (cc)")


def test_a_file_that_is_not_a_library(elsewhere: Path, caplog: pytest.LogCaptureFixture) -> None:
    elsewhere.write_bytes(b"no library")
    assert "cannot be used: " in refused(caplog)


@needs_kernel
@pytest.mark.parametrize(
    "source", ["int x;", 'const char *dandelion_source(void) { return "other"; }']
)
def test_a_library_of_another_source(
    elsewhere: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, source: str
) -> None:
    other = tmp_path / "kernel.c"
    other.write_text(source)
    build(other, elsewhere)
    assert "was built from another kernel.c" in refused(caplog)


@needs_kernel
@pytest.mark.parametrize(
    ("problem", "declared", "changed"),
    [
        ("Model.url has 4 bytes at 52, expected 4 bytes at 48", "url, mention;", "mention, url;"),
        ("Model.mask has 4 bytes at 40, expected 8", "int64_t mask;", "int32_t mask;"),
        ("Model has ", "double low_share;", "double low_share, more;"),
        ("Slot.start has ", "hash, id, start, length;", "hash, id, length, start;"),
        (
            "Table.values has 8 bytes at 8, expected 8 bytes at 0",
            "const void *values;",
            "const void *more, *values;",
        ),
        ("Words.all has 4 bytes at 4, expected 4 bytes at 0", "all, known;", "known, all;"),
        ("Batch.token_ends has ", "int64_t *token_ends;", "int64_t *more, *token_ends;"),
    ],
)
def test_a_library_with_another_layout(
    *,
    elsewhere: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    problem: str,
    declared: str,
    changed: str,
) -> None:
    source = library.SOURCE.read_text(encoding="utf-8")
    assert source.count(declared) == 1
    other = tmp_path / "kernel.c"
    other.write_text(source.replace(declared, changed), encoding="utf-8")
    build(other, elsewhere)
    assert f"_kernel.so does not fit this Dandelion: {problem}" in refused(caplog)


@needs_kernel
def test_the_same_build_of_the_unchanged_source_is_used(elsewhere: Path) -> None:
    build(library.SOURCE, elsewhere)
    assert Classifier(ARTIFACT, engine="compiled").engine == "compiled"
