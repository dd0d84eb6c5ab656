"""Files at addresses have the bytes of files of this machine, and appear whole or not at all."""

import gzip
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dandelion import Classifier, remote
from dandelion.artifact import save
from dandelion.bulk import file_scoring
from dandelion.bulk.addresses import plan_files
from dandelion.bulk.errors import BulkError, RefusedError
from dandelion.bulk.job import Job, added_columns
from dandelion.bulk.plan import Request, Shard, plan
from dandelion.bulk.run import Options, Totals, score_files

from ..examples import FEATURES, make_artifact

JSON_LINES = (
    b'{"id": 1, "text": "Free prize!"}\n\nno JSON\n{"text": "Lunch tomorrow?", "n": 1.50}\n'
    b'{"id": 3}\n{"text": ""}'
)
CSV = b'id,text\r\n1,"Free\r\nprize, now"\r\n2,lunch,too many\r\n3,tomorrow\r\n'
TSV = b"id\ttext\n1\tFree prize\n2\tlunch\n\xff\ttomorrow\n"


class Silent:
    """A watch that keeps what it learns."""

    def __init__(self) -> None:
        self.units, self.rows, self.notes = 0, 0, list[str]()

    def begin(self, units: int | None) -> None:
        self.total = units

    def advance(self, units: int, rows: int) -> None:
        self.units += units
        self.rows += rows

    def note(self, sentence: str) -> None:
        self.notes.append(sentence)


