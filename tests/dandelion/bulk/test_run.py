"""Files scored as a whole: interrupted anywhere, in parts, by one worker or two."""

import gzip
import json
import os
import random
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dandelion import Classifier
from dandelion.bulk import output as output_module
from dandelion.bulk.errors import BulkError, RefusedError
from dandelion.bulk.job import BrokenRow
from dandelion.bulk.output import Output
from dandelion.bulk.plan import Request, Shard, plan
from dandelion.bulk.run import Options, score_files
from dandelion.decision.calibration import IDENTITY
from dandelion.decision.policy import Policy

from .files import (
    BROKEN,
    NAMES,
    ROWS,
    TEXTS,
    Recorder,
    Score,
    StopError,
    Whole,
    contents,
    rows_of,
    run,
    stop,
    written,
)
from .reference import ADDED, job_of, json_rows


@pytest.mark.parametrize("name", NAMES)
def test_killed_anywhere_and_resumed(
    score: Score, whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The result has the same bytes, and nothing else is left."""
    wanted, watch = whole[name]
    draw = random.Random(name)
    for at in draw.sample(range(1, watch.steps + 1), 6):
        # Else the state is that of the first rows.
        monkeypatch.setattr(output_module, "_STATE_EVERY_S", 0.0 if at % 3 else 1e9)
        running, killed = tmp_path / f"{at}", tmp_path / f"{at} killed"
        running.mkdir()
        kill = Recorder(at, partial(shutil.copytree, running, killed))
        score(name, running / name, kill)
        for path in killed.glob("*.part*"):  # what was written since the state
            if not path.name.endswith(".state"):
                with path.open("ab") as file:
                    file.write(draw.randbytes(draw.randrange(3) * 500))
        again = Recorder()
        totals = score(name, killed / name, again, resumes=True)
        assert contents(killed) == wanted
        assert again.units == again.total
        assert totals.scored < totals.rows == 343


@pytest.mark.parametrize("name", NAMES)
def test_interrupted_and_resumed(
    artifact: Path,
    inputs: dict[str, Path],
    whole: Whole,
    tmp_path: Path,
    name: str,
) -> None:
    """An interruption that can be noticed loses nothing that was scored."""
    wanted, watch = whole[name]
    with pytest.raises(StopError):
        run(artifact, inputs[name], tmp_path / name, Recorder(watch.steps // 2, stop))
    assert not (tmp_path / name).exists()
    again = Recorder()
    run(artifact, inputs[name], tmp_path / name, again, resumes=True)
    assert contents(tmp_path) == wanted
    assert again.steps <= watch.steps // 2 + 2 or name.endswith(".parquet")


def test_what_has_changed_is_not_resumed(
    artifact: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    source = tmp_path / "a.jsonl"
    shutil.copy(inputs["a.jsonl"], source)
    with pytest.raises(StopError):
        run(artifact, source, tmp_path / "b.jsonl", Recorder(2, stop))
    for change, message in (
        ({"job": {"threshold": 0.9}}, "the decision"),
        ({"job": {"explain": 1}}, "--explain"),
        ({"text": "id"}, "the layout"),
        ({"job": {"prefix": "my_"}, "added": [f"my_{one}" for one in ADDED]}, "added columns"),
    ):
        with pytest.raises(RefusedError, match=f"changed since the interrupted run: .*{message}"):
            run(artifact, source, tmp_path / "b.jsonl", resumes=True, **change)
    data, times = source.read_bytes(), source.stat()
    for content, at in ((data, 1), (data[:-3] + b'!"}', times.st_mtime_ns)):
        source.write_bytes(content)
        os.utime(source, ns=(at, at))
        with pytest.raises(RefusedError, match="the input"):
            run(artifact, source, tmp_path / "b.jsonl", resumes=True)
    (tmp_path / "b.jsonl.part.state").write_text("{}")
    with pytest.raises(RefusedError, match="damaged"):
        run(artifact, source, tmp_path / "b.jsonl", resumes=True)
    totals = run(artifact, source, tmp_path / "b.jsonl")  # from the beginning
    assert totals.scored == 343


def test_complete_files_of_an_interrupted_run_are_not_scored_again(
    artifact: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    sources = [str(inputs[name]) for name in ("a.jsonl", "a.jsonl.gz")]
    items = plan(Request(sources, str(tmp_path / "out")))
    options = Options(job_of(artifact), ADDED, "compiled")
    with pytest.raises(StopError):
        score_files(items, options, Recorder(30, stop))
    first = tmp_path / "out" / "a.jsonl"
    before = first.stat()
    assert (first.parent / "a.jsonl.gz.part").exists()
    totals = score_files(items, replace(options, resumes=True), Recorder())
    assert totals.rows == 2 * 343
    assert totals.scored < 343
    assert first.stat() == before
    assert len(contents(first.parent)) == 4


@pytest.mark.parametrize(
    ("name", "count"), [*((name, 3) for name in NAMES), ("a.csv", 45), ("a.parquet", 45)]
)
def test_shards_are_the_whole(
    score: Score, whole: Whole, tmp_path: Path, name: str, count: int
) -> None:
    for number in range(1, count + 1):
        score(name, tmp_path / name, shard=Shard(number, count))
    parts = sorted(tmp_path.glob(f"a.*-of-{count}{name.removeprefix('a')}"))
    if count == 3:
        assert [path.name for path in parts] == [
            f"a.{number}-of-3{name.removeprefix('a')}" for number in (1, 2, 3)
        ]
    wanted = whole[name][0]
    assert rows_of(*parts) == rows_of(written(tmp_path / "whole", name, wanted[name]))
    errors = [
        line
        for path in parts
        if (side := path.with_name(path.name + ".errors.jsonl")).exists()
        for line in side.read_bytes().splitlines()
    ]
    assert errors == wanted[f"{name}.errors.jsonl"].splitlines()


def test_shards_of_several_files(artifact: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    for number in range(3):
        shutil.copy(inputs["a.jsonl"], tmp_path / f"{number}.jsonl")
    (tmp_path / "empty.jsonl").touch()
    names = []
    for number in range(1, 6):
        sources, output = [str(tmp_path / "*.jsonl")], str(tmp_path / "out")
        items = plan(Request(sources, output, shard=Shard(number, 5)))
        names += [item.output.name for item in items if item.output]
        score_files(items, Options(job_of(artifact), ADDED, "compiled"), Recorder())
    assert names[0] == "0.1-of-5.jsonl"
    assert "empty.5-of-5.jsonl" in names
    rows = [
        row["id"] for name in names for row in json_rows((tmp_path / "out" / name).read_bytes())
    ]
    assert rows == [n for n in range(ROWS) if n % BROKEN != 3] * 3


def test_two_workers_write_the_same_as_one(
    artifact: Path,
    inputs: dict[str, Path],
    whole: Whole,
    tmp_path: Path,
) -> None:
    names = ["a.jsonl.gz", "a.parquet"]
    for name in names:
        run(artifact, inputs[name], tmp_path / name, workers=2)
    assert contents(tmp_path) == {
        file: data for name in names for file, data in whole[name][0].items()
    }


def test_a_policy_decides(artifact: Path, tmp_path: Path) -> None:
    policy = Policy("strict", None, 0.9, 0.1, None, IDENTITY)
    lines = [json.dumps({"text": text}) for text in TEXTS]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    run(artifact, tmp_path / "a.jsonl", tmp_path / "b.jsonl", job={"policy": policy})
    found = json_rows((tmp_path / "b.jsonl").read_bytes())
    wanted = Classifier.load(artifact).classify(TEXTS, policy=policy)
    assert [(row["score"], row["decision"]) for row in found] == [
        (one.score, one.decision) for one in wanted
    ]
    assert "none" in {row["decision"] for row in found}


def test_an_output_has_one_writer(artifact: Path, inputs: dict[str, Path], tmp_path: Path) -> None:
    output = tmp_path / "b.jsonl"
    with (
        Output(output, tmp_path / "errors", {}, resumes=False),
        pytest.raises(RefusedError, match="another process is writing it"),
    ):
        run(artifact, inputs["a.jsonl"], output)


def test_a_stale_side_file_goes(artifact: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "Lunch?"}\n{"text": 1}\n')
    run(artifact, source, tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl.errors.jsonl").exists()
    source.write_text('{"text": "Lunch?"}\n')
    run(artifact, source, tmp_path / "b.jsonl")
    assert set(contents(tmp_path)) == {"a.jsonl", "b.jsonl"}


def test_a_side_file_may_be_on_another_file_system(artifact: Path, tmp_path: Path) -> None:
    source = tmp_path / "a.jsonl"
    source.write_text('{"text": "Lunch?"}\n{"text": 1}\n')
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else None) as elsewhere:
        side_file = Path(elsewhere) / "errors.jsonl"
        items = plan(Request([str(source)], str(tmp_path / "b.jsonl"), side_file=side_file))
        totals = score_files(items, Options(job_of(artifact), ADDED, "compiled"), Recorder())
        assert (totals.rows, json_rows(side_file.read_bytes())[0]["line"]) == (1, 2)
    assert set(contents(tmp_path)) == {"a.jsonl", "b.jsonl"}


def test_a_side_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with Output(tmp_path / "b.jsonl", tmp_path / "no" / "errors", {}, resumes=False) as output:
        output.write(b"", (BrokenRow(1, "invalid JSON", b"?"),), 0, 1, 2)
        with pytest.raises(BulkError, match="no/errors: cannot be written: No such file"):
            output.finish()


def test_nothing_is_left_if_nothing_was_scored(
    artifact: Path, inputs: dict[str, Path], tmp_path: Path
) -> None:
    packed = tmp_path / "a.jsonl.gz"
    packed.write_bytes(gzip.compress(b'{"text": "Lunch?"}\n' * 90)[:-9])
    with pytest.raises(BulkError, match="damaged or incomplete gzip"):
        run(artifact, packed, tmp_path / "b.jsonl")
    assert set(contents(tmp_path)) == {"a.jsonl.gz"}
