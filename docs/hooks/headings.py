"""Headings have the anchors that GitHub gives them, so that links to them work in both places."""

import re

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> None:
    """Replace the function that makes an anchor of a heading."""
    config.mdx_configs["toc"]["slugify"] = anchor


def anchor(heading: str, separator: str) -> str:
    """Return the anchor of a heading: white space becomes hyphens, one for each."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", separator)
