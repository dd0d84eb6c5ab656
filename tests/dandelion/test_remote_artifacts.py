"""Artifacts at an address: fetched whole into the cache, or not at all."""

import multiprocessing
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion import ArtifactError, Classifier, ServingError, artifact_cache, remote
from dandelion.artifact import save
from dandelion.remote_artifacts import Wanted, fetch, fetch_artifact

from ..conftest import PATIENCE_S, ROOT
from .examples import FEATURES, make_artifact

TEXTS = ["Free prize!", "Lunch tomorrow?", ""]
SERVING = """\
[models]
other = "tiny"
[models.spam]
variant = "tiny"
shadow = "second"
policies.teens.calibration = "policies/teens.json"
"""


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    artifacts = tmp_path / "artifacts"
    for model, variant in (("spam", "tiny"), ("spam", "second"), ("spam", "third")):
        save(make_artifact(seed=len(variant), features=FEATURES), artifacts / model / variant)
    save(make_artifact(seed=1, features=FEATURES), artifacts / "other" / "tiny")
    (artifacts / "serving.toml").write_text(SERVING)
    (artifacts / "policies").mkdir()
    (artifacts / "policies" / "teens.json").write_text("{}")
    (artifacts / "spam" / "tiny" / "reference.json").write_text("{}")
    return artifacts


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def address(artifacts: Path) -> str:
    return f"file://{artifacts}"


def files(directory: Path) -> dict[str, bytes]:
    found = {str(path.relative_to(directory)): path for path in directory.rglob("*")}
    return {name: path.read_bytes() for name, path in found.items() if path.is_file()}


def copies(cache: Path) -> list[Path]:
    return [*cache.glob("copies/*/*")]


def assert_nothing_aside(cache: Path) -> None:
    assert not list(cache.rglob(".aside-*"))


def test_what_serving_names_is_fetched_and_nothing_else(
    artifacts: Path, address: str, cache: Path
) -> None:
    copy = fetch(address, cache=cache)
    found = files(copy.directory)
    del found[".files.json"]
    expected = files(artifacts)
    assert found == {name: one for name, one in expected.items() if "third" not in name}
    assert_nothing_aside(cache)


def test_of_other_models_than_the_one_that_is_needed_only_the_manifest_is_fetched(
    address: str, cache: Path
) -> None:
    copy = fetch(address, Wanted(model="spam", variant="third"), cache)
    assert {path.name for path in (copy.directory / "other" / "tiny").iterdir()} == {"model.json"}
    for variant in ("tiny", "second", "third"):
        Classifier.load(copy.directory / "spam" / variant).check_golden()


def test_an_override_is_fetched_instead(address: str, cache: Path) -> None:
    copy = fetch(address, Wanted({"other": "tiny", "spam": "third"}), cache)
    assert {path.name for path in (copy.directory / "spam").iterdir()} == {"third", "second"}
    with pytest.raises(ArtifactError, match=re.escape(f"{address}/spam/nope/model.json: does not")):
        fetch(address, Wanted({"spam": "nope"}), cache)


