"""Labels as values of a file: equal numbers, spellings, missing ones."""

import re
from collections import Counter
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.labels import label_of, merged_spellings, missing_among, number_of


@given(st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-999, max_value=999))
def test_equal_numbers_are_spelt_alike(value: Decimal) -> None:
    shortest = number_of(str(value))
    assert shortest is not None
    assert Decimal(shortest) == value
    spellings = (
        f"{value}0",
        f"+{value}".replace("+-", "-"),
        f"{value:.9f}",
        f"{value:e}",
        f"{value:.9E}",
        re.sub(r"^(-?)0\.", r"\1.", str(value)),
        str(float(value)),
    )
    for same in spellings:
        assert Decimal(same) == value
        assert number_of(same) == shortest


def test_numbers_of_any_size_are_spelt_alike() -> None:
    assert number_of("1e300") == number_of("10E299") == number_of("+.1e301") == label_of(1e300)
    assert number_of("1e-7") == number_of(".0000001") == label_of(1e-7) == "0.0000001"
    assert number_of("1e9999") is not None  # beyond any float
    assert number_of("1e22") == label_of(1e22) == label_of(10**22) == "1" + "0" * 22


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1e",
        "e3",
        "1e12345",
        "007",
        "-01",
        "1.2.3",
        "１",
        "1,0",
        "+",
        ".",
        "1" * 41,
        "inf",
        "0x1",
    ],
)
def test_what_is_not_a_number(text: str) -> None:
    assert number_of(text) is None


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (1, "1"),
        (1.0, "1"),
        ("1.0", "1"),
        (" -1.00 ", "-1"),
        ("-0.0", "0"),
        ("00", "00"),
        (0.5, "0.5"),
        (True, "true"),
        ("True", "True"),
        ("\ta b ", "a b"),
        ("none", "none"),
    ],
)
def test_a_label(value: object, label: str) -> None:
    assert label_of(value) == label


@pytest.mark.parametrize("value", [None, float("nan"), "", " \t", "NaN", "null", "N/A", "<NA>"])
def test_no_label(value: object) -> None:
    with pytest.raises(ValueError, match=r"^no label"):
        label_of(value)


@pytest.mark.parametrize("value", [["a"], ("a",), {"a"}])
def test_a_list_is_no_label(value: object) -> None:
    with pytest.raises(ValueError, match="its label is a list"):
        label_of(value)


def test_none_among_numbers_is_no_label() -> None:
    for values in (["1.0", 0, None, "None"], [True, "None"]):
        with pytest.raises(ValueError, match=r"no label \('None'\)"):
            label_of("None", missing_among(values))
    assert label_of("None", missing_among(["None", "sexism", "1"])) == "None"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("spam", "SPAM"),
        ("not spam", "NotSpam"),
        ("a\u00a0b", "a b"),
        ("Straße", "STRASSE"),
        ("é", "e\u0301"),
        ("１", "1"),
        ("spam", "spam\u200b"),
        ("1", "true"),
        ("False", "0"),
    ],
)
def test_spellings_of_one_label(first: str, second: str) -> None:
    counts = Counter({first: 1, second: 2, "other": 3})
    assert merged_spellings(counts) == {first: second, second: second, "other": "other"}


def test_what_differs_in_more_than_spelling() -> None:
    labels = ["spam", "spam!", "not_spam", "not-spam", "1", "-1", "0.5", "5"]
    assert merged_spellings(Counter(labels)) == {label: label for label in labels}


def test_of_equally_frequent_spellings_the_first_is_kept() -> None:
    assert merged_spellings(Counter({"b": 1, "B": 1})) == {"b": "B", "B": "B"}
