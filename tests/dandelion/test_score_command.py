"""``dandelion score``, as a process: pipes, signals, exit codes, memory."""

import gzip
import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from typer.testing import CliRunner

from dandelion import Classifier
from dandelion.artifact import save
from dandelion.command import app
from training.data import datasets

from ..conftest import PATIENCE_S, ROOT
from .examples import THREE, make_artifact

COMMAND = [sys.executable, "-m", "dandelion.command", "score"]
TEXT = "WINNER!! Claim your free prize now, call 09012345678"
LINE = json.dumps({"text": TEXT}).encode() + b"\n"


@pytest.fixture(scope="module")
def artifacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("artifacts")
    shutil.copytree(
        ROOT / "artifacts" / "spam" / "squared_hinge-wide", directory / "spam/squared_hinge-wide"
    )
    save(make_artifact(labels=THREE), directory / "mood" / "tiny")
    (directory / "serving.toml").write_text(
        "[models]\nmood = 'tiny'\n[models.spam]\nvariant = 'squared_hinge-wide'\n"
        "[models.spam.policies.strict]\noperating_point = 'fpr<=0.01'\n"
    )
    return directory


def start(artifacts: Path, *arguments: object, **options: object) -> "subprocess.Popen[bytes]":
    command = [*COMMAND, *map(str, arguments), "--artifacts", str(artifacts)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        start_new_session=True,
        **{"stderr": subprocess.PIPE} | options,
    )


def run(
    artifacts: Path,
    *arguments: object,
    given: bytes | None = None,
    code: int = 0,
    **options: object,
) -> tuple[bytes, str]:
    """Run the command to its end; return what it wrote, and its messages."""
    source = {} if given is None else {"stdin": subprocess.PIPE}
    process = start(artifacts, *arguments, **source, **options)
    output, errors = process.communicate(given, timeout=PATIENCE_S)
    assert process.returncode == code, errors.decode()
    return output, errors.decode()


def rows(data: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in data.splitlines()]


def test_pipes_carry_rows_and_nothing_else(artifacts: Path) -> None:
    given = LINE * 3 + b"broken\n" + LINE
    options = "--model", "spam", "--format", "jsonl", "--workers", "1"
    output, errors = run(artifacts, "-", "-", *options, given=gzip.compress(given), code=5)
    assert [row["label"] for row in rows(output)] == ["spam"] * 4
    assert "Left out 1 row (--errors FILE keeps them):" in errors
    assert "  -, line 4: invalid JSON" in errors
    assert "broken" not in errors


