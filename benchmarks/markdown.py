"""Markdown as the pages need it."""

import textwrap
from collections.abc import Iterable, Sequence

_WIDTH = 100
_AS_IT_IS = ("#", "|", "```", "![")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def filled(page: str) -> str:
    """Break the lines of prose anew: figures of any length stand in it.

    Paragraphs and lists alone; a list has one block of its own.
    """
    blocks = page.strip().split("\n\n")
    return "\n\n".join(map(_filled, blocks)) + "\n"


def _filled(block: str) -> str:
    if block.startswith(_AS_IT_IS):
        return block
    if not block.startswith("- "):
        return _wrapped(block, "")
    items = block.removeprefix("- ").split("\n- ")
    return "\n".join(f"- {_wrapped(item, '  ')}" for item in items)


def _wrapped(text: str, indent: str) -> str:
    return "\n".join(
        textwrap.wrap(
            " ".join(text.split()),
            _WIDTH - len(indent),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
    )
