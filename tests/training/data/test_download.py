"""Downloading the data sets."""

import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from training.data import readers
from training.data.download import download
from training.data.source_files import Source, combined, read_source
from training.errors import DatasetError

from ..conftest import tiny_lines, write_archive

TINY = Source(
    name="Tiny",
    title="Tiny",
    file="tiny.zip",
    members=("tiny.tsv",),
    sha256="",
    urls=(),
    licence="none",
    label_names=("ham", "spam"),
    read=readers.read_sms,
)


class Home(ThreadingHTTPServer):
    """A server of one file that speaks Range, and may break off."""

    def __init__(self, content: bytes) -> None:
        super().__init__(("127.0.0.1", 0), HomeHandler)
        self.content = content
        self.break_off_after: int | None = None
        self.ranges: list[str | None] = []
        self.files: dict[str, bytes] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/archive.zip"


class HomeHandler(BaseHTTPRequestHandler):
    server: Home

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        whole = self.server.files.get(self.path, self.server.content)
        self.server.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content = whole[start:]
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


# What is published in another form


def two_files(home: Home, **changes: Any) -> Source:
    """Return a source whose two members are published as single files."""
    base = home.url.removesuffix("/archive.zip")
    halves = b"ham\ta\n", b"spam\tb\n"
    home.files = {"/first.tsv": halves[0], "/second.tsv": halves[1]}
    return replace(
        TINY,
        members=("one.tsv", "two.tsv"),
        urls=(f"{base}/first.tsv", f"{base}/second.tsv"),
        sha256=combined(*(hashlib.sha256(half).hexdigest() for half in halves)),
        read=lambda members: TINY.read({"": b"".join(members.values())}),
        **changes,
    )


def test_single_files_become_an_archive(home: Home, tmp_path: Path) -> None:
    source = two_files(home)
    path = download(source, tmp_path)
    assert path == tmp_path / "tiny.zip"
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["one.tsv", "two.tsv"]
    content = read_source(source, tmp_path, "download")  # a wrong checksum would be a warning
    assert content.texts == ("a", "b")
    assert [file.name for file in tmp_path.iterdir() if file.is_file()] == ["tiny.zip"]
    before = path.read_bytes()
    path.unlink()
    assert download(source, tmp_path).read_bytes() == before


def test_single_files_are_resumed_and_checked(home: Home, tmp_path: Path) -> None:
    source = two_files(home)
    (tmp_path / "tiny.0.part").write_bytes(home.files["/first.tsv"])
    home.files["/second.tsv"] += b"more"
    with pytest.raises(DatasetError, match=r"second\.tsv: the download is not the known file"):
        download(source, tmp_path)
    assert home.ranges == ["bytes=6-", None]
    assert not list(tmp_path.glob("tiny*"))


def test_members_of_a_tar_archive_become_a_zip_archive(home: Home, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("package/data/2.txt", "package/data/1.txt", "package/other.txt"):
            entry = tarfile.TarInfo(name)
            entry.size = len(name)
            archive.addfile(entry, io.BytesIO(name.encode()))
    home.content = buffer.getvalue()
    texts = ("package/data/1.txt", "package/data/2.txt")
    source = replace(
        TINY,
        members=("data/?.txt",),
        urls=(home.url,),
        sha256=combined(*(hashlib.sha256(text.encode()).hexdigest() for text in texts)),
        read=readers.read_harmless_texts,
        has=(0,),
    )
    # In the archive that is written, the members are in no folder.
    written = replace(source, members=("?.txt",))
    path = download(source, tmp_path)
    assert read_source(written, tmp_path, "download").texts == texts
    assert zipfile.is_zipfile(path)


def test_the_only_file_of_an_archive_becomes_the_file(home: Home, tmp_path: Path) -> None:
    data = "LABEL,TEXT\r\nham,£5 é\r\n".encode("cp1252")
    write_archive(tmp_path / "published.zip", "Published 1.csv", data)
    home.content = (tmp_path / "published.zip").read_bytes()
    repaired = "LABEL,TEXT\nham,\ufffd5 \ufffd\n".encode()
    source = replace(
        TINY,
        file="texts.csv",
        members=("texts.csv",),
        urls=(home.url,),
        sha256=hashlib.sha256(repaired).hexdigest(),
        repair=readers.as_utf8,
    )
    assert download(source, tmp_path).read_bytes() == repaired
