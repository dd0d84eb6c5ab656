"""Downloading the data sets."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from training.data.datasets import Source
from training.data.download import download
from training.errors import DatasetError

from ..conftest import tiny_lines, write_archive


class Home(ThreadingHTTPServer):
    """A server of one file that speaks Range, and may break off."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), HomeHandler)
        self.content = content
        self.break_off_after: int | None = None
        self.ranges: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class HomeHandler(BaseHTTPRequestHandler):
    server: Home

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content = self.server.content[start:]
        if not content:
            self.send_error(416)
            return
        self.send_response(206 if asked else 200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: self.server.break_off_after])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home(tiny: Source, tmp_path: Path) -> Iterator[Home]:
    server = Home((tmp_path / "data" / "tiny.zip").read_bytes())
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def published(home: Home, tiny: Source) -> Source:
    return replace(tiny, urls=(home.url,))


def test_download(home: Home, published: Source, tmp_path: Path) -> None:
    path = download(published, tmp_path)
    assert path == tmp_path / "tiny.zip"
    assert path.read_bytes() == home.content
    assert download(published, tmp_path) == path
    assert home.ranges == [None]  # an existing one is kept


def test_models_of_one_archive_share_its_download(
    home: Home, published: Source, tmp_path: Path
) -> None:
    path = download(published, tmp_path)
    assert download(replace(published, title="Tiny type"), tmp_path) == path
    assert len(home.ranges) == 1


def test_an_interrupted_download_is_resumed(home: Home, published: Source, tmp_path: Path) -> None:
    home.break_off_after = 100
    with pytest.raises(DatasetError, match="Run the command again to resume"):
        download(published, tmp_path)
    assert not (tmp_path / "tiny.zip").exists()
    home.break_off_after = None
    path = download(published, tmp_path)
    assert home.ranges == [None, "bytes=100-"]
    assert path.read_bytes() == home.content
    assert [file.name for file in tmp_path.glob("*.part")] == []


def test_download_of_a_part_that_was_whole(home: Home, published: Source, tmp_path: Path) -> None:
    (tmp_path / "tiny.part").write_bytes(home.content)
    assert download(published, tmp_path).read_bytes() == home.content


def test_download_refuses_another_file(home: Home, published: Source, tmp_path: Path) -> None:
    write_archive(tmp_path / "other.zip", "tiny.tsv", tiny_lines() + b"ham\tmore\n")
    home.content = (tmp_path / "other.zip").read_bytes()
    with pytest.raises(DatasetError, match=r"not the known file.*deleted"):
        download(published, tmp_path)
    assert not list(tmp_path.glob("tiny*"))


def test_download_without_a_response(tiny: Source, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"127\.0\.0\.1:9/tiny\.zip.*file by hand"):
        download(tiny, tmp_path)