def test_what_decides_and_another_encoding_are_named(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("id;text\n1;Grüße\n2;Hello\n".encode("cp1252"))
    options = tmp_path / "a.csv", tmp_path / "b.csv", "--model", "spam", "--workers", "1"
    _, errors = run(artifacts, *options, code=5)
    manifest = Classifier.load(artifacts / "spam" / "squared_hinge-wide").manifest
    decides = f"spam/squared_hinge-wide, version {manifest.version}: positive at"
    assert f"{decides} {manifest.threshold:.4g} ({manifest.operating_point}).\n" in errors
    assert "iconv -f cp1252 -t utf-8" in errors
    run(artifacts, *options, "--encoding", "Windows-1252")
    head, first, _ = (tmp_path / "b.csv").read_text("cp1252").splitlines()
    assert (head, first[:13]) == ("id;text;label;score;decision;notice", "1;Grüße;ham;0")
    address = "file://" + str(tmp_path / "c.csv")
    run(artifacts, options[0], address, *options[2:], "--encoding", "cp1252")
    assert (tmp_path / "c.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    _, errors = run(artifacts, *options, "--policy", "strict", "--prior", "0.1", code=5)
    assert re.search(rf"{decides} [\d.]+ \(policy strict, fpr<=0.01, prior 0.1\)\.\n", errors)
    _, errors = run(artifacts, *options, "--threshold", "0.5", code=5)
    assert f"{decides} 0.5.\n" in errors


def test_a_named_pipe_is_read_once(artifacts: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    options = "--model", "spam", "--workers", "1", "--quiet"
    with start(artifacts, tmp_path / "a.jsonl", "-", *options) as process:
        (tmp_path / "a.jsonl").write_bytes(LINE * 3)
        assert process.stdout is not None
        assert len(rows(process.stdout.read())) == 3
    assert process.returncode == 0


def test_a_reader_that_stops_is_no_error(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE * 50_000)
    arguments = tmp_path / "a.jsonl", "-", "--model", "spam", "--workers", "1", "--quiet"
    with start(artifacts, *arguments) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(PATIENCE_S) == 1
        assert process.stderr.read() == b""


def test_a_pattern_goes_into_a_directory(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(LINE * 2 + b"{}\n"))
    output, errors = run(
        artifacts,
        "*.jsonl*",
        "out/scored",
        *("--model", "spam", "--policy", "strict", "--workers", "2", "--explain", "2"),
        code=5,
        cwd=tmp_path,
    )
    assert output == b""
    found = sorted((tmp_path / "out" / "scored").iterdir())
    assert [path.name for path in found] == ["a.jsonl", "b.jsonl.gz", "b.jsonl.gz.errors.jsonl"]
    (row,) = rows(found[0].read_bytes())
    assert row["decision"] == "positive"
    assert len(row["explanation"]["spans"]) == 2  # type: ignore[index]
    assert len(rows(gzip.decompress(found[1].read_bytes()))) == 2
    assert rows(found[2].read_bytes()) == [{"line": 3, "reason": "no member 'text'", "row": "{}"}]
    assert "Scored 3 rows" in errors


def test_killed_and_resumed(artifacts: Path, tmp_path: Path) -> None:
    """By SIGKILL, SIGTERM and SIGINT in turn, until it is complete."""
    source = tmp_path / "a.csv"
    source.write_text("id,text\n" + "".join(f'{n},"{TEXT}, {n}"\n' for n in range(60_000)))
    options = "--model", "spam", "--workers", "2", "--quiet"
    run(artifacts, source, tmp_path / "whole.csv", *options)
    output = tmp_path / "b.csv"
    state = tmp_path / "b.csv.part.state"
    codes = []
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT):
        process = start(artifacts, source, output, *options, "--resume")
        before = state.read_bytes() if state.exists() else b""
        deadline = time.monotonic() + PATIENCE_S
        while process.poll() is None and (not state.exists() or state.read_bytes() == before):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        children = children_of(process.pid)
        process.send_signal(number)
        _, errors = process.communicate(timeout=PATIENCE_S)
        codes.append(process.returncode)
        if number != signal.SIGKILL and process.returncode:
            assert "go on with --resume" in errors.decode()
            assert "Traceback" not in errors.decode()
        wait_for_end(children)
    assert codes[0] == -signal.SIGKILL
    assert set(codes[1:]) <= {143, 130, 0}
    kept = json.loads(state.read_bytes())["rows"] if state.exists() else 0
    _, errors = run(artifacts, source, output, *options[:-1], "--resume")
    assert (f"; {kept:,} were scored before." in errors) is bool(kept)
    assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert {path.name for path in tmp_path.iterdir()} == {"a.csv", "b.csv", "whole.csv"}


def children_of(pid: int) -> list[int]:
    listed = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in listed.read_text().split()] if listed.exists() else []


def wait_for_end(pids: list[int]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def test_memory_is_constant(artifacts: Path, tmp_path: Path) -> None:
    """A file of ten times the size takes no more memory, in any process: 6 MB and 60 MB."""
    row = json.dumps({"text": TEXT, "filler": "x" * 20_000}).encode() + b"\n"
    peaks = []
    for count in (300, 3000):
        source = tmp_path / "a.jsonl.gz"
        source.write_bytes(gzip.compress(row * count, 1))
        arguments = source, tmp_path / "b.jsonl", "--model", "spam", "--workers", "2", "--quiet"
        command = [*COMMAND, *map(str, arguments), "--artifacts", str(artifacts)]
        # A process that is small itself: a child's peak begins with that of its parent.
        done = subprocess.run(
            [sys.executable, "-c", PEAK, *command],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            check=True,
        )
        peaks.append(int(done.stdout))
    assert peaks[1] < peaks[0] + 8_000  # kilobytes


PEAK = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_real_messages(artifacts: Path, tmp_path: Path, data_dir: Path) -> None:
    """The SMS Spam Collection: as `Classifier.classify` decides, in Parquet and in CSV."""
    texts = datasets.load("spam").texts[:2000]
    parquet.write_table(pa.table({"message": texts}), tmp_path / "a.parquet")
    options = "--model", "spam", "--operating-point", "fpr<=0.01", "--prior", "0.1"
    _, errors = run(artifacts, tmp_path / "a.parquet", tmp_path / "b.parquet", *options)
    assert "the texts are in 'message', by its name" in errors
    classifier = Classifier.load(artifacts / "spam" / "squared_hinge-wide")
    predictions = classifier.classify(texts, operating_point="fpr<=0.01", prior=0.1)
    found = parquet.read_table(tmp_path / "b.parquet").to_pydict()
    assert found["message"] == list(texts)
    assert found["score"] == [one.score for one in predictions]
    assert found["decision"] == [one.decision for one in predictions]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.jsonl", "b.jsonl", "--model", "none"], "unknown model 'none'"),
        (["a.jsonl", "a.jsonl", "--model", "spam"], "is the input itself"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--shard", "3/2"], "expected I/N"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--format", "xls"], "unknown format 'xls'"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--delimiter", "ab"], "the delimiter 'ab'"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--delimiter", ";"], "only CSV has a delimiter"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--encoding", "cp1252"], "only CSV and TSV"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--encoding", "utf-16"], "iconv -f utf-16"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--encoding", "no"], "not an encoding"),
        (
            ["a.jsonl", "b.jsonl", "--model", "spam", "--encoding", "cp1252", "--prefix", "ж"],
            "contain characters that 'cp1252' lacks",
        ),
        (["a.jsonl", "b.jsonl", "--model", "mood", "--threshold", "0.5"], "has no threshold"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--policy", "no"], "has no policy 'no'"),
        (["a.jsonl", "-", "--model", "spam", "--resume"], "standard output cannot be resumed"),
        (["a.jsonl", "b.jsonl", "--model", "spam", "--ray-address", "auto"], "needs --engine ray"),
        (
            ["a.jsonl", "b.jsonl", "--model=spam", "--engine=ray", "--ray-address=ray://host"],
            "does not work through an address such as ray://",
        ),
    ],
)
def test_wrong_usage(
    artifacts: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(LINE)
    result = CliRunner().invoke(app, ["score", *arguments, "--artifacts", str(artifacts)])
    assert result.exit_code == 2, result.output
    assert message in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_progress_is_in_plain_lines_without_a_terminal(
    artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dandelion.commands.progress._EVERY_S", 0.0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_bytes(LINE)
    arguments = ["a.jsonl", "b.jsonl", "--model", "spam", "--workers", "1"]
    command = ["score", *arguments, "--artifacts", str(artifacts)]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0
    assert re.search(r"^1 row, 100%, [\d,]+ texts/s, 0 s left$", result.stderr, re.MULTILINE)
    assert CliRunner().invoke(app, [*command, "--quiet"]).output == ""


def test_a_terminal_has_a_bar(artifacts: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(LINE)
    arguments = tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--model", "spam", "--workers", "1"
    ours, theirs = pty.openpty()
    with start(artifacts, *arguments, stderr=theirs) as process:
        os.close(theirs)
        shown = b""
        with suppress(OSError):  # the end of a terminal
            while piece := os.read(ours, 4096):
                shown += piece
    os.close(ours)
    assert process.returncode == 0
    assert re.search(rb"100%.* texts/s.* \S*\d:\d\d:\d\d", shown)  # what is left


def test_a_full_disk_is_an_error(artifacts: Path, tmp_path: Path) -> None:
    """A file may have 2 MB; then the rest, when there is room again."""
    (tmp_path / "a.jsonl").write_bytes(LINE * 50_000)
    output = tmp_path / "b.jsonl"
    arguments = tmp_path / "a.jsonl", output, "--model", "spam", "--workers", "1", "--quiet"
    limit = ["sh", "-c", 'ulimit -f 2000; trap "" XFSZ; exec "$@"', "sh"]
    command = [*limit, *COMMAND, *map(str, arguments), "--artifacts", str(artifacts)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, check=False)
    assert done.returncode == 1
    assert "b.jsonl: cannot be written: File too large" in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()
    assert not output.exists()
    run(artifacts, *arguments, "--resume")
    assert output.read_bytes().count(b"\n") == 50_000


def test_rows_of_parquet_are_no_lines(artifacts: Path, tmp_path: Path) -> None:
    parquet.write_table(pa.table({"text": [TEXT, None]}), tmp_path / "a.parquet")
    files = str(tmp_path / "a.parquet"), str(tmp_path / "b.parquet")
    options = "--model", "spam", "--artifacts", str(artifacts), "--workers", "1"
    done = CliRunner().invoke(app, ["score", *files, *options])
    assert done.exit_code == 5
    assert f"  {files[0]}, row 2: no text\n" in done.output


def test_exit_codes_are_in_the_help() -> None:
    done = subprocess.run(
        [*COMMAND[:-1], "--help"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=True,
    )
    text = re.sub(r"\s+", " ", done.stdout.decode())
    assert "5 `score` left out rows that it could not read" in text