def test_an_artifact_is_loaded_from_its_address(
    artifacts: Path, monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("DANDELION_CACHE_DIR", str(cache))
    here = Classifier.load(artifacts / "spam" / "tiny").scores(TEXTS)
    system, _ = remote.file_system("memory://")
    for name, data in files(artifacts / "spam" / "tiny").items():
        system.pipe_file(f"/models/tiny/{name}", data)
    np.testing.assert_array_equal(Classifier.load("memory://models/tiny").scores(TEXTS), here)
    system.pipe_file("/models/tiny/golden.json", b"{}")
    shutil.rmtree(cache)
    with pytest.raises(ArtifactError, match=r"memory://models/tiny/golden\.json: damaged: its che"):
        Classifier.load("memory://models/tiny")
    with pytest.raises(ArtifactError, match=r"memory://nothing/model\.json: does not exist"):
        Classifier.load("memory://nothing")
    assert not copies(cache)


def test_files_in_the_cache_are_not_fetched_again(
    artifacts: Path, address: str, cache: Path
) -> None:
    first = fetch(address, cache=cache)
    (artifacts / "spam" / "tiny" / "model.safetensors").unlink()
    assert fetch(address, cache=cache) == first
    (artifacts / "serving.toml").write_text('[models]\nspam = "tiny"\n')
    second = fetch(address, cache=cache)
    assert second.directory != first.directory
    Classifier.load(second.directory / "spam" / "tiny").check_golden()
    assert artifact_cache.find(address, first.digest, cache) == first


@pytest.mark.parametrize("name", ["spam/tiny/vocabulary.txt", "serving.toml", ".files.json"])
def test_a_damaged_copy_is_fetched_again(
    artifacts: Path, address: str, cache: Path, name: str
) -> None:
    first = fetch(address, cache=cache)
    damaged = first.directory / name
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")  # in files/ as well: it is the same file
    assert artifact_cache.find(address, first.digest, cache) is None
    assert fetch(address, cache=cache) == first
    assert artifact_cache.find(address, first.digest, cache) == first
    assert (
        files(first.directory)["spam/tiny/vocabulary.txt"]
        == (artifacts / "spam" / "tiny" / "vocabulary.txt").read_bytes()
    )
    assert_nothing_aside(cache)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("spam/tiny/golden.json", b"other", "golden.json: damaged: its checksum differs"),
        ("spam/tiny/golden.json", None, "golden.json: does not exist"),
        ("spam/tiny/model.json", b"{}", "spam/tiny/model.json: not a Dandelion artifact"),
        ("spam/second/model.json", None, "spam/second/model.json: does not exist"),
        ("spam/tiny/reference.json", b"x" * (2**20 + 1), "larger than 1048576 bytes"),
        ("serving.toml", b"x" * (2**20 + 1), "serving.toml: larger than 1048576 bytes"),
        ("serving.toml", None, "serving.toml: does not exist"),
    ],
)
def test_nothing_is_kept_of_what_is_not_whole(
    artifacts: Path, cache: Path, name: str, content: bytes | None, message: str
) -> None:
    address = f"file://{artifacts}"
    path = artifacts / name
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(ArtifactError, match=re.escape(message)) as caught:
        fetch(address, cache=cache)
    assert str(caught.value).startswith(f"{address}/")
    assert not copies(cache)
    assert_nothing_aside(cache)


@pytest.mark.parametrize("calibration", ["../secret.json", "/etc/passwd"])
def test_policy_files_elsewhere_are_refused(
    artifacts: Path, address: str, cache: Path, calibration: str
) -> None:
    text = SERVING.replace("policies/teens.json", calibration)
    (artifacts / "serving.toml").write_text(text)
    with pytest.raises(ArtifactError, match="is not below the address of the artifacts"):
        fetch(address, cache=cache)


def test_an_invalid_serving_file_is_refused_by_its_address(
    artifacts: Path, address: str, cache: Path
) -> None:
    (artifacts / "serving.toml").write_text("[models")
    with pytest.raises(ServingError, match=re.escape(f"{address}/serving.toml: invalid TOML")):
        fetch(address, cache=cache)


def test_what_is_unused_for_a_month_is_removed(artifacts: Path, address: str, cache: Path) -> None:
    old = fetch(address, cache=cache)
    aside = cache / "files" / ".aside-killed"
    aside.write_bytes(b"")
    (artifacts / "serving.toml").write_text('[models]\nspam = "tiny"\n')
    fetch(address, cache=cache)
    for path in (old.directory, aside, *(cache / "files").iterdir()):
        os.utime(path, (time.time() - 31 * 86_400,) * 2)
    kept = fetch(address, cache=cache)
    assert copies(cache) == [kept.directory]
    assert len([*(cache / "files").iterdir()]) == len(files(kept.directory)) - 1  # .files.json


def _fetch_often(address: str, cache: str) -> None:
    for _ in range(5):
        copy = fetch(address, cache=Path(cache))
        Classifier.load(copy.directory / "spam" / "tiny").check_golden()


