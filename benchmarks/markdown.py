"""Tables and line-wrapped prose in Markdown."""

import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 100
_VERBATIM = ("#", "|", "```", "![")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table.

    Example:
        >>> print(table(["", "req/s"], [["ours", "9,011"]]))
        |  | req/s |
        | --- | --- |
        | ours | 9,011 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def wrap(page: str) -> str:
    """Wrap the prose of a page at 100 columns, whatever the length of the figures in it.

    Headings, tables, code and images stay as they are. A list is a paragraph of its own.
    """
    blocks = page.strip().split("\n\n")
    return "\n\n".join(map(_wrap_block, blocks)) + "\n"


def _wrap_block(block: str) -> str:
    if block.startswith(_VERBATIM):
        return block
    if not block.startswith("- "):
        return _wrap_lines(block, "")
    items = block.removeprefix("- ").split("\n- ")
    return "\n".join(f"- {_wrap_lines(item, '  ')}" for item in items)


def _wrap_lines(text: str, indent: str) -> str:
    return "\n".join(
        textwrap.wrap(
            " ".join(text.split()),
            _WIDTH - len(indent),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
