"""JSON that somebody else wrote: read strictly, and checked against the types that are expected.

A check is a function of a value and of its place, such as ``'metrics' → 'test'``; it raises a
`ValueError` that names the place and what was expected there.
"""

import json
import math
import reprlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

Check = Callable[[object, str], None]

MAX_DEPTH: Final = 32
_INT64: Final = range(-(2**63), 2**63)


def loads(data: bytes) -> Any:
    """Parse JSON of which every parser has the same understanding.

    Raises:
        ValueError: it is not JSON in UTF-8, a name occurs twice in an object, a number is not
            finite or an integer beyond 64 bits, a string contains half a surrogate pair, or it is
            nested deeper than `MAX_DEPTH`.
    """
    try:
        value = json.loads(
            data.decode(),
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_finite,
            parse_constant=_constant,
        )
    except RecursionError:
        raise _too_deep() from None
    _check_depth(value, MAX_DEPTH)
    json.dumps(value, ensure_ascii=False).encode()  # raises for half a surrogate pair
    return value


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    values = dict(pairs)
    if len(values) < len(pairs):
        (twice, _), *_ = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"the name {quoted(twice)} occurs twice")
    return values


def _integer(digits: str) -> int:
    if len(digits) > 20 or int(digits) not in _INT64:
        raise ValueError(f"the integer {digits[:20]}… is beyond 64 bits")
    return int(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"the number {digits[:20]} is not finite")
    return value


def _constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


def _check_depth(value: object, left: int) -> None:
    if isinstance(value, dict | list):
        if not left:
            raise _too_deep()
        for one in value.values() if isinstance(value, dict) else value:
            _check_depth(one, left - 1)


def _too_deep() -> ValueError:
    return ValueError(f"nested deeper than {MAX_DEPTH}")


def quoted(value: object) -> str:
    """Return a value in quotes, shortened, for an error in one line."""
    return reprlib.repr(value)


def is_a(expected: str, holds: Callable[[Any], bool]) -> Check:
    """Return the check of a property, such as "a string"."""

    def check(value: object, place: str) -> None:
        if not holds(value):
            raise ValueError(f"expected that {place} is {expected}")

    return check


def optional(other: Check) -> Check:
    """Return the check that also accepts null."""

    def check(value: object, place: str) -> None:
        if value is not None:
            other(value, place)

    return check


_is_array: Final = is_a("an array", lambda value: isinstance(value, list))
_is_object: Final = is_a("an object", lambda value: isinstance(value, dict))


def array(items: Check) -> Check:
    """Return the check of an array and of its items."""

    def check(value: object, place: str) -> None:
        _is_array(value, place)
        for at, one in enumerate(cast("list[object]", value)):
            items(one, f"{place} → {at}")

    return check


def record(fields: Mapping[str, Check], others: Check) -> Check:
    """Return the check of an object.

    Args:
        fields: the checks of the values that have these names; none of them is required.
        others: the check of every other value.
    """

    def check(value: object, place: str) -> None:
        _is_object(value, place)
        for name, one in cast("dict[str, object]", value).items():
            fields.get(name, others)(one, f"{place} → {quoted(name)}")

    return check


def mapping(values: Check) -> Check:
    """Return the check of an object whose values are all alike."""
    return record({}, values)


def is_number(value: object) -> bool:
    """Return whether a JSON value is a finite number, and not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


ANYTHING: Final = is_a("anything", lambda _: True)
STRING: Final = is_a("a string", lambda value: isinstance(value, str))
NUMBER: Final = is_a("a number", is_number)
INTEGER: Final = is_a("an integer", _is_integer)
COUNT: Final = is_a("a count", lambda value: _is_integer(value) and value >= 0)
SHARE: Final = is_a("a number in [0, 1]", lambda value: is_number(value) and 0 <= value <= 1)
OBJECT: Final = mapping(ANYTHING)