def test_processes_that_fetch_at_the_same_time_find_one_whole_copy(
    address: str, cache: Path
) -> None:
    context = multiprocessing.get_context("fork")
    started = [context.Process(target=_fetch_often, args=(address, str(cache))) for _ in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    assert len(copies(cache)) == 1
    assert_nothing_aside(cache)


class Interrupting(BaseHTTPRequestHandler):
    """Serves a directory; the connection ends in the middle of ``interrupted``."""

    directory = Path()
    interrupted = ""
    waits = threading.Event()
    reached = threading.Event()

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        path = self.directory / name
        if not path.is_file():
            self.send_error(404)
            return
        data = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "HEAD":
            pass
        elif name == self.interrupted:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.reached.set()
            self.waits.wait(PATIENCE_S)
            self.connection.shutdown(socket.SHUT_RDWR)
        else:
            self.wfile.write(data)

    do_HEAD = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def interrupting(artifacts: Path) -> Iterator[ThreadingHTTPServer]:
    own = {"directory": artifacts, "waits": threading.Event(), "reached": threading.Event()}
    handler = type("Handler", (Interrupting,), own)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        handler.waits.set()
        server.shutdown()
        thread.join()


def test_of_an_interrupted_download_nothing_is_kept(
    interrupting: ThreadingHTTPServer, cache: Path
) -> None:
    """In a process, which is then killed in the middle of another download."""
    handler = interrupting.RequestHandlerClass
    address = f"http://127.0.0.1:{interrupting.server_port}"
    program = (
        "import sys; from pathlib import Path; from dandelion.remote_artifacts import fetch\n"
        "print(fetch(sys.argv[1], cache=Path(sys.argv[2])).directory)"
    )
    arguments = [sys.executable, "-c", program, address, str(cache)]

    handler.interrupted = "spam/tiny/model.safetensors"
    handler.waits.set()
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=False)
    assert f"ArtifactError: {address}/{handler.interrupted}: cannot be read (" in done.stderr
    assert not copies(cache)
    assert_nothing_aside(cache)

    handler.waits.clear()
    handler.reached.clear()
    with subprocess.Popen(arguments, cwd=ROOT) as process:
        assert handler.reached.wait(PATIENCE_S)
        process.kill()
    handler.waits.set()
    assert not copies(cache)

    handler.interrupted = ""
    done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, check=True)
    Classifier.load(Path(done.stdout.strip()) / "spam" / "tiny").check_golden()


def test_a_server_that_cannot_be_reached_is_named_and_not_the_cache(cache: Path) -> None:
    with pytest.raises(ArtifactError) as caught:
        fetch("ftp://me:secret@127.0.0.1:1/models", cache=cache)
    assert str(caught.value) == (
        "ftp://127.0.0.1:1/models/serving.toml: cannot be read (ConnectionRefusedError)"
    )


def test_an_error_has_no_credentials(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    program = "import sys; from dandelion import Classifier; Classifier.load(sys.argv[1])"
    address = f"http://user:secret@127.0.0.1:{port}/artifacts"
    done = subprocess.run(
        [sys.executable, "-c", program, address],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DANDELION_CACHE_DIR": str(cache)},
        check=False,
    )
    last = done.stderr.splitlines()[-1]
    assert f"ArtifactError: http://127.0.0.1:{port}/artifacts/model.json: " in last
    assert "secret" not in last
    assert "secret" not in " ".join(map(str, cache.rglob("*")))


@pytest.mark.parametrize(
    ("missing", "address", "message"),
    [
        ("fsspec", "s3://bucket/spam", "s3://bucket/spam/model.json: needs the extra `s3`"),
        ("s3fs", "s3://bucket/spam", "needs the extra `s3`, which is not installed. Install it: "),
        ("fsspec", "gs://bucket/spam", "needs the extra `remote`, which is not installed."),
        (
            "gcsfs",
            "gs://bucket/spam",
            "for gs:// addresses, which is not installed: Please install g",
        ),
        ("nothing", "nonsense://x", "nonsense:// is no scheme that fsspec knows"),
    ],
)
def test_what_is_not_installed_is_named(
    missing: str, address: str, message: str, cache: Path
) -> None:
    program = (
        f"import sys; sys.modules[{missing!r}] = None\n"
        "from dandelion import ArtifactError, Classifier\n"
        f"try: Classifier.load({address!r})\n"
        "except ArtifactError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "DANDELION_CACHE_DIR": str(cache)},
        check=True,
    )
    assert message in done.stdout
    assert ("-m pip install" in done.stdout) == (missing in {"fsspec", "s3fs"})


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, address: str) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"cache of artifacts cannot be written .*DANDELION_CA"):
        fetch_artifact(f"{address}/spam/tiny", tmp_path / "file")


@given(user=st.text("abc", min_size=1), secret=st.text("secrt%", min_size=6), path=st.text("xyz/"))
def test_an_address_is_shown_without_what_may_be_secret(user: str, secret: str, path: str) -> None:
    shown = remote.shown(f"sftp://{user}:{secret}@host/{path}?{secret}#{secret}")
    assert shown == f"sftp://host/{path}"
