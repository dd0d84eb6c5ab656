"""Appending whole lines: several processes, rotation, and what goes wrong with files."""

import errno
import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.telemetry.metrics import Metrics
from app.telemetry.record_file import RecordFile

from ...conftest import ROOT
from . import appending
from .appending import counted

LINE = b'{"line": 1}\n'


def rotated(path: Path) -> list[Path]:
    """The files of a record, the oldest first."""
    older = sorted(path.parent.glob(f"{path.name}.*"), key=lambda file: -int(file.suffix[1:]))
    return [*older, path] if path.exists() else older


def run_program(*arguments: object) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", appending.__name__, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["append", "append", "append", "other", "half", "move", "delete"]),
        st.integers(1, 6),
    ),
    max_size=25,
)


@settings(max_examples=80)
@given(STEPS, st.sampled_from([0, 1, 30, 100]), st.integers(1, 3))
def test_whatever_happens_to_the_file_lines_stay_whole_and_in_order(
    steps: list[tuple[str, int]], max_bytes: int, files: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "record.jsonl"
        # Two, as two processes would have them.
        workers = {
            worker: RecordFile(path, Metrics().record, max_bytes, files)
            for worker in ("append", "other")
        }
        written: list[bytes] = []
        numbers = count()
        kept_from = 0  # lines before were moved or deleted by somebody else
        for step, lines in steps:
            if step in workers:
                content = [b"%d\n" % next(numbers) for _ in range(lines)]
                assert workers[step].append(b"".join(content), lines)
                written += content
            elif step == "half":
                with path.open("ab") as file:  # by a process that was killed
                    file.write(b"half of a li")
            elif step == "delete":
                path.unlink(missing_ok=True)
                kept_from = len(written)
            elif path.exists():
                path.rename(path.with_name("moved"))
                kept_from = len(written)
        workers["append"].append(b"last\n", 1)  # cuts off what was left
        written.append(b"last\n")
        for worker in workers.values():
            worker.close()
        found = rotated(path)
        sizes = [file.stat().st_size for file in found]
        kept = [line for file in found for line in file.read_bytes().splitlines(keepends=True)]
        assert len(found) <= files + 1
        if max_bytes:
            assert all(size <= max(max_bytes, 6 * len(b"99\n")) for size in sizes)
        places = list(map(written.index, kept))  # each of them is a whole line, once
        assert places == sorted(set(places))
        if not max_bytes:
            assert kept == written[kept_from:]
        elif not kept_from:
            assert kept == written[-len(kept) :]  # the oldest were deleted


def test_what_was_reported_is_whole_though_processes_are_killed_and_files_rotated(
    tmp_path: Path,
) -> None:
    path = tmp_path / "record.jsonl"
    reported = run_program("kills", path, 2_000_000, 40)
    files = rotated(path)
    assert len(files) > 2
    assert all(file.stat().st_size <= 2_000_000 for file in files)
    found: dict[tuple[int, int], list[int]] = {}
    for file in files:
        before = None
        for line in map(json.loads, file.read_bytes().splitlines()):
            batch = line["process"], line["batch"]
            assert before in (None, batch) or batch not in found, "batches interleave"
            found.setdefault(batch, []).append(line["line"])
            before = batch
    assert len(reported) > 100
    for process, number, lines in reported:
        assert found[process, number] == list(range(lines))


def test_no_part_of_a_batch_stays_when_space_runs_out(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    size = len(appending.batch(0, 0, 10))
    results, counts = run_program("full", path, 2 * size + size // 2)
    assert results == [[True, size], [True, 2 * size], [False, 2 * size], [True, 3 * size]]
    assert counts == {
        "dandelion_recorded_decisions_total": 30,
        "dandelion_record_dropped_totalfull": 10,
    }
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    assert [line["batch"] for line in lines] == [0] * 10 + [1] * 10 + [3] * 10


def test_a_file_that_may_not_be_opened_is_a_reason(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    secret.chmod(0)
    written, counts = run_program("denied", secret / "record.jsonl")
    secret.chmod(0o700)
    assert not written
    assert counts == {"dandelion_record_dropped_totalpermission": 1}


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EROFS, "read_only"),
        (errno.EPERM, "permission"),
        (errno.EIO, "error"),
    ],
)
def test_every_error_of_the_system_has_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, reason: str
) -> None:
    path = tmp_path / "record.jsonl"
    metrics = Metrics()
    file = RecordFile(path, metrics.record)
    write = os.write

    def partly(descriptor: int, content: bytes) -> int:
        if len(content) <= 5:
            raise OSError(number, os.strerror(number))
        return write(descriptor, content[:-5])

    assert file.append(LINE, 1)
    with monkeypatch.context() as patched:
        patched.setattr(os, "write", partly)
        assert not file.append(LINE * 3, 3)
    assert path.read_bytes() == LINE
    assert file.append(LINE, 1)
    assert path.read_bytes() == LINE * 2
    file.close()
    assert counted(metrics) == {
        "dandelion_recorded_decisions_total": 2,
        f"dandelion_record_dropped_total{reason}": 3,
    }


