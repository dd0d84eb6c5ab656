"""Rows in, the same rows with their scores out: for any rows, however they are cut into blocks."""

import csv
import gzip
import io
import itertools
import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dandelion import Classifier
from dandelion.artifact import save
from dandelion.bulk import MAX_ROW_BYTES, Block, Format, Layout, Scorer
from dandelion.bulk.cutting import cut, split
from dandelion.bulk.errors import BulkError, RefusedError
from dandelion.bulk.job import ScoredBlock
from dandelion.bulk.sources import Unpacked

from ..examples import THREE, make_artifact
from ..strategies import ANY_TEXT
from .reference import ADDED, csv_rows, expected, job_of, json_rows, score_bytes

# What UTF-8 can encode.
TEXT = ANY_TEXT.map(lambda text: text.encode(errors="replace").decode())
FIELD = st.text(st.sampled_from('ab,;"\r\n\t é'), max_size=8) | TEXT
BLOCK_BYTES = st.sampled_from([1, 7, 64, 2**20])

PIECES = st.sampled_from(
    [b'{"text": "', b'"}', b"a", b",", b'"', b"\r", b"\n", b"\r\n", b"\t", b"\xff", b"{", b" "]
)

SOUND_MEMBERS = st.dictionaries(
    TEXT.filter(lambda name: name not in ("text", *ADDED)),
    st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT | st.none(),
    max_size=3,
)


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(FIELD, FIELD)),
    block_bytes=BLOCK_BYTES,
    dialect=st.sampled_from(["excel", "unix"]),
)
def test_csv_keeps_its_rows(
    scorer: Scorer,
    classifier: Classifier,
    rows: list[tuple[str, str]],
    block_bytes: int,
    dialect: str,
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, dialect).writerows([("id", "text"), *rows])
    data = file.getvalue().encode()
    written, broken = score_bytes(scorer, data, "csv", block_bytes)
    header, *found = csv_rows(written)
    assert header == ["id", "text", *ADDED]
    assert [tuple(row[:2]) for row in found] == [tuple(row) for row in csv_rows(data)[1:]]
    columns = [
        (label, float(score) if score else None, decision, notice or None)
        for *_, label, score, decision, notice in found
    ]
    assert columns == expected(classifier, [text for _, text in rows])
    assert not broken


@settings(max_examples=40)
@given(
    rows=st.lists(st.tuples(SOUND_MEMBERS, TEXT, SOUND_MEMBERS)),
    ascii_only=st.booleans(),
    block_bytes=BLOCK_BYTES,
)
def test_json_lines_keep_their_members(
    scorer: Scorer,
    classifier: Classifier,
    rows: list[tuple[dict[str, object], str, dict[str, object]]],
    ascii_only: bool,
    block_bytes: int,
) -> None:
    values = [before | {"text": text} | after for before, text, after in rows]
    lines = [json.dumps(row, ensure_ascii=ascii_only) for row in values]
    data = "\n".join(lines).encode()
    written, broken = score_bytes(scorer, data, "jsonl", block_bytes)
    scores = expected(classifier, [text for _, text, _ in rows])
    assert json_rows(written) == [
        row | dict(zip(ADDED, columns, strict=True))
        for row, columns in zip(values, scores, strict=True)
    ]
    # The original text of each row stands in front of what is added.
    for line, found in zip(lines, written.decode().split("\n"), strict=False):
        assert found.startswith(line.removesuffix("}"))
    assert not broken


@pytest.mark.parametrize("form", ["csv", "tsv"])
@settings(max_examples=40)
@given(text=st.text(st.sampled_from('ab,;"\r\n\té€…ÿß')), block_bytes=BLOCK_BYTES)
def test_an_encoding_makes_no_other_difference(
    scorer: Scorer, form: Format, text: str, block_bytes: int
) -> None:
    data = ("text,€\n" if form == "csv" else "text\t€\n") + text
    wanted, left_out = score_bytes(scorer, data.encode(), form)
    given = data.encode("cp1252")
    written, broken = score_bytes(scorer, given, form, block_bytes, encoding="cp1252")
    assert written == wanted.decode().encode("cp1252")
    assert broken == [one._replace(row=one.row.decode().encode("cp1252")) for one in left_out]


