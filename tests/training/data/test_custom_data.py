"""Custom data: every guess, every bad row, every refusal. Formats: tests of `dandelion.tables`."""

import csv
import hashlib
import io
import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.tables import BadRow, describe_bad_rows
from training.data.custom_data import CustomData, CustomDataset, read
from training.errors import DatasetError

from ...dandelion.table_files import (
    WRITERS,
    Row,
    Write,
    columns_to_parquet,
    suited_to,
    to_csv,
    to_json_lines,
)

TWENTY: list[Row] = [(f"text {number}", "ham" if number % 2 else "spam") for number in range(20)]


def objects(rows: Sequence[dict[str, object]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Reads:
    """Writes bytes to a file and reads it as custom data."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __call__(
        self,
        data: bytes,
        extension: str = ".csv",
        *,
        text_column: str | None = None,
        label_column: str | None = None,
        positive: str | None = None,
        **options: Any,
    ) -> CustomDataset:
        path = self.directory / f"mine{extension}"
        path.write_bytes(data)
        return read(CustomData("mine", path, text_column, label_column, positive, **options))


@pytest.fixture
def reads(tmp_path: Path) -> Reads:
    return Reads(tmp_path)


def rows_of(found: CustomDataset) -> list[Row]:
    names = found.dataset.label_names
    return [
        (text, names[label])
        for text, label in zip(found.dataset.texts, found.dataset.labels.tolist(), strict=True)
    ]


def lines_with(*bad: bytes) -> bytes:
    """CSV: good rows on lines 2 to 21, the given lines, and good rows again."""
    good = [",".join(row).encode() for row in TWENTY]
    return b"\n".join([b"text,label", *good, *bad, *good]) + b"\n"


# --- the same rows come back ---

# Any Unicode, with many of the characters that a format has to quote.
TEXTS = st.text(
    st.one_of(st.sampled_from('",\t\n\r\\\0 \u2028\ufeff£🌼'), st.characters(codec="utf-8"))
).filter(lambda text: text.strip() != "")
# Labels that nothing is done to: see test_labels.py for the others.
LABELS = st.text(st.sampled_from('abcdeßéЖ"🌼_-'), min_size=1)


@pytest.mark.parametrize(("extension", "write"), WRITERS)
@given(st.data())
def test_what_is_written_is_read(
    reads: Reads, extension: str, write: Write, data: st.DataObject
) -> None:
    labels = data.draw(st.lists(LABELS, min_size=2, max_size=4, unique_by=str.casefold))
    texts = data.draw(st.lists(TEXTS, min_size=1, max_size=8))
    rows = [(text, label) for label in labels for text in (texts * 10)[:10]]
    rows = suited_to(extension, data.draw(st.permutations(rows)))
    written = write(rows)
    found = reads(written, extension)
    assert rows_of(found) == rows
    assert found.bad_rows == ()
    assert set(found.dataset.label_names) == set(labels)
    assert found.dataset.task == ("binary" if len(labels) == 2 else "multiclass")
    assert found.dataset.labels.dtype == np.int64
    assert found.dataset.sha256 == hashlib.sha256(written).hexdigest()
    again = read(found.resolved)
    assert again.guesses == ()
    assert again.resolved == found.resolved
    assert rows_of(again) == rows


# --- labels ---


@pytest.mark.parametrize(
    ("positive", "negative", "names"),
    [
        (True, False, ("false", "true")),
        (1, 0, ("0", "1")),
        (1.0, 0.0, ("0", "1")),
        (0.5, 7, ("7", "0.5")),
        (" yes ", "no", ("no", "yes")),
    ],
)
def test_labels_become_strings(
    reads: Reads, positive: object, negative: object, names: tuple[str, str]
) -> None:
    rows = [{"text": "a", "label": positive}] * 10 + [{"text": "b", "label": negative}] * 11
    found = reads(objects(rows), ".jsonl")
    assert found.dataset.label_names == names
    assert found.dataset.labels.tolist() == [1] * 10 + [0] * 11


@pytest.mark.parametrize(
    ("values", "names"),
    [
        ([True, False], ("false", "true")),
        ([1, 0], ("0", "1")),
        ([1.0, 0.0], ("0", "1")),
    ],
)
def test_labels_of_parquet(reads: Reads, values: list[object], names: tuple[str, str]) -> None:
    columns = {"text": ["a", "b"] * 10 + ["c"], "label": [*(values * 10), None]}
    found = reads(columns_to_parquet(columns), ".parquet")
    assert found.dataset.label_names == names
    assert found.dataset.labels.tolist() == [1, 0] * 10
    assert found.bad_rows == (BadRow(21, "no label", "row"),)


def test_a_categorical_column_of_parquet(reads: Reads) -> None:
    labels = pa.array(["ham", "spam"] * 10).dictionary_encode()
    found = reads(columns_to_parquet({"text": ["a"] * 20, "label": labels}), ".parquet")
    assert found.dataset.label_names == ("ham", "spam")


@pytest.mark.parametrize(
    ("rarer", "other", "positive", "reason"),
    [
        ("0", "1", "1", "by its name"),
        ("-1", "1", "1", "by its name"),
        ("False", "True", "True", "by its name"),
        ("no", "yes", "yes", "by its name"),
        ("ham", "spam", "spam", "by its name"),
        ("negative", "positive", "positive", "by its name"),
        ("neutral", "toxic", "toxic", "by its name"),
        ("not_abuse", "abuse", "abuse", "by its name"),
        ("Non-Toxic", "Toxic", "Toxic", "by its name"),
        ("ok", "not ok", "not ok", "by its name"),
        ("cat", "dog", "cat", "the rarer one: 10 of 25 rows"),
        ("zebra", "dog", "zebra", "the rarer one: 10 of 25 rows"),
        ("1", "2", "1", "the rarer one: 10 of 25 rows"),
        ("spam", "abuse", "spam", "the rarer one: 10 of 25 rows"),
    ],
)
def test_the_positive_label_of_two(
    reads: Reads, rarer: str, other: str, positive: str, reason: str
) -> None:
    found = reads(to_csv([("a", rarer)] * 10 + [("b", other)] * 15))
    assert found.dataset.label_names[1] == positive
    assert set(found.dataset.label_names) == {rarer, other}
    assert found.guesses[-1] == f"positive label '{positive}' ({reason})"
    assert found.resolved.positive == positive


def test_equally_frequent_labels_without_a_meaning(reads: Reads) -> None:
    found = reads(to_csv([("a", "dog"), ("b", "cat")] * 10))
    assert found.dataset.label_names == ("cat", "dog")
    assert "equally frequent" in found.guesses[-1]


def test_the_positive_label_may_be_named(reads: Reads) -> None:
    found = reads(to_csv(TWENTY), positive="ham")
    assert found.dataset.label_names == ("spam", "ham")
    assert not any("positive label" in guess for guess in found.guesses)
    assert rows_of(found) == TWENTY


# --- spellings of labels ---


def labelled(*counts: tuple[str, int]) -> bytes:
    rows = [(f"text {number}", label) for label, count in counts for number in range(count)]
    return to_csv(rows)


@pytest.mark.parametrize("extension", [".csv", ".tsv"])
def test_equal_numbers_are_one_label(reads: Reads, extension: str) -> None:
    """pandas writes integers with gaps as floats."""
    data = labelled(("1.0", 10), ("0.0", 12), ("1", 3), ("0", 4))
    found = reads(data if extension == ".csv" else data.replace(b",", b"\t"), extension)
    assert found.dataset.label_names == ("0", "1")
    assert np.bincount(found.dataset.labels).tolist() == [16, 13]
    assert found.guesses[-1] == "positive label '1' (by its name)"
    assert reads(data, positive="1.0").dataset.label_names == ("0", "1")


def test_numbers_with_an_exponent_or_without_a_zero_are_the_same_label(reads: Reads) -> None:
    data = labelled((".5", 6), ("0.5", 6), ("1e0", 5), ("1", 5), ("5E-1", 1))
    found = reads(data, positive="10e-1")
    assert found.dataset.label_names == ("0.5", "1")
    assert np.bincount(found.dataset.labels).tolist() == [13, 10]


def test_booleans_as_words_and_as_numbers_are_refused_or_merged(reads: Reads) -> None:
    labels = [True] * 9 + [1] * 3 + [False] * 12 + ["False"]
    data = objects([{"text": "a", "label": label} for label in labels])
    with pytest.raises(DatasetError, match=r"'1' \(3\), 'true' \(9\); 'False' \(1\), 'false'"):
        reads(data, ".jsonl")
    found = reads(data, ".jsonl", merge_labels=True)
    assert found.dataset.label_names == ("false", "true")
    assert np.bincount(found.dataset.labels).tolist() == [13, 12]


@pytest.mark.parametrize(
    ("label", "problem"),
    [
        ("a very long label " * 20, "has more than 200 characters"),
        ("two\nlines", "contains a line break"),
        ("two\u2028lines", "contains a line break"),
        ("ham\x1b[31m", "contains a line break, a tab or another control character"),
        ("nul\0", ".* or another control character"),
    ],
)
def test_a_text_as_a_label_is_not_quoted(reads: Reads, label: str, problem: str) -> None:
    rows = [*TWENTY, ("hello", label)]
    with pytest.raises(
        DatasetError, match=rf"the label on line 22 {problem}.*--label-col"
    ) as error:
        reads(to_csv(rows))
    assert label[:8] not in str(error.value)


def test_spellings_of_a_label_are_refused(reads: Reads) -> None:
    data = labelled(("Spam", 10), ("spam", 20), ("SPAM", 1), ("not spam", 20), ("Not  Spam", 2))
    with pytest.raises(
        DatasetError, match=r"numbers: 'Not  Spam' \(2\), 'not spam' \(20\); "
    ) as error:
        reads(data)
    assert "'SPAM' (1), 'Spam' (10), 'spam' (20). Merge them with --merge-labels" in str(
        error.value
    )


def test_spellings_of_a_label_are_merged(reads: Reads) -> None:
    data = labelled(("Spam", 10), ("spam", 20), ("SPAM", 1), ("ham", 20))
    for positive in (None, "SPAM", "spam"):
        found = reads(data, merge_labels=True, positive=positive)
        assert found.dataset.label_names == ("ham", "spam")
        assert np.bincount(found.dataset.labels).tolist() == [20, 31]
        assert found.notes[0] == (
            "merged labels: 'SPAM' (1), 'Spam' (10), 'spam' (20); the most frequent spelling is "
            "kept"
        )
    assert reads(to_csv(TWENTY), merge_labels=True).notes == ()


def test_missing_labels_are_listed(reads: Reads) -> None:
    data = labelled(("1.0", 10), ("0.0", 10), ("nan", 1), ("NULL", 1), ("#N/A", 1), ("None", 1))
    found = reads(data)
    assert found.dataset.label_names == ("0", "1")
    assert [bad.reason for bad in found.bad_rows] == [
        "no label ('nan')",
        "no label ('NULL')",
        "no label ('#N/A')",
        "no label ('None')",
    ]


def test_none_is_the_name_of_a_class(reads: Reads) -> None:
    found = reads(labelled(("none", 20), ("sexism", 10)))
    assert found.dataset.label_names == ("none", "sexism")


@pytest.mark.parametrize(
    ("labels", "part"),
    [
        (["spam|abuse", "spam", "abuse"], "spam"),
        (["spam,abuse", "abuse, threat", "threat,spam"], "abuse"),
        (["a; b", "a", "b", "c"], "a"),
        (["['spam', 'abuse']", "['spam']"], "toxic"),
        (['["spam"]', "[]"], "toxic"),
    ],
)
def test_labels_of_several_classes(reads: Reads, labels: list[str], part: str) -> None:
    message = (
        r"names several classes, but a text has one label\. Write a column of 0 and 1 for each "
        rf"class, .*: --label-column {part} --positive 1"
    )
    with pytest.raises(DatasetError, match=message):
        reads(labelled(*((label, 10) for label in labels)))


def test_a_separator_in_the_name_of_a_class(reads: Reads) -> None:
    names = ["Boston, USA", "Food; drink", "New York, USA", "a|b"]
    assert reads(labelled(*((name, 10) for name in names))).dataset.label_names == tuple(names)


def test_lists_of_labels_in_json(reads: Reads) -> None:
    with pytest.raises(DatasetError, match=r"line 1: its label is a list: a text has one label"):
        reads(objects([{"text": "a", "label": ["spam", "abuse"]}] * 20), ".jsonl")


def test_a_column_for_each_label(reads: Reads) -> None:
    rows = [
        {"comment_text": f"text {n}", "id": n, "toxic": n % 2, "threat": n % 3 // 2}
        for n in range(60)
    ]
    message = (
        r"more than one column of 0 and 1: 'toxic', 'threat'\. Train a model for each, such as "
        r"--name toxic --label-column toxic --positive 1; "
    )
    with pytest.raises(DatasetError, match=message):
        reads(objects(rows), ".jsonl")
    found = reads(objects(rows), ".jsonl", label_column="threat", positive="1")
    assert found.dataset.label_names == ("0", "1")


def test_numbers_to_be_estimated(reads: Reads) -> None:
    rare = [(f"text {number}", f"{number / 7:.3f}") for number in range(300)]
    with pytest.raises(
        DatasetError, match=r"fewer; they are numbers, and a number to be estimated"
    ):
        reads(to_csv(rare))
    frequent = [(f"text {number}", str(number % 25)) for number in range(300)]
    note = "the 25 labels are numbers; they are learnt without their order"
    assert note in reads(to_csv(frequent)).notes


# --- duplicates ---


def test_contradictory_and_duplicate_texts_are_counted(reads: Reads) -> None:
    found = reads(lines_with(b"text 3,spam", b"text\xc2\xa0 5,spam", b"text 3,ham"))
    # Every good row stands there twice, on lines 2 to 21 and 25 to 44.
    assert found.duplicates.repeated == 23
    assert found.duplicates.listed("line", 1) == [
        "lines 5, 22, 24 and 28: ham, spam",
        "and 1 more",
    ]
    contradictions, repeated = found.notes
    assert contradictions == (
        "2 texts appear under more than one label (first: lines 5, 22, 24 and 28); all rows are "
        "kept, but no model can learn both"
    )
    assert repeated == "23 rows repeat the text of an earlier row; all are kept"
    assert len(found.dataset.texts) == 43


def test_of_one_against_the_rest_the_rest_is_one_label(reads: Reads) -> None:
    rows = [(f"{text} {n}", label) for n, (text, label) in enumerate(THREE)]
    rows += [("d", "red"), ("d", "blue")]
    assert len(reads(to_csv(rows)).duplicates.contradictions) == 1
    assert reads(to_csv(rows), positive="green").duplicates.contradictions == ()


# --- options of the file ---


def test_encoding_and_delimiter(reads: Reads) -> None:
    data = to_csv([("£5", "ham"), ("£6", "spam")] * 10, ";").decode().encode("cp1252")
    with pytest.raises(DatasetError, match="--encoding cp1252"):
        reads(data)
    found = reads(data, encoding="cp1252")
    assert found.dataset.texts[:2] == ("£5", "£6")
    assert found.notes[0].startswith("columns separated by semicolons")
    assert found.resolved.encoding == "cp1252"
    named = reads(data, encoding="cp1252", delimiter=";")
    assert rows_of(named) == rows_of(found)
    assert not named.notes[0].startswith("columns separated")


THREE = [("a", "red"), ("b", "green"), ("c", "blue")] * 10


def test_more_labels_are_more_classes(reads: Reads) -> None:
    found = reads(to_csv(THREE))
    assert found.dataset.task == "multiclass"
    assert found.dataset.label_names == ("blue", "green", "red")
    assert found.dataset.labels.tolist() == [2, 1, 0] * 10
    assert found.resolved.positive is None


def test_one_class_against_the_rest(reads: Reads) -> None:
    found = reads(to_csv([*THREE, ("d", "grey")]), positive="green")
    assert found.dataset.task == "binary"
    assert found.dataset.label_names == ("not_green", "green")
    assert found.dataset.labels.tolist() == [0, 1, 0] * 10 + [0]


def test_an_unknown_positive_label_suggests_a_similar_one(reads: Reads) -> None:
    with pytest.raises(
        DatasetError, match=r"'gren', did you mean 'green'\?; available: 'blue', 'g"
    ):
        reads(to_csv(THREE), positive="gren")


# --- columns ---


def spread(columns: Sequence[str]) -> bytes:
    """CSV: the i-th column holds its name and a number, the second 'ham' and 'spam'."""
    file = io.StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(columns)
    for number in range(20):
        values = [f"{column} {number}" for column in columns]
        values[1] = "ham" if number % 2 else "spam"
        writer.writerow(values)
    return file.getvalue().encode()


@pytest.mark.parametrize(
    ("columns", "guesses"),
    [
        (("text", "label"), ("text column 'text' (by its name)", "label column 'label' (by its")),
        (("tweet_text", "class", "id"), ("text column 'tweet_text' (by", "label column 'class' (")),
        (("Message", "CATEGORY", ""), ("text column 'Message' (by", "label column 'CATEGORY' (by")),
        (("sms", "v1"), ("text column 'sms' (by its", "label column 'v1' (by its few distinct")),
        (("v2", "v1"), ("label column 'v1' (by its few distinct", "text column 'v2' (the other")),
        (("v2", "target"), ("label column 'target' (by its", "text column 'v2' (the other one)")),
        (("body", "label", "text_id"), ("text column 'body' (", "label column 'label' (")),
    ],
)
def test_obvious_columns(reads: Reads, columns: Sequence[str], guesses: tuple[str, str]) -> None:
    found = reads(spread(columns))
    assert found.dataset.texts[3] == f"{columns[0]} 3"
    assert found.resolved.label_column == columns[1]
    for guess, start in zip(found.guesses, guesses, strict=False):
        assert guess.startswith(start)
    assert len(found.guesses) == 3  # and the positive label


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("v2", "v1", "id"), r"contains the texts .* and the labels .*: 'v2', 'v1', 'id'\."),
        (
            ("text", "v1", "id"),
            r"which column contains the labels \(--label-column\)\. .*'text', 'v1'",
        ),
        (("v2", "label", "id"), r"which column contains the texts \(--text-column\)\. "),
        (("text", "label", "message"), r"which column contains the texts \(--text-column\)\. "),
        (("text", "label", "text"), r"which column contains the texts \(--text-column\)\. "),
        (("v2", "spam"), r"contains the texts .* and the labels .*named by the first row of a CSV"),
    ],
)
def test_columns_that_cannot_be_guessed(reads: Reads, columns: Sequence[str], message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        reads(spread(columns))


def test_two_columns_of_few_values(reads: Reads) -> None:
    rows = [{"v1": "a", "v2": "b"}, {"v1": "c", "v2": "d"}] * 10
    with pytest.raises(DatasetError, match="cannot guess"):
        reads(objects(rows), ".jsonl")


def test_columns_cannot_be_guessed_among_a_hundred_thousand(reads: Reads) -> None:
    names = ",".join(f"c{number}" for number in range(100_000))
    row = ",".join(["x"] * 100_000)
    start = time.monotonic()
    with pytest.raises(DatasetError, match=r"cannot guess .* and 99,980 more"):
        reads("\n".join([names, row, row, row]).encode())
    with pytest.raises(DatasetError, match=r"no column 'c100000', did you mean"):
        reads("\n".join([names, row, row, row]).encode(), text_column="c100000")
    assert time.monotonic() - start < 30


def test_a_column_that_cannot_be_read_is_not_guessed(reads: Reads) -> None:
    far = pa.array([2**62] * 20, pa.timestamp("us"))
    columns = {"text": ["a", "b"] * 10, "at": far}
    with pytest.raises(DatasetError, match="cannot guess which column contains the labels"):
        reads(columns_to_parquet(columns), ".parquet")
    with pytest.raises(DatasetError, match="the column 'at' contains values of the type timestamp"):
        reads(columns_to_parquet(columns), ".parquet", label_column="at")
    columns |= {"label": ["x", "y"] * 10}
    assert reads(columns_to_parquet(columns), ".parquet").dataset.label_names == ("x", "y")


def test_a_file_without_a_header(reads: Reads) -> None:
    """A label on the first line is not taken for the name of a column, white space or not."""
    lines = [f"text {number}, {'ham' if number % 2 else 'spam'}" for number in range(20)]
    with pytest.raises(DatasetError, match="named by the first row of a CSV: 'text 0'"):
        reads("\n".join(lines).encode())


def test_a_given_column_is_not_guessed_for_the_other(reads: Reads) -> None:
    data = to_csv([("a", "ham"), ("b", "spam")] * 10)
    few = reads(data.replace(b"label", b"v1", 1))
    assert few.resolved.label_column == "v1"
    swapped = reads(data.replace(b"label", b"message", 1), label_column="message")
    assert swapped.resolved.text_column == "text"


def test_two_columns_of_one_name(reads: Reads) -> None:
    for rows in (TWENTY, [(label, text) for text, label in TWENTY]):
        with pytest.raises(DatasetError, match="cannot guess which column contains the texts"):
            reads(to_csv(rows).replace(b"text,label", b"v1,v1", 1))


def test_named_columns(reads: Reads) -> None:
    data = spread(("text", "v1", "message"))
    found = reads(data, text_column="message", label_column="v1", positive="spam")
    assert found.dataset.texts[3] == "message 3"
    assert found.guesses == ()


@pytest.mark.parametrize(
    ("text_column", "label_column", "message"),
    [
        ("bodi", "label", r"no column 'bodi', did you mean 'body'\?; available: 'body', 'label', "),
        ("body", "v1", r"no column 'v1'; available: 'body', 'label', 'twice', 'twice'"),
        ("twice", "label", r"more than one column 'twice'; available"),
        (
            "label",
            "label",
            r"'label' cannot be both the text and the label column\. ",
        ),
    ],
)
def test_columns_that_are_refused(
    reads: Reads, text_column: str, label_column: str, message: str
) -> None:
    with pytest.raises(DatasetError, match=message):
        reads(
            spread(("body", "label", "twice", "twice")),
            text_column=text_column,
            label_column=label_column,
        )


def test_a_long_name_is_shortened(reads: Reads) -> None:
    """Without a header, what stands for a name is a text."""
    secret = "a message that nobody but its reader should ever have to see"
    with pytest.raises(DatasetError, match="cannot guess") as caught:
        reads(spread((secret, "v1", "v2")))
    assert secret not in str(caught.value)


# --- bad rows ---


def test_bad_rows_of_csv(reads: Reads) -> None:
    data = lines_with(
        b'"two\nlines, and ""quotes""",ham',  # lines 22 and 23
        b"",
        b",ham",
        b"one",
        b"  ,ham",
        b"no label,",
    )
    found = reads(data)
    assert found.bad_rows == (
        BadRow(25, "no text"),
        BadRow(26, "wrong number of fields: 1, but the header has 2"),
        BadRow(27, "no text"),
        BadRow(28, "no label"),
    )
    assert len(found.dataset.texts) == 41
    assert found.dataset.texts[20] == 'two\nlines, and "quotes"'


def test_bad_rows_of_json_lines(reads: Reads) -> None:
    bad = [
        b"[1, 2]",
        b'{"text": null, "label": "ham"}',
        b'{"label": "ham"}',
        b'{"text": "a"}',
        b'{"text": 7, "label": "ham"}',
        b'{"text": "a", "label": ["ham"]}',
        b'{"text": "a", "label": NaN}',
        b'{"text": "a\\ud83d", "label": "ham"}',
        b'{"text": "a", "label": "\\udf3c"}',
        b'{"text": "\\ud83c\\udf3c", "label": "ham"}',
    ]
    found = reads(to_json_lines(TWENTY) + b"\n" + b"\n".join(bad), ".jsonl")
    assert found.bad_rows == (
        BadRow(21, "not a JSON object"),
        BadRow(22, "no text"),
        BadRow(23, "no text"),
        BadRow(24, "no label"),
        BadRow(25, "its text is not a string"),
        BadRow(26, "its label is a list: a text has one label"),
        BadRow(27, "no label"),
        BadRow(28, "its text contains half a character (a lone surrogate)"),
        BadRow(29, "its label contains half a character (a lone surrogate)"),
    )
    assert found.dataset.texts[20:] == ("🌼",)


def test_bad_rows_of_parquet(reads: Reads) -> None:
    texts = [text for text, _ in TWENTY]
    labels = [label for _, label in TWENTY]
    columns = {"text": [None, "", *texts, "a"], "label": ["ham", "ham", *labels, None]}
    found = reads(columns_to_parquet(columns), ".parquet")
    assert rows_of(found) == TWENTY
    assert describe_bad_rows(found.bad_rows, 9) == [
        "row 1: no text",
        "row 2: no text",
        "row 23: no label",
    ]


@given(st.lists(st.sampled_from(["good", "no text", "no label", "fields"]), max_size=30))
def test_every_row_is_used_or_listed(reads: Reads, kinds: list[str]) -> None:
    spelt = {
        "good": b'"several\n\nlines",ham',
        "no text": b",spam",
        "no label": b'"a\nb",',
        "fields": b"a,b,c",
    }
    found = reads(lines_with(*(spelt[kind] for kind in kinds)))
    assert len(found.dataset.texts) == 40 + kinds.count("good")
    line, expected = 22, []
    for kind in kinds:
        if kind != "good":
            expected.append(line)
        line += spelt[kind].count(b"\n") + 1
    assert [bad.line for bad in found.bad_rows] == expected


# --- what cannot be used at all ---


@pytest.mark.parametrize(
    ("extension", "data"),
    [
        (".csv", b""),
        (".csv", b"text,label\n"),
        (".tsv", b"text\tlabel"),
        (".jsonl", b" \r\n\n"),
        (".parquet", columns_to_parquet({"text": [], "label": []})),
    ],
)
def test_a_file_without_rows(reads: Reads, extension: str, data: bytes) -> None:
    with pytest.raises(DatasetError, match=r"has no rows\. At least 10 rows of each class"):
        reads(data, extension)


@pytest.mark.parametrize(
    ("extension", "data"),
    [
        (".csv", b"text,label\na\n,ham\n"),
        (".jsonl", b"text\nlabel\n"),
        (".parquet", columns_to_parquet({"text": [b"a"], "label": ["ham"]})),
    ],
)
def test_bad_rows_alone(reads: Reads, extension: str, data: bytes) -> None:
    with pytest.raises(DatasetError, match=r"no row can be used: (line|row) \d: "):
        reads(data, extension)


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"mine\.csv: cannot be read: No such file"):
        read(CustomData("mine", tmp_path / "mine.csv"))


