"""Which files are scored, into which, and which part of each."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.bulk.errors import RefusedError
from dandelion.bulk.plan import Request, Shard, plan


@pytest.mark.parametrize(
    ("inputs_", "output", "message"),
    [
        (["a.jsonl", "-"], "out", "standard input .* is scored alone"),
        (["none*.jsonl"], "out", "no file matches"),
        (["a.jsonl", "c.csv"], "out", "different formats"),
        (["a.jsonl", "sub/a.jsonl"], "out", "two inputs would be written to"),
        (["a.jsonl", "a.jsonl.errors.jsonl"], "out", "two inputs would be written to"),
        (["a.jsonl", "sub/b.jsonl"], "-", "not to standard output"),
        (["a.jsonl", "sub/b.jsonl"], "c.csv", "it is a file"),
        (["*.jsonl"], ".", "is the input itself"),
        (["a.jsonl"], "a.jsonl", "is the input itself"),
        (["a.jsonl"], "b.csv", "the output has the format of the input"),
        (["a.jsonl"], "no/b.jsonl", "no such directory"),
        (["sub"], "out", "Give a pattern"),
        (["a.txt"], "out", "names no known format"),
        (["a.parquet.gz"], "out", "packed already"),
        (["none.jsonl"], "out", "none.jsonl: no such file"),
        (["-"], "-", "give --format"),
        (["-"], "b.parquet", "not read from a pipe"),
    ],
)
def test_requests_that_are_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    inputs_: list[str],
    output: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    names = "a.jsonl a.jsonl.errors.jsonl sub/a.jsonl sub/b.jsonl c.csv a.txt a.parquet.gz"
    for name in names.split():
        (tmp_path / name).write_text('{"text": "Lunch?"}')
    with pytest.raises(RefusedError, match=message):
        plan(Request(inputs_, output))


@pytest.mark.parametrize(
    ("source", "output", "side_file", "message"),
    [
        ("a.csv", "b.csv", "a.csv", "a.csv is the input itself"),
        ("a.csv", "b.csv", "link.csv", "link.csv is the input itself"),
        ("a.csv", "-", "a.csv", "a.csv is the input itself"),
        ("a.csv.part", "-", "a.csv", "a.csv.part is the input itself"),
        ("b.csv.errors.jsonl", "b.csv", None, "b.csv.errors.jsonl is the input itself"),
        ("a.csv.part", "a.csv", None, "a.csv.part is the input itself"),
        ("a.csv", "b.csv", "sub/../b.csv", "b.csv is an output itself"),
        ("a.csv", "b.csv", "b.csv.part", "b.csv.part is an output itself"),
        ("a.csv", "b.csv", "sub", "sub: not a regular file"),
        ("a.csv", "b.csv", "/dev/null", "/dev/null: not a regular file"),
        ("a.csv", "b.csv", "no/errors.jsonl", "no: no such directory"),
    ],
)
def test_no_file_of_a_run_replaces_another(  # noqa: PLR0917
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    source: str,
    output: str,
    side_file: str | None,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / source).write_text("text\nLunch?\n")
    (tmp_path / "link.csv").symlink_to(source)
    request = Request([source], output, "csv", side_file and Path(side_file))
    with pytest.raises(RefusedError, match=message):
        plan(request)


def test_a_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nLunch?\n")
    (tmp_path / "elsewhere").mkdir()
    link, target = tmp_path / "b.csv.gz", tmp_path / "elsewhere" / "c"
    link.symlink_to(target)
    source = str(tmp_path / "a.csv")
    for _ in range(2):  # before and after there is an output
        (item,) = plan(Request([source], str(link)))
        assert (item.output, item.packs) == (target, True)
        assert item.side_file == tmp_path / "b.csv.gz.errors.jsonl"
        target.touch()
    (part,) = plan(Request([source], str(link), shard=Shard(1, 1)))
    assert part.output == tmp_path / "b.1-of-1.csv.gz"
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.csv").symlink_to(target)
    (item,) = plan(Request([str(tmp_path / "*.csv")], str(tmp_path / "out")))
    assert item.output == target
    target.unlink()
    target.parent.rmdir()
    with pytest.raises(RefusedError, match="elsewhere: no such directory"):
        plan(Request([source], str(link)))
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(RefusedError, match="leads to itself"):
        plan(Request([source], str(link)))


def test_what_one_file_has_aside_is_no_output_of_another(tmp_path: Path) -> None:
    for name in ("a.csv", "a.csv.part"):
        (tmp_path / name).write_text("text\nLunch?\n")
    with pytest.raises(RefusedError, match=r"two inputs would be written to .*a\.csv\.part"):
        plan(Request([str(tmp_path / "a.csv*")], str(tmp_path / "out"), "csv"))


def test_each_shard_has_its_side_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text\nLunch?\n")
    source, output = str(tmp_path / "a.csv"), str(tmp_path / "b.csv")
    for name, wanted in ((None, "b.2-of-3.csv.errors.jsonl"), ("e.jsonl", "e.2-of-3.jsonl")):
        side_file = name and tmp_path / name
        for target in (output, "-") if name else (output,):
            (item,) = plan(Request([source], target, None, side_file, Shard(2, 3)))
            assert item.side_file == tmp_path / wanted


def test_a_pipe_has_no_shards(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    for source in (str(tmp_path / "a.jsonl"), "-"):
        with pytest.raises(RefusedError, match="a pipe has no shards"):
            plan(Request([source], str(tmp_path / "b.jsonl"), shard=Shard(1, 2)))


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=4), count=st.integers(1, 9))
def test_every_byte_is_in_one_shard(tmp_path: Path, sizes: list[int], count: int) -> None:
    sources = []
    for at, size in enumerate(sizes):
        path = tmp_path / f"{at}.jsonl"
        path.write_bytes(b"\n" * size)
        sources.append(str(path))
    parts: dict[str, list[tuple[int, int]]] = {source: [] for source in sources}
    for number in range(1, count + 1):
        for item in plan(Request(sources, str(tmp_path / "out"), shard=Shard(number, count))):
            assert item.part is not None
            parts[item.source].append(item.part)
    for source, size in zip(sources, sizes, strict=True):
        covered = [byte for part in parts[source] for byte in range(*part)]
        assert covered == list(range(size))
        assert parts[source]
