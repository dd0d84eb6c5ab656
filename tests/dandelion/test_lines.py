"""Lines of a stream: what is read, and what is refused after everything before it was read."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.lines import MAX_LINE_BYTES, LineError, read_lines


def read(path: Path, data: bytes) -> tuple[list[str], str]:
    """Return the lines, and the error that ended them."""
    path.write_bytes(data)
    descriptor = os.open(path, os.O_RDONLY)
    lines = []
    error = ""
    try:
        for some in read_lines(descriptor):
            lines += some
    except LineError as refused:
        error = str(refused)
    finally:
        os.close(descriptor)
    return lines, error


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n", b"\r", b"\nlunch\n"])
@pytest.mark.parametrize("longer", [0, 1])
@pytest.mark.parametrize("before", [b"", b"first\n"])
def test_the_limit_is_exact(tmp_path: Path, before: bytes, longer: int, end: bytes) -> None:
    data = before + b"a" * (MAX_LINE_BYTES + longer) + end
    lines, error = read(tmp_path / "lines", data)
    whole = data.decode().replace("\r", "").splitlines()
    if longer:
        number = 1 + len(before.splitlines())
        assert lines == whole[: number - 1]
        assert error == f"standard input, line {number}: longer than 8000000 bytes"
    else:
        assert (lines, error) == (whole, "")


@given(
    st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\n\r")), max_size=5),
    st.booleans(),
)
def test_any_lines(tmp_path: Path, texts: list[str], has_end: bool) -> None:
    data = "\n".join(texts) + "\n" * has_end
    expected = data.split("\n")
    if not expected[-1]:
        expected.pop()
    assert read(tmp_path / "lines", data.encode()) == (expected, "")


def test_nothing_before_a_line_that_is_not_utf_8_is_lost(tmp_path: Path) -> None:
    lines, error = read(tmp_path / "lines", b"one\ntwo\nth\xffree\nfour\n")
    assert lines == ["one", "two"]
    assert error == "standard input, line 3: not UTF-8, from byte 3"
