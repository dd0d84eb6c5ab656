"""The grammar of operating points: what a threshold is chosen by, as text."""

import re
from dataclasses import dataclass
from typing import Any, Final, Literal, NoReturn

from .calibration import PRIORS, is_prior

Quantity = Literal["precision", "recall", "fpr", "rate"]
Criterion = Literal["macro_f1", "f1", "cost"]

MAX_LENGTH: Final = 300
MAX_CONSTRAINTS: Final = 8
MAX_COST: Final = 1e9

_NUMBER: Final = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_QUANTITY: Final = re.compile(r"(precision|recall)>=|(fpr|rate)<=")
_WHERE: Final = re.compile(r"[^\[\]]{1,64}")


class OperatingPointError(ValueError):
    """An operating point is not in the grammar, or names a source that the evidence lacks.

    The message repeats nothing of the text.
    """


@dataclass(frozen=True, slots=True)
class Constraint:
    """One side of a rate that must be kept.

    Attributes:
        quantity: which rate; ``rate`` is that of alerts per message.
        bound: in (0, 1): at least for precision and recall, at most for the others.
        where: a source or a group of sources; None for all together.
    """

    quantity: Quantity
    bound: float
    where: str | None = None

    @property
    def is_minimum(self) -> bool:
        """Whether the rate must be at least the bound."""
        return self.quantity in ("precision", "recall")

    def __str__(self) -> str:
        sign = ">=" if self.is_minimum else "<="
        where = "" if self.where is None else f"[{self.where}]"
        return f"{self.quantity}{sign}{_written(self.bound)}{where}"


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A way to choose a threshold; ``str`` gives it in the grammar, normalised.

    Attributes:
        constraints: all of them hold; empty with a criterion.
        criterion: what is maximised (or, for ``cost``, minimised); None with constraints.
        costs: of a false positive and a false negative; None but for ``cost``.
        prior: the share of positive texts in the traffic, in (0, 1); None for the evidence's own.
    """

    constraints: tuple[Constraint, ...] = ()
    criterion: Criterion | None = None
    costs: tuple[float, float] | None = None
    prior: float | None = None

    def __str__(self) -> str:
        if self.costs is not None:
            text = f"cost(fp={_written(self.costs[0])},fn={_written(self.costs[1])})"
        else:
            text = self.criterion or ",".join(map(str, self.constraints))
        return text if self.prior is None else f"{text}@prior={_written(self.prior)}"


def parse(text: str) -> OperatingPoint:
    """Parse an operating point. There is no white space in the grammar.

    Raises:
        OperatingPointError: it is not in the grammar; names the position and what was expected.

    Example:
        >>> point = parse("fpr<=0.010[ordinary],recall>=0.9@prior=0.02")
        >>> point.constraints[0], point.prior
        (Constraint(quantity='fpr', bound=0.01, where='ordinary'), 0.02)
        >>> str(point)
        'fpr<=0.01[ordinary],recall>=0.9@prior=0.02'
    """
    if not isinstance(text, str):
        raise OperatingPointError("expected that an operating point is a string")
    if len(text) > MAX_LENGTH:
        raise OperatingPointError(
            f"the operating point has {len(text)} characters; expected at most {MAX_LENGTH}"
        )
    return _Parser(text).point()


class _Parser:
    """Reads a text from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def point(self) -> OperatingPoint:
        """Read all of the text."""
        facts: dict[str, Any]
        if self._take("macro_f1"):
            facts = {"criterion": "macro_f1"}
        elif self._take("f1"):
            facts = {"criterion": "f1"}
        elif self._take("cost("):
            facts = {"criterion": "cost", "costs": self._costs()}
        else:
            facts = {"constraints": self._constraints()}
        if self._take("@prior="):
            start = self._at
            facts["prior"] = self._number(1)
            if not is_prior(facts["prior"]):
                self._fail(PRIORS, start)
        if self._at < len(self._text):
            self._fail(
                "'@prior=' or the end" if "criterion" in facts else "',', '@prior=' or the end"
            )
        return OperatingPoint(**facts)

    def _costs(self) -> tuple[float, float]:
        self._need("fp=")
        false_positive = self._number(MAX_COST)
        self._need(",fn=")
        false_negative = self._number(MAX_COST)
        self._need(")")
        return false_positive, false_negative

    def _constraints(self) -> tuple[Constraint, ...]:
        found = [self._constraint(is_first=True)]
        while self._take(","):
            start = self._at
            found.append(self._constraint())
            if len(found) > MAX_CONSTRAINTS:
                self._fail(f"at most {MAX_CONSTRAINTS} constraints", start)
            if len({(one.quantity, one.where) for one in found}) < len(found):
                self._fail("one constraint per quantity and source", start)
        return tuple(found)

    def _constraint(self, *, is_first: bool = False) -> Constraint:
        match = _QUANTITY.match(self._text, self._at)
        if match is None:
            quantities = "'precision>=', 'recall>=', 'fpr<=' or 'rate<='"
            criteria = "'macro_f1', 'f1', 'cost(', "
            self._fail(criteria + quantities if is_first else quantities)
        self._at = match.end()
        bound = self._number(1)
        where = None
        if self._take("["):
            name = _WHERE.match(self._text, self._at)
            if name is None or not name.group().isprintable():
                self._fail("a source or a group of sources, of at most 64 characters")
            where, self._at = name.group(), name.end()
            self._need("]")
        quantity: Any = match.group(1) or match.group(2)
        return Constraint(quantity, bound, where)

    def _number(self, end: float) -> float:
        """Read a number above 0; below 1 or, for costs, at most `MAX_COST`."""
        match = _NUMBER.match(self._text, self._at)
        number = float(match.group()) if match else 0.0
        is_in_range = 0 < number < 1 if end == 1 else 0 < number <= end
        if match is None or not is_in_range:
            self._fail("a number between 0 and 1" if end == 1 else f"a number in (0, {end:g}]")
        self._at = match.end()
        return number

    def _take(self, expected: str) -> bool:
        is_next = self._text.startswith(expected, self._at)
        if is_next:
            self._at += len(expected)
        return is_next

    def _need(self, expected: str) -> None:
        if not self._take(expected):
            self._fail(f"'{expected}'")

    def _fail(self, expected: str, at: int | None = None) -> NoReturn:
        position = (self._at if at is None else at) + 1
        raise OperatingPointError(
            f"not an operating point: expected {expected} at character {position}"
        )


def _written(number: float) -> str:
    return repr(float(number)).removesuffix(".0")
