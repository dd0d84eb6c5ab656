"""JSON Lines: an object per line. What is added goes before its last brace.

The rest of a line stays as it is, byte for byte: numbers keep their digits, members their order.
"""

import json
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import repeat
from typing import Any, Final, NoReturn

import msgspec

from ..decision.notices import Notice
from ..decision.rule import Verdict
from .job import Block, BrokenRow, Layout
from .rows import NOT_UTF_8, Rows, Scores, decoded, is_unicode

# What RFC 8259 (section 2) calls white space.
_SPACE: Final = " \t\n\r"

_SPELT_BY_NUMBERS: Final = re.compile(r"\\u00[2-7]")

_WRITTEN_AS_IT_IS: Final = re.compile(r"[ !#-.0-\[\]-~]+")


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _as_pairs(pairs: list[tuple[str, Any]]) -> list[tuple[str, Any]]:
    return pairs


# Numbers are not needed, and a long one would cost much: any value that is no string will do.
_OBJECT: Final = json.JSONDecoder(parse_int=bool, parse_float=bool, parse_constant=_no_number)
_PAIRS: Final = json.JSONDecoder(
    parse_int=bool, parse_float=bool, parse_constant=_no_number, object_pairs_hook=_as_pairs
)


def parse(block: Block, layout: Layout, added: Sequence[str]) -> Rows:
    """Find the texts of a block's rows.

    Args:
        block: lines; blank ones are no rows.
        layout: of the file.
        added: the names of the members that are added.
    """
    text, is_utf8 = decoded(block.data)
    if is_utf8 and (rows := _all_sound(block.data, text, layout.text, added)):
        return rows
    # Only a line feed ends a line: a string of JSON may contain U+2028 and the like.
    lines = text.split("\n")
    return _each(lines, block.line, layout.text, added, is_utf8=is_utf8)


def _all_sound(data: bytes, text: str, name: str, added: Sequence[str]) -> Rows | None:
    """Return the rows if all are sound, which is found twice as fast; None if not surely.

    Args:
        data: lines.
        text: the same, decoded.
        name: of the member with the text.
        added: the names of those that are added.
    """
    whole = data.removesuffix(b"\n")
    count = whole.count(b"\n") + 1
    is_regular = (
        _are_plain(name, added)
        # Each line is { … }, so that no value spans lines: as many as lines are one on each.
        and whole.startswith(b"{")
        and whole.endswith(b"}")
        and whole.count(b"}\n{") == count - 1
        and data.count(f'"{name}"'.encode()) == count
        and not _any_of(tuple(added)).search(data)
        and not (b"\\u00" in data and _SPELT_BY_NUMBERS.search(text))
    )
    if not is_regular:
        return None
    try:
        texts = _texts_of(name)(data)
    except (msgspec.MsgspecError, RecursionError):
        return None
    return Rows(texts, text.removesuffix("\n").split("\n"), []) if len(texts) == count else None


