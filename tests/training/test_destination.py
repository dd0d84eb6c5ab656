"""Whether an artifact can be written is found out before a fit, and nothing is left behind."""

from pathlib import Path

import pytest

from training.destination import require_writable
from training.errors import ConfigurationError


def everything_below(directory: Path) -> list[Path]:
    return sorted(directory.rglob("*"))


@pytest.mark.parametrize("output", ["new", "new/er", "there", "there/new", "link"])
def test_a_directory_that_can_be_written(tmp_path: Path, output: str) -> None:
    (tmp_path / "there" / "mine" / "wide").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "there")
    before = everything_below(tmp_path)
    require_writable(tmp_path / output)
    require_writable(tmp_path / output, "mine", "wide")
    assert everything_below(tmp_path) == before


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (
            "/proc/x",
            r"--output /proc/x: cannot be written to \(No such file or directory\); choose",
        ),
        ("/proc/1/x", r"--output /proc/1/x: cannot be written to "),
        ("/dev/null", r"--output /dev/null: cannot be written to \(Not a directory\)"),
        ("/dev/null/x", r"--output /dev/null/x: cannot be written to \(Not a directory\)"),
        ("x" * 300, r"'xxxxxxxxxxxxxxxxxxxx'… has 300 characters; choose a shorter name"),
        ("none/" + "x" * 300, r"has 300 characters; choose a shorter name, of at most 245 bytes"),
        ("é" * 150, r"has 150 characters; choose a shorter name"),
        ("a/" * 3000, r"cannot be written to \(File name too long\)"),
    ],
)
def test_what_cannot_be_written(tmp_path: Path, output: str, message: str) -> None:
    for artifact in ((), ("mine", "wide")):
        with pytest.raises(ConfigurationError, match=message):
            require_writable(tmp_path / output, *artifact)
    assert everything_below(tmp_path) == []


def test_what_stands_in_the_place_of_an_artifact(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "wide").touch()
    (tmp_path / "c" / "wide.md").mkdir(parents=True)
    (tmp_path / "d").symlink_to(tmp_path / "none")
    before = everything_below(tmp_path)
    for name, message in (
        ("a", r"cannot be written to \(Not a directory\)"),
        ("b", r"b/wide: is a file, not the directory of an artifact"),
        ("c", r"c/wide\.md: is a directory, not a report"),
        ("d", r"cannot be written to \(No such file or directory\)"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            require_writable(tmp_path, name, "wide")
    assert everything_below(tmp_path) == before