def test_a_directory_that_was_deleted_and_created_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "records" / "record.jsonl"
    path.parent.mkdir()
    metrics = Metrics()
    file = RecordFile(path, metrics.record)
    assert file.append(LINE, 1)
    path.unlink()
    path.parent.rmdir()
    assert not file.append(LINE, 1)
    assert not file.append(LINE, 1)
    path.parent.mkdir()
    assert file.append(LINE, 1)
    assert file.append(LINE, 1)
    file.close()
    assert path.read_bytes() == LINE * 2
    assert counted(metrics)["dandelion_record_dropped_totalmissing"] == 2
    # Once, not for each request.
    assert [(line.levelname, line.getMessage()) for line in caplog.records] == [
        ("ERROR", "decisions are not recorded"),
        ("WARNING", "decisions are recorded again"),
    ]


def test_a_lock_that_is_not_released_holds_nobody_up(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    metrics = Metrics()
    file = RecordFile(path, metrics.record)
    with path.open("wb") as other:  # a process that was stopped while it wrote
        fcntl.flock(other, fcntl.LOCK_EX)
        assert not file.append(LINE, 1)
        assert not file.append(LINE, 1)
    assert file.append(LINE, 1)
    file.close()
    assert counted(metrics) == {
        "dandelion_record_dropped_totallocked": 2,
        "dandelion_recorded_decisions_total": 1,
    }


def test_only_its_user_may_read_the_file(tmp_path: Path) -> None:
    path = tmp_path / "record.jsonl"
    before = os.umask(0)
    try:
        file = RecordFile(path, Metrics().record, max_bytes=len(LINE))
        for _ in range(2):
            file.append(LINE, 1)
        file.close()
    finally:
        os.umask(before)
    for each in (path, path.with_name("record.jsonl.1")):
        assert stat.S_IMODE(each.stat().st_mode) == 0o600


def test_what_cannot_be_a_record_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "Is a directory"),
        (tmp_path / "missing" / "record.jsonl", "No such file"),
        (tmp_path / "pipe", "not a regular file"),
        (Path("/dev/null"), "not a regular file"),
    ):
        with pytest.raises(OSError, match=message):
            RecordFile(path, Metrics().record).check()


def test_a_link_leads_to_the_file(tmp_path: Path) -> None:
    target = tmp_path / "elsewhere" / "record.jsonl"
    target.parent.mkdir()
    link = tmp_path / "record.jsonl"
    link.symlink_to(target)
    file = RecordFile(link, Metrics().record, max_bytes=1)
    file.check()
    assert target.read_bytes() == b""
    for _ in range(2):
        file.append(LINE, 1)
    file.close()
    assert link.is_symlink()
    assert rotated(target) == [target.with_name("record.jsonl.1"), target]
