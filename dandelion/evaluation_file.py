"""``evaluation.json`` and ``MODEL_CARD.md``: what is known about an artifact beyond training.

They lie in the artifact's directory, but are no part of it: its content hash does not cover them,
for they are written later, from studies over several seeds. Without them an artifact is complete.
"""

from pathlib import Path
from typing import Any, Final

from .files import read_bounded
from .json_values import loads
from .manifest import Manifest

CARD_FILE: Final = "MODEL_CARD.md"
EVALUATION_FILE: Final = "evaluation.json"

FORMAT: Final = "dandelion-evaluation"
FORMAT_VERSION: Final = 1
MAX_BYTES: Final = 2**20


def read(directory: Path, manifest: Manifest) -> dict[str, Any] | None:
    """Read the evaluation of an artifact; None if there is none.

    Args:
        directory: of the artifact.
        manifest: of the artifact.

    Raises:
        OSError: the file cannot be read, or has more than `MAX_BYTES`.
        ValueError: it is damaged, of another format, or about another artifact.
    """
    try:
        data = read_bounded(directory / EVALUATION_FILE, MAX_BYTES)
    except FileNotFoundError:
        return None
    values = loads(data)
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise ValueError(f"its 'format' is not {FORMAT!r}")
    if values.get("format_version") != FORMAT_VERSION:
        raise ValueError(f"its format version is not {FORMAT_VERSION}")
    if values.get("content_hash") != manifest.content_hash:
        raise ValueError("it is about another artifact; write it again: make cards")
    return values


def read_card(directory: Path) -> str | None:
    """Read the model card of an artifact, Markdown; None if there is none.

    Args:
        directory: of the artifact.

    Raises:
        OSError: the file cannot be read, or has more than `MAX_BYTES`.
        ValueError: it is not UTF-8.
    """
    try:
        return read_bounded(directory / CARD_FILE, MAX_BYTES).decode()
    except FileNotFoundError:
        return None
