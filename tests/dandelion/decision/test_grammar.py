"""The grammar of operating points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.decision.operating_points import (
    Constraint,
    OperatingPoint,
    OperatingPointError,
    parse,
)

SHARES = st.floats(0, 1, exclude_min=True, exclude_max=True)
COSTS = st.floats(0, 1e9, exclude_min=True)
WHERE = st.none() | st.text(
    st.characters(exclude_characters="[]", exclude_categories=["C", "Z"]) | st.just(" "),
    min_size=1,
    max_size=20,
)
CONSTRAINTS = st.lists(
    st.builds(Constraint, st.sampled_from(["precision", "recall", "fpr", "rate"]), SHARES, WHERE),
    min_size=1,
    max_size=4,
    unique_by=lambda one: (one.quantity, one.where),
)
PRIORS = st.none() | st.floats(1e-6, 0.9999)
POINTS = (
    st.builds(OperatingPoint, CONSTRAINTS.map(tuple), prior=PRIORS)
    | st.builds(OperatingPoint, criterion=st.sampled_from(["macro_f1", "f1"]), prior=PRIORS)
    | st.builds(
        OperatingPoint, criterion=st.just("cost"), costs=st.tuples(COSTS, COSTS), prior=PRIORS
    )
)


@given(POINTS)
def test_what_is_written_is_read(point: OperatingPoint) -> None:
    assert parse(str(point)) == point
    assert str(parse(str(point))) == str(point)


def test_numbers_are_normalised() -> None:
    written = {
        "fpr<=0.010": "fpr<=0.01",
        "fpr<=.5@prior=1e-2": "fpr<=0.5@prior=0.01",
        "cost(fp=1.0,fn=2e1)": "cost(fp=1,fn=20)",
        "recall>=00.9[a, b]": "recall>=0.9[a, b]",
    }
    assert {text: str(parse(text)) for text in written} == written


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected 'macro_f1'.* at character 1$"),
        (" f1", "at character 1$"),
        ("f1 ", "expected '@prior=' or the end at character 3"),
        ("F1", "at character 1$"),
        ("f1x", "at character 3"),
        ("f1,recall>=0.9", "expected '@prior=' or the end at character 3"),
        ("recall>=0.9,f1", "expected 'precision>=', 'recall>=', .* at character 13"),
        ("recall>=0.9,", "at character 13"),
        ("recall<=0.9", "at character 1$"),
        ("fpr>=0.9", "at character 1$"),
        ("fpr<=", "expected a number between 0 and 1 at character 6"),
        ("fpr<=0", "a number between 0 and 1"),
        ("fpr<=1", "a number between 0 and 1"),
        ("fpr<=-0.1", "a number between 0 and 1"),
        ("fpr<=nan", "a number between 0 and 1"),
        ("fpr<=inf", "a number between 0 and 1"),
        ("fpr<=1e999", "a number between 0 and 1"),
        ("fpr<=1e-999", "a number between 0 and 1"),
        ("fpr<=0.9999999999999999999", "a number between 0 and 1"),
        ("fpr<=0.5.1", "',', '@prior=' or the end at character 9"),
        ("fpr<=0_1", "a number between 0 and 1"),
        ("fpr<=٠.١", "a number between 0 and 1"),
        ("fpr<=0.1[]", "a source or a group"),
        ("fpr<=0.1[a", "expected ']' at character 11"),
        ("fpr<=0.1[a[b]]", "expected ']' at character 11"),
        ("fpr<=0.1[a\nb]", "a source or a group"),
        ("fpr<=0.1[" + "a" * 65 + "]", r"expected '\]'"),
        ("fpr<=0.1,fpr<=0.2", "one constraint per quantity and source at character 10"),
        ("fpr<=0.1@prior=0", "a number between 0 and 1 at character 16"),
        ("fpr<=0.1@prior=1e-7", "a number from 0.000001 to 0.9999 at character 16"),
        ("fpr<=0.1@prior=0.1@prior=0.1", "the end at character 19"),
        ("cost(fp=1)", "expected ',fn=' at character 10"),
        ("cost(fp=0,fn=1)", r"expected a number in \(0, 1e\+09\] at character 9"),
        ("cost(fp=1,fn=1e10)", r"expected a number in \(0, 1e\+09\] at character 14"),
        ("f1@prior=0.1\n", "at character 13"),
        (",".join(f"fpr<=0.1[{name}]" for name in "abcdefghi"), "at most 8 constraints"),
        ("f" * 301, "301 characters; expected at most 300"),
    ],
)
def test_what_is_not_in_the_grammar_is_refused(text: str, expected: str) -> None:
    with pytest.raises(OperatingPointError, match=expected):
        parse(text)


@given(
    st.text(max_size=40)
    | POINTS.map(str).flatmap(
        lambda text: st.sampled_from(
            [text[:-1], text[1:], text + "0", text.replace("=", "", 1), text + "]", text + " "]
        )
    )
)
def test_any_text_is_read_or_refused_without_an_echo(text: str) -> None:
    message = ""
    try:
        point = parse(text)
    except OperatingPointError as error:
        message = str(error)
    else:
        assert parse(str(point)) == point
    assert len(text) <= 20 or text not in message


def test_no_string_is_refused() -> None:
    with pytest.raises(OperatingPointError, match="a string"):
        parse(3)  # type: ignore[arg-type]