def test_a_byte_that_an_encoding_lacks_breaks_its_row_alone(scorer: Scorer) -> None:
    data = b"text,b\n\x80 5,\xe9\nb\x81,c\n"
    written, broken = score_bytes(scorer, data, "csv", encoding="cp1252")
    assert [line[:5] for line in written.splitlines()] == [b"text,", b"\x80 5,\xe9"]
    assert [tuple(one) for one in broken] == [(3, "not cp1252", b"b\x81,c\n")]


@settings(max_examples=40)
@given(rows=st.lists(st.tuples(TEXT, TEXT)), block_bytes=BLOCK_BYTES)
def test_tsv_keeps_its_lines(
    scorer: Scorer, classifier: Classifier, rows: list[tuple[str, str]], block_bytes: int
) -> None:
    spaces = {ord(one): " " for one in "\t\r\n"}
    cells = [tuple(cell.translate(spaces) for cell in row) for row in rows]
    data = "".join("\t".join(row) + "\n" for row in [("text", "id"), *cells]).encode()
    written, broken = score_bytes(scorer, data, "tsv", block_bytes)
    _, *found = written.decode().split("\n")[:-1]
    assert [tuple(line.split("\t")[:2]) for line in found] == cells
    scores = [line.split("\t")[3] for line in found]
    assert scores == [
        "" if score is None else repr(score)
        for _, score, _, _ in expected(classifier, [text for text, _ in cells])
    ]
    assert not broken


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
@given(data=st.lists(PIECES).map(b"".join))
@example(data=b'a,"b\r\n')
@example(data=b"a\rb\r")
def test_blocks_make_no_difference(scorer: Scorer, form: Format, data: bytes) -> None:
    """Whatever the bytes: not for what is written, nor for what is left out, and why."""
    header = b"" if form == "jsonl" else b"text,b\n" if form == "csv" else b"text\tb\n"
    one, *others = (score_bytes(scorer, header + data, form, size) for size in (2**20, 1, 3))
    assert others == [one, one]
    if form != "csv":  # each line is a row, in one or the other
        end = "\n" if form == "jsonl" else "\r|\n"
        space = None if form == "jsonl" else b"\r\n"
        lines = [line for line in re.split(end.encode(), header + data) if line.strip(space)]
        written = [line for line in re.split(end.encode(), one[0]) if line.strip(space)]
        assert len(written) + len(one[1]) == len(lines)


def test_a_row_keeps_its_spelling(scorer: Scorer) -> None:
    lines = (
        b'{"a":12345678901234567890123,"b":1.0,"c":1e5,"text":"Lunch?","d":-0.0,"e":"\\u00e9"}\r\n'
        b'  {"text" : "Lunch?", "f":{"text":1} }  \n'
        b'{"text":"Lunch?","n":' + b"9" * 5000 + b"}"
    )
    written, broken = score_bytes(scorer, lines, "jsonl")
    assert not broken
    first, second, third, end = written.split(b"\n")
    assert first.startswith(lines.split(b"}")[0] + b', "label": "')
    assert first.endswith(b', "notice": null}\r')
    assert second.startswith(b'  {"text" : "Lunch?", "f":{"text":1} , "label"')
    assert second.endswith(b"}  ")
    assert third.count(b"9") >= 5000
    assert end == b""
    assert json.loads(first, parse_float=Decimal)["c"] == Decimal("1e5")


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"{", "invalid JSON"),
        (b'{"text": NaN}', "invalid JSON"),
        (b'{"text": "a"} {}', "invalid JSON: more than one value on the line"),
        (b"[" * 100_000, "invalid JSON: nested too deeply"),
        (b'["text"]', "not a JSON object"),
        (b'"text"', "not a JSON object"),
        (b"3", "not a JSON object"),
        (b'{"a": "text"}', "no member 'text'"),
        (b'{"text": "a", "text": "b"}', "more than one member 'text'"),
        (b'{"text": "a", "t\\u0065xt": "b"}', "more than one member 'text'"),
        (b'{"text": null}', "the text is not a string"),
        (b'{"text": 12}', "the text is not a string"),
        (b'{"text": {"text": "a"}}', "the text is not a string"),
        (b'{"text": "\\ud83d"}', "the text is not Unicode: it contains half a surrogate pair"),
        (b'{"text": "\xff"}', "not UTF-8"),
        (b'{"text": "a", "n": "\xff"}', "not UTF-8"),
    ],
)
def test_a_broken_line_of_json(scorer: Scorer, line: bytes, reason: str) -> None:
    sound = b'{"text": "Lunch?"}\n'
    for end in (b"\n", b"\n\n"):
        written, broken = score_bytes(scorer, sound + line + end + sound, "jsonl")
        assert [(one.line, one.reason, one.row) for one in broken] == [(2, reason, line)]
        assert written.count(b"Lunch?") == 2


