"""Numbers with their nouns."""

import pytest

from dandelion.plural import number_of


@pytest.mark.parametrize(
    ("number", "shown"),
    [(0, "0 texts"), (1, "1 text"), (1.2, "1 text"), (2, "2 texts"), (1234, "1,234 texts")],
)
def test_one_is_singular(number: float, shown: str) -> None:
    assert number_of(number, "text") == shown