def test_one_class_only(reads: Reads) -> None:
    with pytest.raises(DatasetError, match=r"only one class in 'label': all 12 rows"):
        reads(to_csv([("a", "ham")] * 12 + [("", "spam")]))


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (
            {"ham": 50, "spam": 9},
            r"each class needs 10, one for each tenth of the file: 'spam' has 9\. Add rows",
        ),
        (
            {"ham": 3, "spam": 9},
            r"each class needs 10, one for each tenth of the file: 'ham' has 3, 'spam' has 9\. ",
        ),
        (
            {"a": 20, "b": 1, "c": 9, "d": 10},
            r"each class needs 10, one for each tenth of the file: 'b' has 1, 'c' has 9\. ",
        ),
        (
            {f"text {number}": 1 for number in range(30)},
            r": 30 of 30 classes have fewer\. .*label-c",
        ),
    ],
)
def test_a_class_of_too_few_rows(reads: Reads, counts: dict[str, int], message: str) -> None:
    rows = [("a", label) for label, count in counts.items() for _ in range(count)]
    with pytest.raises(DatasetError, match=message):
        reads(to_csv(rows))


def test_too_few_of_one_class_against_the_rest(reads: Reads) -> None:
    with pytest.raises(
        DatasetError, match=r"each class needs 10, one for each tenth of the file: 'grey' has 1\."
    ):
        reads(to_csv([*THREE, ("d", "grey")]), positive="grey")


