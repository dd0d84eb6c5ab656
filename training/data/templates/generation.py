"""Templates to texts: what stands in a TOML file of this folder, with its slots filled.

A file has kinds of templates; each kind names those that training may use and those that are held
out for tests. ``{slot}`` stands for one of a slot's values (``slots.toml``, and the file's own
``[slots]``), ``[one|other]`` for one of the choices, ``#`` in a slot's value for a digit.
"""

import random
import re
import tomllib
from functools import cache
from importlib import resources
from typing import Any, Final, Literal, get_args

Name = Literal[
    "service_messages",
    "personal_messages",
    "scam_messages",
    "profanity",
    "insults",
    "identity_mentions",
    "identity_hate",
]
Part = Literal["train", "held_out"]

NAMES: Final[tuple[Name, ...]] = get_args(Name)

# Few templates with few values have fewer different texts than are asked for.
_TRIES: Final = 4

_SLOT = re.compile(r"\{(\w+)\}")
_CHOICE = re.compile(r"\[([^\[\]]*)\]")
_FIRST_DIGIT = re.compile(r"(?<![#\d.,:])#(?=[#,])")


def templates(name: Name, part: Part) -> list[str]:
    """Return the templates of a file, in its order.

    Args:
        name: of the file.
        part: those for training, or those that are held out.
    """
    return [template for kind in _file(name)["kinds"] for template in kind[part]]


def texts(name: Name, part: Part, seed: int = 0, per_template: int = 20) -> list[str]:
    """Return texts from templates, all different; equal arguments return equal texts.

    One text in ten is in lower case, one in ten lacks its last full stop, as people write.

    Args:
        name: of the file.
        part: of the templates.
        seed: of what stands in the slots.
        per_template: texts of each template at most; fewer if it allows no more.

    Raises:
        ValueError: a template has a slot without values.

    Example:
        >>> len(texts("profanity", "held_out", per_template=1))
        15
    """
    by_template = texts_by_template(name, part, seed, per_template)
    return [text for found in by_template.values() for text in found]


def texts_by_template(
    name: Name, part: Part, seed: int = 0, per_template: int = 20
) -> dict[str, list[str]]:
    """Return what `texts` returns by template: texts of one template are near copies."""
    values = _slots(name)
    known: set[str] = set()
    found: dict[str, list[str]] = {}
    for number, template in enumerate(templates(name, part)):
        rng = random.Random(f"{name} {part} {seed} {number}")  # noqa: S311 - no secret # nosec B311
        chosen = found.setdefault(template, [])
        for _ in range(_TRIES * per_template):
            if len(chosen) == per_template:
                break
            text = _spelled(_filled(template, values, rng), rng)
            if text not in known:
                known.add(text)
                chosen.append(text)
    return found


@cache
def _file(name: str) -> dict[str, Any]:
    return tomllib.loads(resources.files(__package__).joinpath(f"{name}.toml").read_text("utf-8"))


@cache
def _slots(name: Name) -> dict[str, list[str]]:
    own: dict[str, list[str]] = _file(name).get("slots", {})
    return _file("slots") | own


def _filled(template: str, values: dict[str, list[str]], rng: random.Random) -> str:
    """Fill slots and make choices, inner ones first, until none is left."""

    def value(match: re.Match[str]) -> str:
        if match[1] not in values:
            raise ValueError(f"{template!r}: there are no values for {{{match[1]}}}")
        chosen = rng.choice(values[match[1]])
        chosen = _FIRST_DIGIT.sub(lambda _: str(rng.randint(1, 9)), chosen)
        return re.sub("#", lambda _: str(rng.randint(0, 9)), chosen)

    text = template
    while _SLOT.search(text) or _CHOICE.search(text):
        text = _CHOICE.sub(lambda match: rng.choice(match[1].split("|")), text)
        text = _SLOT.sub(value, text)
    return text


def _spelled(text: str, rng: random.Random) -> str:
    share = rng.random()
    if share < 0.1:
        return text.lower()
    return text.removesuffix(".") if share < 0.2 else text