@pytest.fixture(scope="module")
def options(tmp_path_factory: pytest.TempPathFactory) -> Options:
    artifact = tmp_path_factory.mktemp("addresses") / "tiny"
    save(make_artifact(features=FEATURES), artifact)
    classifier = Classifier.load(artifact)
    job = Job(artifact, classifier.manifest.content_hash)
    return Options(job, added_columns(job, is_binary=True), classifier.engine)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Files of each format, in a directory of each."""
    parquet = pytest.importorskip("pyarrow.parquet")
    arrow = pytest.importorskip("pyarrow")
    inputs = tmp_path / "in"
    texts = ["Free prize!", None, "lunch", "", "tomorrow"] * 5
    table = arrow.table({"n": range(25), "text": texts})
    for name, data in (
        ("a.jsonl", JSON_LINES),
        ("b.jsonl", b""),
        ("c.jsonl.gz", gzip.compress(JSON_LINES)),
        ("a.csv", CSV),
        ("b.csv.gz", gzip.compress(CSV)),
        ("a.tsv", TSV),
        ("a.parquet", None),
    ):
        path = inputs / name.split(".")[1] / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if data is None:
            parquet.write_table(table, path, row_group_size=10)
        else:
            path.write_bytes(data)
    return inputs


@pytest.fixture
def memory(inputs: Path) -> Iterator[str]:
    """The same files at an address."""
    system, _ = remote.file_system("memory://")
    for path in inputs.rglob("*.*"):
        system.pipe_file(f"/in/{path.parent.name}/{path.name}", path.read_bytes())
    yield "memory:/"
    for name in system.find("/"):
        system.rm_file(name)


def below(directory: str) -> dict[str, bytes]:
    system, path = remote.file_system(directory)
    return {name.rpartition("/")[2]: system.cat_file(name) for name in system.find(path)}


def score(request: Request, options: Options, **changes: object) -> tuple[Totals, Silent]:
    watch = Silent()
    return file_scoring.score_files(plan_files(request), replace(options, **changes), watch), watch


@pytest.mark.parametrize("form", ["jsonl", "csv", "tsv", "parquet"])
def test_outputs_have_the_bytes_of_outputs_of_this_machine(
    inputs: Path, memory: str, options: Options, tmp_path: Path, form: str
) -> None:
    here = tmp_path / "out"
    pattern = f"in/{form}/*.{form}*"
    expected = score_files(plan(Request([str(tmp_path / pattern)], str(here))), options, Silent())
    there = [f"{memory}/{pattern}", f"{memory}/out/{form}"]
    totals, watch = score(Request(there[:1], there[1]), options)
    assert below(there[1]) == below(str(here))
    assert (totals.rows, totals.broken) == (expected.rows, expected.broken)
    assert [one[1:] for one in totals.listed] == [one[1:] for one in expected.listed]
    assert (
        watch.units == watch.total == sum(len(one) for one in below(f"{memory}/in/{form}").values())
    )
    # And with paths instead of addresses, by two processes.
    twice = Request([str(tmp_path / pattern)], str(tmp_path / "again"))
    score(twice, options, workers=2)
    assert below(str(tmp_path / "again")) == below(str(here))


def test_a_single_file_goes_to_a_file_and_is_packed_as_its_name_says(
    memory: str, options: Options
) -> None:
    source = f"{memory}/in/jsonl/a.jsonl"
    score(Request([source], f"{memory}/one/plain.jsonl"), options)
    score(Request([source], f"{memory}/one/packed.jsonl.gz"), options)
    score(Request([source], f"{memory}/one/"), options)
    found = below(f"{memory}/one")
    assert set(found) == {
        name + end
        for name in ("plain.jsonl", "packed.jsonl.gz", "a.jsonl")
        for end in ("", ".errors.jsonl")
    }
    assert gzip.decompress(found["packed.jsonl.gz"]) == found["plain.jsonl"] == found["a.jsonl"]


def test_resuming_leaves_out_what_is_complete(memory: str, inputs: Path, options: Options) -> None:
    system, _ = remote.file_system("memory://")
    request = Request([f"{memory}/in/jsonl/*.jsonl"], f"{memory}/out")
    score(request, options)
    expected = below(f"{memory}/out")
    system.pipe_file("/in/jsonl/c.jsonl", b'{"text": "lunch"}\n{"text": 1}\n')
    system.pipe_file("/in/jsonl/d.jsonl", b'{"words": "lunch", "id": 1}\n')
    with pytest.raises(RefusedError, match=r"d\.jsonl: cannot guess which column"):
        score(request, options)
    left = below(f"{memory}/out")
    assert not {"d.jsonl", "d.jsonl.errors.jsonl"} & set(left)
    assert {"a.jsonl.done", "b.jsonl.done", "c.jsonl.done"} <= set(left)
    assert expected.items() <= left.items()

    system.pipe_file("/in/jsonl/d.jsonl", b'{"text": "lunch"}\n')
    system.pipe_file("/out/a.jsonl", b"complete")  # only to see whether it is written again
    totals, watch = score(request, options, resumes=True)
    found = below(f"{memory}/out")
    assert found["a.jsonl"] == b"complete"
    assert json.loads(found["d.jsonl"])["text"] == "lunch"
    assert not [name for name in found if name.endswith(".done")]
    assert (totals.rows, totals.scored, watch.rows) == (5, 1, 1)


def test_resuming_refuses_what_has_changed(memory: str, options: Options) -> None:
    system, _ = remote.file_system("memory://")
    system.pipe_file("/in/two/a.jsonl", b'{"text": "lunch"}\n')
    system.pipe_file("/in/two/b.jsonl", b"damaged")
    request = Request([f"{memory}/in/two/a.jsonl", f"{memory}/in/two/b.jsonl.gz"], f"{memory}/out")
    system.pipe_file("/in/two/b.jsonl.gz", b"damaged")
    with pytest.raises(BulkError, match=r"b\.jsonl\.gz: damaged or incomplete gzip"):
        score(request, options)
    assert set(below(f"{memory}/out")) == {"a.jsonl", "a.jsonl.done"}
    system.pipe_file("/in/two/b.jsonl.gz", gzip.compress(b'{"text": "lunch"}\n'))
    other = replace(options.job, explain=1)
    with pytest.raises(RefusedError, match="changed since the interrupted run: --explain"):
        score(request, options, resumes=True, job=other)
    system.pipe_file("/in/two/a.jsonl", b'{"text": "other"}\n')
    with pytest.raises(RefusedError, match="changed since the interrupted run: the input"):
        score(request, options, resumes=True)


@pytest.mark.parametrize(
    ("given", "output", "message"),
    [
        (["-"], "memory://out", "standard input and output cannot be combined"),
        (["memory://in/jsonl/*.txt"], "memory://out", "no file matches 'memory:///in/jsonl/*.txt'"),
        (["memory://in/nothing.csv"], "memory://out", "in/nothing.csv: does not exist"),
        (["memory://in/csv/a.csv"], "memory://in/csv/a.csv", "in/csv/a.csv is an input itself"),
        (["memory://in/csv/a.csv"], "memory://out.jsonl", "the output has the format of the input"),
        (["memory://in/*/a.*"], "memory://out", "the inputs are of different formats"),
        (
            ["memory://in/csv/a.csv", "memory://in/copy/a.csv"],
            "memory://out",
            "two inputs would be written to memory:///out/a.csv",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(
    memory: str, given: list[str], output: str, message: str
) -> None:
    system, _ = remote.file_system("memory://")
    system.pipe_file("/in/copy/a.csv", CSV)
    with pytest.raises(RefusedError, match=re.escape(message)):
        plan_files(Request(given, output))
    for request in (
        Request(["memory://in/csv/a.csv"], "memory://out", shard=Shard(1, 2)),
        Request(["memory://in/csv/a.csv"], "memory://out", side_file=Path("side")),
    ):
        with pytest.raises(RefusedError, match=r"is for files of one machine"):
            plan_files(request)


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    path = tmp_path / "a[1].csv"
    path.write_bytes(CSV)
    (file,) = plan_files(Request([str(path)], "memory://out/b.csv"))
    assert (file.source, file.output) == (str(path), "memory:///out/b.csv")


def test_what_marks_an_output_as_complete_replaces_no_input(memory: str) -> None:
    system, _ = remote.file_system("memory://")
    system.pipe_file("/out/a.csv.done", CSV)
    request = Request(["memory://out/a.csv.done"], "memory://out/a.csv", "csv")
    with pytest.raises(RefusedError, match=r"a\.csv\.done is an input itself"):
        plan_files(request)


def test_a_file_that_cannot_be_written_leaves_nothing_that_looks_complete(
    inputs: Path, options: Options, tmp_path: Path
) -> None:
    blocked = tmp_path / "out"
    (blocked / "a.jsonl").mkdir(parents=True)  # its name is taken
    request = Request(
        [str(inputs / "jsonl" / "a.jsonl"), str(inputs / "jsonl" / "b.jsonl")], str(blocked)
    )
    with pytest.raises(BulkError, match=r"a\.jsonl: cannot be"):
        score(request, options)
    assert [path.name for path in blocked.iterdir()] == ["a.jsonl"]
    shutil.rmtree(blocked)


def test_what_a_killed_process_leaves_aside_is_removed(tmp_path: Path) -> None:
    with remote.writing(str(tmp_path / "of"), "other") as file:
        file.write(b"whole")
    (tmp_path / ".name.run-1").write_bytes(b"half")
    (tmp_path / ".name.other-1").write_bytes(b"half")
    remote.remove_aside(str(tmp_path), "run")
    assert {path.name for path in tmp_path.iterdir()} == {"of", ".name.other-1"}


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    """In an object store: test_ray.py."""
    name = str(tmp_path / "x" / "file")

    def interrupted() -> None:
        with remote.writing(name, "run") as file:
            file.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with pytest.raises(remote.MissingError):
        remote.read(name, 10)
    with remote.writing(name, "run") as file:
        file.write(b"whole")
    assert remote.read(name, 10) == b"whole"
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert remote.read(name, 10) == b"whole"
    remote.remove([name])
    remote.remove([name])
