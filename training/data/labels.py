"""What labels of custom data mean: which are equal, which is the positive one.

Labels in files are spelt in more than one form: ``1`` and ``1.0``, ``Spam`` and ``spam``. Equal
numbers are one label. Spellings that differ in case, white space or Unicode form alone, and ``1``
and ``0`` next to ``true`` and ``false``, are an error, unless they are to be merged.
"""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from decimal import Context
from typing import Final

from dandelion.tables import listed, shortened, suggestion

from ..errors import DatasetError

# How programs write that there is no label.
_MISSING: Final = frozenset({"", "nan", "null", "na", "n/a", "<na>", "#n/a"})

_NUMBER: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]{1,4})?", re.IGNORECASE)
_NUMBER_CHARS: Final = 40
_DECIMAL: Final = Context(prec=_NUMBER_CHARS)

# Longer ones are texts in the wrong column.
_LABEL_CHARS: Final = 200

# Unicode's categories of control characters and line breaks.
_CONTROLS: Final = frozenset({"Cc", "Zl", "Zp"})

# How programs write booleans as numbers.
_BOOLEANS: Final = {"true": "1", "false": "0"}

# Between the labels of a text that has several.
_SEPARATORS: Final = "|,;"

# A label on the left is the positive one of two if the other is on its right.
_OPPOSITES = {
    "1": ("0", "-1"),
    "true": ("false",),
    "t": ("f",),
    "yes": ("no",),
    "y": ("n",),
    "positive": ("negative",),
    "pos": ("neg",),
}
_HARMFUL = re.compile(
    "spam|scam|phishing|fraud|toxic|abus(e|ive)|hate(ful)?|offensive|harassment|insult|threat|"
    "(cyber)?bullying"
)
_HARMLESS = re.compile("ham|normal|clean|ok(ay)?|none|neutral|safe|benign|legit(imate)?")


def missing_among(values: Iterable[object]) -> frozenset[str]:
    """Return the spellings, case-folded, that stand for no label in a column.

    ``none`` is among them if the other labels are numbers or booleans; elsewhere it is a class,
    as in many data sets.
    """
    spellings = {str(value).strip().casefold() for value in values} - _MISSING - {"none"}
    is_flag = all(number_of(one) or one in {"true", "false"} for one in spellings)
    return _MISSING | {"none"} if is_flag else _MISSING


def label_of(value: object, missing: frozenset[str] = _MISSING) -> str:
    """Return a value of a file as a label, without surrounding white space.

    Example:
        >>> label_of(1.0), label_of(" 1.0 "), label_of(True), label_of("Spam ")
        ('1', '1', 'true', 'Spam')

    Args:
        value: as the file has it.
        missing: see `missing_among`.

    Raises:
        ValueError: it is missing, or of a type that no label has.
    """
    match value:
        case None:
            raise ValueError("no label")
        case str():
            label = value.strip()
            if label.casefold() in missing:
                raise ValueError("no label" if not label else f"no label ({label!r})")
            return number_of(label) or label
        case bool():
            return str(value).lower()
        case float() if math.isnan(value):
            raise ValueError("no label")
        case float() if value.is_integer():
            return number_of(str(value)) or str(int(value))
        case int() | float():
            return number_of(str(value)) or str(value)
        case list() | tuple() | set():
            raise ValueError("its label is a list: a text has one label")
    raise ValueError("its label is not a string, number or boolean")


def number_of(label: str) -> str | None:
    """Return the one spelling of a number; None for anything else.

    It has no exponent, unless the digits would be more than forty. Codes with leading zeros are not
    numbers here, nor is anything of more than forty characters.

    Example:
        >>> number_of("1.0"), number_of("+1"), number_of("-.50"), number_of("1e3"), number_of("007")
        ('1', '1', '-0.5', '1000', None)
    """
    found = _NUMBER.fullmatch(label) if len(label) <= _NUMBER_CHARS else None
    if found is None or re.match(r"[+-]?0[0-9]", label):
        return None
    number = _DECIMAL.create_decimal(label).normalize(_DECIMAL)
    if not number:
        return "0"
    return f"{number:f}" if abs(number.adjusted()) < _NUMBER_CHARS else f"{number:e}"


def merged_spellings(counts: Counter[str]) -> dict[str, str]:
    """Map each label to the most frequent of the spellings that it shares its form with.

    Example:
        >>> merged_spellings(Counter({"spam": 9, "Spam": 2, "ham": 5}))["Spam"]
        'spam'
    """
    spellings = defaultdict(list)
    for label in sorted(counts):
        spellings[_form(label)].append(label)
    return {
        label: max(same, key=counts.__getitem__) for same in spellings.values() for label in same
    }