TRICKY_LINES = (
    b'{"text": "a"}',
    b'{"text": "a", "b": [{"text2": 1}]}',
    b'{"text": "a"}{"text": "b"}',
    b'{"text": "a", "b": {}',
    b'{"text":',
    b'"c"}',
    b'{"text": "a", "b":',
    b'{"c": 1}}',
    b'{"text": "a", "label": 1}',
    b'{"text": "a", "l\\u0061bel": 1}',
    b'{"text": "a", "b": "label"}',
    b'{"text": "a", "b": "\\"label\\""}',
    b'{"b": "text"}',
    b'{"text": "a", "t\\u0065xt": "b"}',
    b'{"text": "\\u00e9\\ud83d\\ude00"}',
    b'{"text": "\\ud83d"}',
    b'{"text": "a", "b": 01}',
    b'{"text": "a", "b": "\xff"}',
    b'{"text": "a\tb"}',
    b'{"text": 1}',
    b' {"text": "a"}',
    b'{"text": "a"}\r',
    b"",
)


@given(lines=st.lists(st.sampled_from(TRICKY_LINES), min_size=1, max_size=4))
@example(lines=[b'{"text": "a"}{"text": "b"}', b'{"text": "a", "b":', b'{"c": 1}}'])
def test_lines_of_json_are_judged_one_by_one(scorer: Scorer, lines: list[bytes]) -> None:
    """Whatever stands around a line, it is sound or broken for the same reason."""

    def scored(data: bytes) -> ScoredBlock:
        return scorer.score_block(Block(data, 0, len(data), 1, 1), Layout("jsonl", "text"))

    alone = [scored(line + b"\n\n") for line in lines]
    together = scored(b"\n".join(lines) + b"\n")
    assert together.data == b"".join(one.data for one in alone)
    assert [(one.row, one.reason) for one in together.broken] == [
        (broken.row, broken.reason) for one in alone for broken in one.broken
    ]


def test_a_column_of_another_name(scorer: Scorer) -> None:
    """Names that JSON can spell in several ways."""
    for name, again in (("ä", "\\u00e4"), ("a/b", "a\\/b"), ('a"b', 'a\\"b')):
        layout = Layout("jsonl", name)
        sound = (json.dumps({name: "Lunch?"}, ensure_ascii=False) + "\n").encode()
        twice = f'{{"{name}": "a", "{again}": "b"}}\n'.encode()
        if name == 'a"b':
            twice = f'{{"{again}": "a", "{again}": "b"}}\n'.encode()
        data = sound + twice + sound
        scored = scorer.score_block(Block(data, 0, len(data), 1, 4), layout)
        assert scored.rows == 2
        assert [one.line for one in scored.broken] == [2]


