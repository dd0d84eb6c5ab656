"""Files of the repository that a page links to are pages of the site, under ``source/``.

In the repository, a link such as ``../../examples/classify.py`` leads to the file. On the site it
leads to a page that shows it: Markdown as it is, a notebook as Markdown, anything else as code, a
directory as a list.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parent.parent.parent
_DOCS: Final = "docs"
_PREFIX: Final = "source"

_LANGUAGES: Final = {
    ".c": "c", ".conf": "nginx", ".json": "json", ".py": "python", ".service": "ini",
    ".toml": "toml", ".yaml": "yaml", ".yml": "yaml",
}  # fmt: skip

_FENCE: Final = re.compile(r"^ *(`{3,}|~{3,})")
# A link's target; what is between backticks is code.
_LINK: Final = re.compile(r"(`+[^`]*`+)|(?<=\]\()([^)\s#]+)(?=[#)])")


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    """Add a page for each file that the pages link to, and for each that those link to."""
    pages = [
        (f"{_DOCS}/{file.src_uri}", file.content_string) for file in files.documentation_pages()
    ]
    pages += [(path, _page(path)) for path in _in_navigation(config.nav)]
    seen = {path for path, _ in pages}
    for path, content in pages:
        if not path.startswith(f"{_DOCS}/"):
            files.append(File.generated(config, _address(path), content=content))
        for linked in _linked(path, content):
            if linked not in seen and not linked.startswith(f"{_DOCS}/"):
                seen.add(linked)
                pages.append((linked, _page(linked)))
    return files


def on_page_markdown(markdown: str, *, page: Page, **_: object) -> str:
    """Have links lead to the pages of the files, not to the files."""
    here = page.file.src_uri
    path = _path(here)

    def on_site(target: str) -> str:
        linked = _resolved(path, target)
        address = None if linked is None else _address(linked)
        return target if address is None else os.path.relpath(address, PurePosixPath(here).parent)

    return _replaced(markdown, on_site)


def _in_navigation(navigation: object) -> Iterator[str]:
    """Yield the files whose pages the navigation names."""
    match navigation:
        case list():
            for item in navigation:
                yield from _in_navigation(item)
        case dict():
            for item in navigation.values():
                yield from _in_navigation(item)
        case str() if navigation.startswith(f"{_PREFIX}/"):
            yield _path(navigation)


def _linked(path: str, markdown: str) -> list[str]:
    found: list[str] = []

    def note(target: str) -> str:
        if linked := _resolved(path, target):
            found.append(linked)
        return target

    _replaced(markdown, note)
    return found


def _replaced(markdown: str, replace: Callable[[str], str]) -> str:
    """Return the text with every target of a link replaced; code is left as it is."""
    lines = []
    fence = ""
    for line in markdown.split("\n"):
        opens = _FENCE.match(line)
        if opens and not fence:
            fence = opens[1]
        elif opens and opens[1].startswith(fence) and line.strip() == opens[1]:
            fence = ""
        elif not fence:
            line = _LINK.sub(lambda link: link[1] or replace(link[2]), line)  # noqa: PLW2901
        lines.append(line)
    return "\n".join(lines)


def _resolved(path: str, target: str) -> str | None:
    """Return the file that a link of ``path`` leads to; None if it is not in the repository."""
    if ":" in target or target.startswith("/"):
        return None
    linked = os.path.normpath(PurePosixPath(path).parent / target)
    return linked if not linked.startswith("..") and (ROOT / linked).exists() else None


def _address(path: str) -> str:
    """Return the page of a file, relative to the pages of docs/."""
    if path.startswith(f"{_DOCS}/"):
        return path.removeprefix(f"{_DOCS}/")
    if (ROOT / path).is_dir():
        return f"{_PREFIX}/{path}/index.md"
    return f"{_PREFIX}/{path}" if path.endswith(".md") else f"{_PREFIX}/{path}.md"


def _path(address: str) -> str:
    """Return the file whose page this is: the inverse of `_address`."""
    if not address.startswith(f"{_PREFIX}/"):
        return f"{_DOCS}/{address}"
    path = address.removeprefix(f"{_PREFIX}/").removesuffix("/index.md")
    return path if (ROOT / path).exists() else path.removesuffix(".md")


def _page(path: str) -> str:
    """Return the Markdown of a file's page."""
    file = ROOT / path
    if file.is_dir():
        inner = sorted(one.relative_to(file).as_posix() for one in file.rglob("*") if _shown(one))
        return f"# {path}/\n\n" + "".join(
            f"- [{one}]({path.rpartition('/')[2]}/{one})\n" for one in inner
        )
    text = file.read_text(encoding="utf-8")
    if path.endswith(".md"):
        return text
    if path.endswith(".ipynb"):
        return "\n\n".join(_cells(text)) + "\n"
    language = _LANGUAGES.get(file.suffix, "text")
    code = f"~~~~~~{language}\n{text.rstrip()}\n~~~~~~\n"
    return f"---\nsearch:\n  exclude: true\n---\n\n# {path}\n\n{code}"


def _cells(notebook: str) -> Iterator[str]:
    """Yield the cells of a notebook as Markdown, and what they printed as far as that is Markdown.

    Other outputs, such as plots, are in the notebook alone.
    """
    for cell in json.loads(notebook)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "markdown":
            yield source
            continue
        yield f"~~~~~~python\n{source}\n~~~~~~"
        for output in cell["outputs"]:
            yield "".join(output.get("data", {}).get("text/markdown", ""))


def _shown(path: Path) -> bool:
    return path.is_file() and "__pycache__" not in path.parts
