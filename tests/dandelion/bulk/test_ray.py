"""Files in an object store, scored by two actors of a local Ray: real processes, real messages."""

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dandelion import Classifier
from dandelion.bulk import ray_engine
from dandelion.bulk.addresses import plan_files
from dandelion.bulk.job import Job, added_columns
from dandelion.bulk.plan import Request, plan
from dandelion.bulk.run import Options, score_files

from ...conftest import ROOT
from ...object_store import SECRET, ObjectStore, object_store
from .test_addresses import Silent

ARTIFACT = ROOT / "artifacts" / "spam" / "squared_hinge-wide"
FILES, ROWS = 6, 15

pytestmark = pytest.mark.timeout(600)  # Ray takes a minute to start where processors are busy


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as store:
        yield store


@dataclass
class Program:
    """The process that has started Ray."""

    process: subprocess.Popen[str]

    def ask(self, **asked: object) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({"kill": None} | asked) + "\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise AssertionError("the process has ended")

    def score(self, *arguments: str, kill: str | None = None) -> dict[str, Any]:
        options = ["--model=spam", "--engine=ray", "--workers=2", "--quiet"]
        return self.ask(arguments=["score", *arguments, *options], kill=kill)


@pytest.fixture(scope="module")
def program(store: ObjectStore) -> Iterator[Program]:
    environment = {name: one for name, one in os.environ.items() if "DANDELION" not in name}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.dandelion.bulk.ray_program"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={
            **environment,
            **store.environment,
            "RAY_USAGE_STATS_ENABLED": "0",
            "DANDELION_ARTIFACTS": str(ROOT / "artifacts"),
            "PYTHONPATH": str(ROOT),
        },
    )
    with process:
        yield Program(process)
        assert process.stdin is not None
        process.stdin.close()  # it ends, and Ray with it


@pytest.fixture(scope="module")
def inputs(data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Real messages, each file with a broken row."""
    inputs = tmp_path_factory.mktemp("messages")
    with zipfile.ZipFile(data_dir / "sms_spam_collection.zip") as archive:
        lines = archive.read("SMSSpamCollection").decode().splitlines()
    for number in range(FILES):
        rows = lines[number * ROWS : (number + 1) * ROWS]
        texts = [json.dumps({"message": row.split("\t", 1)[1]}) for row in rows]
        (inputs / f"{number}.jsonl").write_text("\n".join([*texts, "broken", ""]))
    return inputs


@pytest.fixture(scope="module")
def options() -> Options:
    classifier = Classifier.load(ARTIFACT)
    job = Job(ARTIFACT, classifier.manifest.content_hash, explain=2)
    return Options(job, added_columns(job, is_binary=True), classifier.engine)


@pytest.fixture(scope="module")
def expected(inputs: Path, options: Options, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What this machine makes of them."""
    outputs = tmp_path_factory.mktemp("expected")
    score_files(plan(Request([str(inputs / "*.jsonl")], str(outputs))), options, Silent())
    return outputs


def test_an_actor_that_is_killed_loses_and_doubles_nothing(
    store: ObjectStore, program: Program, inputs: Path, expected: Path
) -> None:
    store.put_directory("killed/in", inputs)
    addresses = "s3://bucket/killed/in/*.jsonl", "s3://bucket/killed/out/"
    first = f"{addresses[1]}*.done"
    # Explanations take long, so that actors are busy when one of them is killed.
    done = program.score(*addresses, "--explain=2", kill=first)
    assert len(done["killed"]) == 1
    assert done["exit_code"] == 5, done["written"]  # broken rows
    assert f"Left out {FILES} rows (s3://bucket/killed/out/" in done["written"]
    assert f"0.jsonl, line {ROWS + 1}: invalid JSON" in done["written"]
    found = {key.rpartition("/")[2]: store.get(key) for key in store.keys("killed/out/")}
    assert found == {path.name: path.read_bytes() for path in expected.iterdir()}
    assert len(found) == 2 * FILES


def test_a_failed_run_leaves_nothing_that_looks_complete_and_is_resumed(
    store: ObjectStore, program: Program, inputs: Path
) -> None:
    store.put("failed/in/0.jsonl", (inputs / "0.jsonl").read_bytes())
    store.put("failed/in/1.jsonl.gz", b"damaged")
    addresses = "s3://bucket/failed/in/*", "s3://bucket/failed/out/"
    done = program.score(*addresses)
    assert done["exit_code"] == 1
    assert "s3://bucket/failed/in/1.jsonl.gz: damaged or incomplete gzip" in done["written"]
    assert "go on with --resume" in done["written"]
    assert SECRET not in done["written"]
    assert not [key for key in store.keys("failed/out/") if "1.jsonl" in key]

    store.put("failed/in/1.jsonl.gz", b"")  # an empty file is a whole one
    store.put("failed/out/0.jsonl", b"complete")  # only to see whether it is written again
    marked = [key for key in store.keys("failed/out/") if key.endswith(".done")]
    assert program.score(*addresses, "--resume")["exit_code"] == 5
    found = {key.rpartition("/")[2] for key in store.keys("failed/out/")}
    assert found == {"0.jsonl", "0.jsonl.errors.jsonl", "1.jsonl.gz"}
    # Which of the two was scored first is not known.
    assert (store.get("failed/out/0.jsonl") == b"complete") is bool(marked)


def test_a_file_that_is_interrupted_does_not_appear_in_a_store(
    store: ObjectStore, program: Program
) -> None:
    found = program.ask(interrupt="s3://bucket/interrupted/file")
    assert found["problem"] == "s3://bucket/interrupted/file: does not exist"
    uploads = store.client.list_multipart_uploads(Bucket=store.name)
    assert not uploads.get("Uploads")


def test_other_software_on_a_machine_is_refused(options: Options, inputs: Path) -> None:
    """As an actor would there, in this process."""
    other = ray_engine.Software("0.1.0", options.engine)
    actor = ray_engine.FileScorer(options, None, other, "run")
    (file,) = plan_files(Request([str(inputs / "0.jsonl")], str(inputs / "out.jsonl")))
    result = json.loads(actor(ray_engine.row_of(0, file))["result"])
    assert result["is_refused"]
    assert "a machine of the cluster has Dandelion" in result["error"]
    assert "but this one 0.1.0" in result["error"]


def test_what_is_not_installed_is_named(options: Options, inputs: Path) -> None:
    program = (
        "import sys; sys.modules['ray'] = None\n"
        "from dandelion.command import main; sys.argv = sys.argv[:1] + sys.argv[2:]; main()"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "", "score", str(inputs / "0.jsonl")),
            *(str(inputs / "out"), "--model=spam", "--engine=ray"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DANDELION_ARTIFACTS": str(ROOT / "artifacts")},
        check=False,
    )
    assert done.returncode in {1, 2}
    assert "--engine ray needs the extra `ray`" in done.stderr
    assert "Traceback" not in done.stderr