def test_broken_rows_of_csv(scorer: Scorer) -> None:
    data = (
        b'text,id\r\n"two\r\nlines",1\r\n\r\nno id\r\n"a"b,2\r\n\xff,3\r\nLunch?,4\r\n'
        b'"open,5\r\nx,6\r\n'
    )
    written, broken = score_bytes(scorer, data, "csv")
    assert [(one.line, one.reason) for one in broken] == [
        (5, "wrong number of fields: 1, but the header has 2"),
        (6, "invalid CSV: ',' expected after '\"'"),
        (7, "not UTF-8"),
        (9, "invalid CSV: unexpected end of data"),
    ]
    assert broken[2].row == b"\xff,3\r\n"
    assert broken[3].row == b'"open,5\r\nx,6\r\n'
    assert [row[:2] for row in csv_rows(written)] == [
        ["text", "id"],
        ["two\r\nlines", "1"],
        ["Lunch?", "4"],
    ]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_a_row_that_is_too_large_is_left_out(scorer: Scorer, form: Format) -> None:
    filler = b"x" * (MAX_ROW_BYTES + 1)
    long = b'{"text": "%b"}\n' % filler if form == "jsonl" else b"%b\n" % filler
    sound = b'{"text": "Lunch?"}\n' if form == "jsonl" else b"Lunch?\n"
    header = b"" if form == "jsonl" else b"text\n"
    written, broken = score_bytes(scorer, header + sound + long + sound, form)
    (one,) = broken
    assert one.line == 2 + (form != "jsonl")
    assert one.reason == "a row of more than 8,000,000 bytes"
    assert len(one.row) == 1000
    assert written.count(b"Lunch?") == 2
    assert len(written) < 1000