def _form(label: str) -> str:
    """Reduce a label to what its spellings share: no case, white space, invisible characters."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", label).casefold())
    form = "".join(one for one in plain if not one.isspace() and unicodedata.category(one) != "Cf")
    return _BOOLEANS.get(form) or number_of(form) or form


def describe_spellings(counts: Counter[str], merged: dict[str, str]) -> list[str]:
    """Return a phrase per label that has several spellings, such as ``'Spam' (2), 'spam' (9)``."""
    groups = defaultdict(list)
    for label, kept in sorted(merged.items()):
        groups[kept].append(f"{shortened(label)} ({counts[label]:,})")
    return [", ".join(group) for group in groups.values() if len(group) > 1]


def require_names(path: object, labels: Sequence[str], lines: Sequence[int], unit: str) -> None:
    """Refuse labels that can be no names of classes: probably, the column is one of texts.

    Args:
        path: of the file.
        labels: n labels.
        lines: n numbers, where the row of each starts.
        unit: what the lines are, ``line`` or ``row``.

    Raises:
        DatasetError: a label is too long, or contains line breaks or control characters; the
            message does not quote it.
    """
    for label, line in zip(labels, lines, strict=True):
        if len(label) > _LABEL_CHARS:
            problem = f"has more than {_LABEL_CHARS} characters"
        elif any(unicodedata.category(one) in _CONTROLS for one in label):
            problem = "contains a line break, a tab or another control character"
        else:
            continue
        raise DatasetError(
            f"{path}: the label on {unit} {line} {problem}, so it is probably a text in the wrong "
            "column. Choose another one with --label-column, or correct the file."
        )


def require_single(path: object, labels: Iterable[str]) -> None:
    """Refuse labels that name several classes at once, as ``spam|abuse`` does.

    Raises:
        DatasetError: the parts of such a label are, or are also part of, other labels.
    """
    names = set(labels)
    lists = [name for name in names if re.fullmatch(r"\[.*\]|\{.*\}", name, re.DOTALL)]
    if lists:
        raise _several(path, min(lists), None)
    for separator in _SEPARATORS:
        parts = {name: [part.strip() for part in name.split(separator)] for name in names}
        uses = Counter(part for found in parts.values() for part in set(found))
        several = [
            name
            for name, found in parts.items()
            if len(set(found)) > 1 and all(part and uses[part] > 1 for part in found)
        ]
        if several:
            raise _several(path, min(several), parts[min(several)][0])


def _several(path: object, label: str, part: str | None) -> DatasetError:
    example = "toxic" if part is None else part
    return DatasetError(
        f"{path}: the label {shortened(label)} names several classes, but a text has one label. "
        f"Write a column of 0 and 1 for each class, then train a model for each: "
        f"--label-column {example[:20]} --positive 1"
    )


def choose_names(
    path: object, counts: Counter[str], positive: str | None
) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of the classes, the negative one of two first, and what was guessed.

    Raises:
        DatasetError: no row has the positive label.
    """
    guess = []
    if positive is None:
        if len(counts) > 2:
            return tuple(sorted(counts)), []
        positive, reason = _guess_positive(counts)
        guess = [f"positive label {shortened(positive)} ({reason})"]
    if positive not in counts:
        raise DatasetError(
            f"{path}: no row has the positive label {shortened(positive)}"
            f"{suggestion(positive, list(counts))}; available: {listed(sorted(counts))}"
        )
    rest = [label for label in counts if label != positive]
    return (rest[0] if len(rest) == 1 else f"not_{positive}", positive), guess


def _guess_positive(counts: Counter[str]) -> tuple[str, str]:
    """Return the positive label of two, and why."""
    first, second = sorted(counts)
    for positive, negative in ((first, second), (second, first)):
        if _is_opposite(positive.casefold(), negative.casefold()):
            return positive, "by its name"
    if counts[first] == counts[second]:
        return second, "both are equally frequent, so the last in alphabetical order"
    rarer = min(counts, key=counts.__getitem__)
    return rarer, f"the rarer one: {counts[rarer]:,} of {counts.total():,} rows"


def _is_opposite(positive: str, negative: str) -> bool:
    if _HARMLESS.fullmatch(positive):
        return False
    if _HARMLESS.fullmatch(negative):
        return bool(_HARMFUL.fullmatch(positive)) or _is_negation(positive, negative)
    return negative in _OPPOSITES.get(positive, ()) or _is_negation(negative, positive)


def _is_negation(negation: str, label: str) -> bool:
    """Return whether one label is another with ``not``, ``non`` or ``no`` before it."""
    bare_negation, bare = (re.sub(r"[\W_]", "", each) for each in (negation, label))
    return bare_negation in {f"not{bare}", f"non{bare}", f"no{bare}"}


def are_numbers(labels: Sequence[str]) -> bool:
    """Return whether every label is a number."""
    return all(number_of(label) is not None for label in labels)