@pytest.mark.parametrize(
    "name", ["a" * 65, "a" * 300, "", "Mine", "my-data", "my data", "../mine", "mine\n", "größe"]
)
def test_an_invalid_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=r"invalid model name .*: use only a to z, 0 to 9 and _"):
        read(CustomData(name, tmp_path / "mine.csv"))


@pytest.mark.parametrize("name", ["spam", "cyberbullying", "cyberbullying_type"])
def test_a_name_that_is_taken(tmp_path: Path, name: str) -> None:
    with pytest.raises(DatasetError, match=rf"'{name}' is taken by a built-in model \(spam, "):
        read(CustomData(name, tmp_path / "mine.csv"))


def test_the_name_is_the_data_sets(reads: Reads, tmp_path: Path) -> None:
    found = reads(to_csv(TWENTY))
    assert found.dataset.name == "mine"
    assert read(replace(found.resolved, name="other_2")).dataset.name == "other_2"


# --- several files ---


def several(directory: Path, *, names: Sequence[str] = (), **files: bytes) -> CustomDataset:
    """Write files and read them as one data set; ``a_csv`` is the name ``a.csv``."""
    paths = [directory / name for name in names or [key.replace("_", ".") for key in files]]
    for path, data in zip(paths, files.values(), strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return read(*(CustomData("mine", path) for path in paths))


def test_each_file_is_a_source(tmp_path: Path) -> None:
    more = [("one more", "ham"), ("and another", "ham")]
    found = several(tmp_path, a_csv=to_csv(TWENTY), b_jsonl=to_json_lines(more))
    dataset = found.dataset
    assert rows_of(found) == [*TWENTY, *more]
    assert dataset.origins is not None
    assert dataset.origins.tolist() == [0] * 20 + [1] * 2
    assert dataset.source_names == ("a", "b")
    assert dataset.weights is None
    alone = read(CustomData("mine", tmp_path / "a.csv"))
    assert dataset.source_sha256[0] == alone.dataset.sha256
    assert alone.dataset.origins is None
    assert [file.rows for file in found.files] == [20, 2]
    assert found.guesses[0].startswith("a.csv: text column ")
    assert found.guesses[-1] == "positive label 'spam' (by its name)"
    assert [one["rows"] for one in dataset.record()["sources"]] == [20, 2]


def test_files_of_one_name_are_told_apart(tmp_path: Path) -> None:
    names = ("mail.csv", "new/mail.csv", "old mail.2024.csv", "MAIL.tsv")
    data = to_csv(TWENTY)
    found = several(tmp_path, names=names, a=data, b=data, c=data, d=data.replace(b",", b"\t"))
    assert found.dataset.source_names == ("mail", "mail_2", "old_mail_2024", "mail_3")


def test_bad_rows_and_contradictions_name_their_file(tmp_path: Path) -> None:
    first = to_csv([*TWENTY, ("a text without a label", "")])
    second = to_csv([("", "ham"), ("text 0", "ham"), ("text 1", "ham")])
    found = several(tmp_path, a_csv=first, b_csv=second)
    assert found.describe_bad_rows(9) == ["a.csv, line 22: no label", "b.csv, line 2: no text"]
    assert found.describe_bad_rows(1) == ["a.csv, line 22: no label", "and 1 more"]
    assert found.duplicates.listed("line", 9) == ["lines a.csv:2 and b.csv:3: spam, ham"]
    assert any("(first: lines a.csv:2 and b.csv:3)" in note for note in found.notes)


def test_labels_must_agree(tmp_path: Path) -> None:
    numbers = to_csv([(text, "1" if label == "spam" else "0") for text, label in TWENTY])
    message = (
        r"b\.csv: its labels \('label'\) are '0', '1', but those of .*a\.csv \('label'\) are "
        r"'ham', 'spam'\. Use the same labels in every file"
    )
    with pytest.raises(DatasetError, match=message):
        several(tmp_path, a_csv=to_csv(TWENTY), b_csv=numbers)


def test_a_file_is_given_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(to_csv(TWENTY))
    with pytest.raises(DatasetError, match=r"a\.csv: given twice"):
        read(CustomData("mine", path), CustomData("mine", tmp_path / "." / "a.csv"))


def test_classes_are_counted_over_all_files(tmp_path: Path) -> None:
    ham, spam = (to_csv([row for row in TWENTY if row[1] == label]) for label in ("ham", "spam"))
    with pytest.raises(DatasetError, match="its labels"):
        several(tmp_path, a_csv=ham, b_csv=spam)
    mixed = to_csv([*TWENTY[:3], *(row for row in TWENTY if row[1] == "spam")])
    found = several(tmp_path, a_csv=mixed, b_csv=ham)
    assert np.bincount(found.dataset.labels).tolist() == [11, 12]
