"""Files in an object store, scored by two actors of a local Ray: real processes, real messages."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dandelion import Classifier
from dandelion.bulk import ray_engine
from dandelion.bulk.addresses import plan_files
from dandelion.bulk.job import Job, added_columns
from dandelion.bulk.plan import Request, plan
from dandelion.bulk.run import Options, score_files

from ...conftest import PATIENCE_S, ROOT
from ...object_store import SECRET, ObjectStore, object_store
from .test_addresses import Silent

ARTIFACT = ROOT / "artifacts" / "spam" / "squared_hinge-wide"
FILES, ROWS = 6, 15
ATTEMPTS = 4
COMMAND = [sys.executable, "-m", "dandelion.command"]

# Ray takes a minute to start where processors are busy.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectStore]:
    with object_store(tmp_path_factory.mktemp("store")) as store:
        yield store


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class Machine:
    """A cluster of one machine with two processors, in processes of its own."""

    process: subprocess.Popen[bytes]
    address: str
    environment: dict[str, str]

    def score(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `dandelion score` with two actors."""
        options = ["--engine=ray", f"--ray-address={self.address}", "--workers=2"]
        return subprocess.Popen(
            [*COMMAND, "score", *arguments, "--model=spam", "--quiet", *options],
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=self.environment,
        )

    def kill_an_actor(self) -> None:
        for directory in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended
                is_actor = b"FileScorer" in (directory / "cmdline").read_bytes()
                if is_actor and self.process.pid in ancestors(int(directory.name)):
                    os.kill(int(directory.name), signal.SIGKILL)
                    return
        raise AssertionError("no actor runs")


def ancestors(process: int) -> list[int]:
    found = [process]
    while found[-1] > 1:
        status = Path(f"/proc/{found[-1]}/stat").read_text()
        found.append(int(status.rpartition(")")[2].split()[1]))
    return found


@pytest.fixture(scope="module")
def cluster(store: ObjectStore, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    environment = {name: one for name, one in os.environ.items() if "DANDELION" not in name}
    environment |= {
        **store.environment,
        "DANDELION_ARTIFACTS": str(ROOT / "artifacts"),
        "PYTHONPATH": str(ROOT),
        "RAY_AUTH_MODE": "disabled",
    }
    log = tmp_path_factory.mktemp("ray") / "log"
    port = free_port()
    process = start_ray(port, log, environment)
    try:
        yield Machine(process, f"127.0.0.1:{port}", environment)
    finally:
        process.terminate()  # it ends what it has started
        process.wait(PATIENCE_S)


def start_ray(port: int, log: Path, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start Ray; it gives up after 15 s, in which a busy machine may not start all of it."""
    for _ in range(ATTEMPTS):
        with log.open("wb") as file:
            process = subprocess.Popen(
                [
                    *(str(Path(sys.executable).parent / "ray"), "start", "--head", "--block"),
                    *("--num-cpus=2", "--node-ip-address=127.0.0.1", f"--port={port}"),
                    *("--disable-usage-stats", "--include-dashboard=false"),
                    "--include-log-monitor=false",
                ],
                stdout=file,
                stderr=file,
                env={**environment, "RAY_agent_register_timeout_ms": "120000"},
            )
        while process.poll() is None:
            if b"Ray runtime started" in log.read_bytes():
                return process
            time.sleep(0.1)
    raise AssertionError(log.read_text())


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
    store: ObjectStore, cluster: Machine, inputs: Path, expected: Path
) -> None:
    store.put_directory("killed/in", inputs)
    addresses = "s3://bucket/killed/in/*.jsonl", "s3://bucket/killed/out/"
    # Explanations take long, so that actors are busy when one of them is killed.
    with cluster.score(*addresses, "--explain=2") as command:
        while not [key for key in store.keys("killed/out/") if key.endswith(".done")]:
            assert command.poll() is None, command.stderr and command.stderr.read()
            time.sleep(0.02)
        cluster.kill_an_actor()
        _, written = command.communicate()
    assert command.returncode == 5, written  # broken rows
    assert f"Left out {FILES} rows (s3://bucket/killed/out/" in written
    assert f".jsonl, line {ROWS + 1}: invalid JSON" in written
    found = {key.rpartition("/")[2]: store.get(key) for key in store.keys("killed/out/")}
    assert found == {path.name: path.read_bytes() for path in expected.iterdir()}
    assert len(found) == 2 * FILES


def test_a_failed_run_leaves_nothing_that_looks_complete(
    store: ObjectStore, cluster: Machine, inputs: Path
) -> None:
    store.put("failed/in/0.jsonl", (inputs / "0.jsonl").read_bytes())
    store.put("failed/in/1.jsonl.gz", b"damaged")
    addresses = "s3://bucket/failed/in/*", "s3://bucket/failed/out/"
    with cluster.score(*addresses) as command:
        _, written = command.communicate()
    assert command.returncode == 1
    assert "s3://bucket/failed/in/1.jsonl.gz: damaged or incomplete gzip" in written
    assert "go on with --resume" in written
    assert SECRET not in written
    assert not [key for key in store.keys("failed/out/") if "1.jsonl" in key]


def test_a_file_that_is_interrupted_does_not_appear_in_a_store(store: ObjectStore) -> None:
    program = (
        "from dandelion import remote\n"
        "with remote.writing('s3://bucket/interrupted/file', 'run') as file:\n"
        "    file.write(b'x' * (remote.CHUNK_BYTES + 1))\n"
        "    raise KeyboardInterrupt"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env={**os.environ, **store.environment},
        check=False,
    )
    assert b"KeyboardInterrupt" in done.stderr
    assert not store.keys("interrupted")
    assert not store.client.list_multipart_uploads(Bucket=store.name).get("Uploads")


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
    program = "import sys; sys.modules['ray'] = None; from dandelion.command import main; main()"
    done = subprocess.run(
        [
            *(sys.executable, "-c", program, "score", str(inputs / "0.jsonl")),
            *(str(inputs / "out"), "--model=spam", "--engine=ray"),
        ],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DANDELION_ARTIFACTS": str(ROOT / "artifacts")},
        check=False,
    )
    assert done.returncode == 1
    assert "--engine ray needs the extra `ray`" in done.stderr
    assert "Traceback" not in done.stderr
    assert "--resume" not in done.stderr  # nothing was begun