def test_an_open_quotation_mark_costs_its_line_alone(scorer: Scorer) -> None:
    rest = (b"Lunch?," + b"x" * 9992 + b"\n") * (MAX_ROW_BYTES // 10_000 + 100)
    written, broken = score_bytes(scorer, b'text,id\n"open,\n' + rest, "csv")
    ((line, reason, row),) = broken
    assert (line, row) == (2, b'"open,\n')
    assert reason.endswith("a quotation mark on its first line may never be closed")
    assert written.count(b"\n") == 1 + rest.count(b"\n")


@given(data=st.lists(PIECES).map(b"".join), count=st.integers(1, 5))
@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_parts_of_a_file_are_disjoint_and_complete(form: Format, data: bytes, count: int) -> None:
    ends = [len(data) * number // count for number in range(count + 1)]
    parts = [
        part
        for start, stop in itertools.pairwise(ends)
        for block in cut(io.BytesIO(data), form, ",", block_bytes=5)
        if (part := split(block, start, stop, form, ",")) is not None
    ]
    assert b"".join(part.data for part in parts) == data
    lines = [(part.line, part.next_line) for part in parts]
    assert all(before[1] == after[0] for before, after in itertools.pairwise(lines))


def test_results_do_not_depend_on_other_texts(scorer: Scorer, classifier: Classifier) -> None:
    """Nor does a policy's score, which NumPy computes."""
    texts = ["Free prize!", "", "Lunch tomorrow?"] * 300
    together = scorer.score(texts)
    assert together.scores[:3] == [scorer.score([text]).scores[0] for text in texts[:3]]
    assert together.scores == together.scores[:3] * 300


def test_more_than_two_labels(tmp_path: Path) -> None:
    save(make_artifact(labels=THREE), tmp_path / "mood")
    scorer = Scorer(job_of(tmp_path / "mood", prefix="my_", explain=1))
    assert scorer.added == ("my_label", "my_score", "my_notice", "my_explanation")
    for form, data in (("jsonl", b'{"text": "Lunch?"}\n'), ("csv", b"text\nLunch?\n")):
        written, _ = score_bytes(scorer, data, form)
        assert b"my_decision" not in written
    (row,) = json_rows(score_bytes(scorer, b'{"text": "Lunch?"}', "jsonl")[0])
    assert (
        row["my_explanation"]
        == Classifier.load(tmp_path / "mood").explain(["Lunch?"], 1)[0].to_json()
    )


def test_explanations_are_json_in_csv(
    scorer: Scorer, classifier: Classifier, artifact: Path
) -> None:
    explaining = Scorer(job_of(artifact, explain=2))
    data = b"text\nFree prize tomorrow\n"
    wanted = classifier.explain(["Free prize tomorrow"], 2)[0].to_json()
    for form in ("csv", "tsv"):
        written, _ = score_bytes(explaining, data, form)
        last = csv_rows(written)[1][-1] if form == "csv" else written.decode().split("\t")[-1]
        assert json.loads(last) == json.loads(json.dumps(wanted))


@pytest.mark.parametrize(
    ("data", "form", "message"),
    [
        (b"id,when\n", "csv", "cannot guess which column contains the texts"),
        (b"text,message\n", "csv", "cannot guess which column contains the texts"),
        (b"text,label\n", "csv", "there is a column 'label' already"),
        (b'{"text": "a", "score": 1}\n', "jsonl", "there is a column 'score' already"),
        (b'{"id": 1}\n', "jsonl", "cannot guess which column contains the texts"),
        ("text\n".encode("utf-16"), "csv", "not UTF-8, but utf-16. Save the file as UTF-8, or"),
        (b"PK\x03\x04", "csv", "spreadsheet"),
        (b'"text\nLunch?', "csv", "names the columns, is invalid"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    scorer: Scorer, data: bytes, form: Format, message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        score_bytes(scorer, data, form, text=None)


@pytest.mark.parametrize(
    ("data", "form", "message"),
    [
        (b"\xef\xbb\xbftext\n", "csv", "UTF-8, by its first bytes"),
        ("text\n".encode("utf-16"), "csv", "not UTF-8, but utf-16"),
        (b"{}", "jsonl", "only CSV and TSV have encodings"),
    ],
)
def test_another_encoding_than_the_given_one_is_refused(
    scorer: Scorer, data: bytes, form: Format, message: str
) -> None:
    with pytest.raises(RefusedError, match=message):
        score_bytes(scorer, data, form, encoding="cp1252")


def test_a_named_column_must_be_there(scorer: Scorer) -> None:
    with pytest.raises(RefusedError, match="no column 'txt', did you mean 'text'"):
        score_bytes(scorer, b"text\n", "csv", text="txt")


def test_a_byte_order_mark_stays(scorer: Scorer) -> None:
    for form, data in (("csv", b"text\nLunch?\n"), ("jsonl", b'{"text": "Lunch?"}\n')):
        marked, broken = score_bytes(scorer, b"\xef\xbb\xbf" + data, form)
        assert not broken
        assert marked == b"\xef\xbb\xbf" + score_bytes(scorer, data, form)[0]


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl"])
def test_an_empty_file_stays_empty(scorer: Scorer, form: Format) -> None:
    assert score_bytes(scorer, b"", form) == (b"", [])


def test_other_delimiters_are_recognized_and_kept(scorer: Scorer) -> None:
    written, _ = score_bytes(scorer, b'id;text\n1;"a;b"\n', "csv")
    assert written.startswith(b'id;text;label;score;decision;notice\n1;"a;b";')


@pytest.mark.parametrize(
    "data",
    [b"\x1f\x8b\x08broken", gzip.compress(b"text\nLunch?\n", mtime=0)[:-4]],
    ids=["broken", "cut off"],
)
def test_damaged_gzip_is_an_error(scorer: Scorer, data: bytes) -> None:
    with pytest.raises(BulkError, match="damaged or incomplete gzip"):
        score_bytes(scorer, data, "csv")


@pytest.mark.parametrize(
    "before", [b"", gzip.compress(b"text\nLunch?\n", mtime=0)], ids=["all of it", "the end"]
)
def test_what_is_not_gzip_is_not_quoted(before: bytes) -> None:
    stream = Unpacked(io.BytesIO(before + b"secret"), "a.csv.gz", is_packed=True)
    with pytest.raises(BulkError) as caught:
        stream.read(1000)
    problem = "damaged or incomplete gzip: it is something else, or something else follows it"
    assert str(caught.value) == f"a.csv.gz: {problem}"


def test_packed_blocks_are_the_same_bytes_packed(scorer: Scorer) -> None:
    block = Block(b'{"text": "Lunch?"}\n', 0, 19, 1, 2)
    plain = scorer.score_block(block, Layout("jsonl", "text"))
    packed = scorer.score_block(block, Layout("jsonl", "text", is_packed=True))
    assert gzip.decompress(packed.data) == plain.data