@lru_cache(maxsize=8)
def _any_of(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Return what finds a string of JSON that is one of some names."""
    return re.compile(f'"(?:{"|".join(map(re.escape, names))})"'.encode())


@lru_cache(maxsize=8)
def _texts_of(name: str) -> Callable[[bytes], list[str]]:
    """Return what decodes lines of objects to their members of a name, all of them strings."""
    row = msgspec.defstruct("Row", [("text", str, msgspec.field(name=name))])
    decode = msgspec.json.Decoder(row).decode_lines
    return lambda data: [one.text for one in decode(data)]  # type: ignore[attr-defined]


def _each(
    lines: Sequence[str], first: int, name: str, added: Sequence[str], *, is_utf8: bool
) -> Rows:
    """Judge the rows one by one; ``first`` is the number of the first line."""
    texts: list[str] = []
    raw: list[str] = []
    broken: list[BrokenRow] = []
    decode, quoted = _OBJECT.raw_decode, f'"{name}"'
    is_plain = _are_plain(name, added)
    for number, line in enumerate(lines, first):
        bare = line.strip(_SPACE)
        try:
            row, end = decode(bare)
            text = row[name]
            is_sound = (
                end == len(bare)
                and type(row) is dict
                and type(text) is str
                and row.keys().isdisjoint(added)
                and is_plain
                and bare.count(quoted) == 1
                and (is_utf8 or is_unicode(line))
                and ("\\u" not in bare or _is_clear(bare, text))
            )
        except (ValueError, RecursionError, LookupError, TypeError):
            is_sound = False
        if not is_sound:
            if not bare:
                continue
            reason = _problem(bare, name, added)
            if reason:
                row_bytes = line.encode(errors="surrogateescape")
                broken.append(BrokenRow(number, reason, row_bytes))
                continue
        texts.append(text)
        raw.append(line)
    return Rows(texts, raw, broken)


def _are_plain(name: str, added: Sequence[str]) -> bool:
    """Return whether JSON spells all of the names in one way only, unless by numbers."""
    return all(map(_WRITTEN_AS_IT_IS.fullmatch, (name, *added)))


def _is_clear(bare: str, text: str) -> bool:
    """Return whether a text is Unicode, and no name is spelt by numbers, so that it occurs once."""
    return is_unicode(text) and not _SPELT_BY_NUMBERS.search(bare)


def _problem(bare: str, name: str, added: Sequence[str]) -> str:  # noqa: PLR0911
    """Return what is wrong with a row; empty for nothing."""
    if not is_unicode(bare):
        return NOT_UTF_8
    try:
        pairs, end = _PAIRS.raw_decode(bare)
    except RecursionError:
        return "invalid JSON: nested too deeply"
    except ValueError:
        return "invalid JSON"
    if end != len(bare):
        return "invalid JSON: more than one value on the line"
    if not bare.startswith("{"):
        return "not a JSON object"
    names = [one for one, _ in pairs]
    if names.count(name) != 1:
        return f"{'more than one' if name in names else 'no'} member {name!r}"
    text = dict(pairs)[name]
    if not isinstance(text, str):
        return "the text is not a string"
    if not is_unicode(text):
        return "the text is not Unicode: it contains half a surrogate pair"
    taken = [one for one in added if one in names]
    return f"a member {taken[0]!r}, which is added, is there already" if taken else ""


def render(rows: Rows, scores: Scores, added: Sequence[str]) -> str:
    """Return the rows with the added members, each line with its end.

    Args:
        rows: of a block.
        scores: of each.
        added: the names of the members, in the order of the fields of `Scores`.
    """
    name_label, name_score, *others = map(json.dumps, added)
    names = iter(others)
    name_decision = "" if scores.decisions is None else next(names)
    name_notice, name_explanation = next(names), next(names, "")
    around: dict[tuple[str, Verdict | None, Notice | None], tuple[str, str]] = {}

    def make(key: tuple[str, Verdict | None, Notice | None]) -> tuple[str, str]:
        label, decision, notice = key
        after = "" if decision is None else f', {name_decision}: "{decision}"'
        quoted = "null" if notice is None else f'"{notice}"'
        found = around[key] = (
            f", {name_label}: {json.dumps(label, ensure_ascii=False)}, {name_score}: ",
            f"{after}, {name_notice}: {quoted}",
        )
        return found

    lines = []
    decisions = scores.decisions or repeat(None)
    explanations = scores.explanations or repeat(None)
    keys = zip(scores.labels, decisions, scores.each_notice(), strict=False)
    # All at once: three times as fast as one by one.
    shown = msgspec.json.encode(scores.scores).decode()[1:-1].split(",")
    for line, key, score, explanation in zip(rows.raw, keys, shown, explanations, strict=False):
        before, after = around.get(key) or make(key)
        start, _, end = line.rpartition("}")
        if explanation is not None:
            after = f"{after}, {name_explanation}: {explanation}"
        lines.append(f"{start}{before}{score}{after}}}{end}\n")
    return "".join(lines)
