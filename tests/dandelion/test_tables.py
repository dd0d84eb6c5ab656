"""Reading tables: every format, every line number, every refusal."""

import codecs
import csv
import encodings
import gzip
import hashlib
import json
import os
import pkgutil
import re
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dandelion.tables import (
    BadRow,
    Table,
    TableError,
    describe_bad_rows,
    listed,
    parse,
    read,
    suggestion,
)
from dandelion.tables.decoding import DecodingError, single_byte_encoding

from .table_files import (
    WRITERS,
    Row,
    Write,
    columns_to_parquet,
    parquet_bytes,
    suited_to,
    to_csv,
    to_json_lines,
    to_parquet,
    to_tsv,
)

ROWS: list[Row] = [(f"text {number}", "ham" if number % 2 else "spam") for number in range(20)]

# Any Unicode, with many of the characters that a format has to quote.
CELLS = st.text(
    st.one_of(st.sampled_from('",\t\n\r\\\0 \u2028\ufeff£🌼'), st.characters(codec="utf-8"))
)


def parsed(data: bytes, extension: str = ".csv") -> Table:
    return parse(data, Path(f"table{extension}"))


def rows_of(table: Table) -> list[tuple[object, object]]:
    return list(zip(table.column("text"), table.column("label"), strict=True))


def lines_with(*bad: bytes, header: bytes = b"text,label") -> bytes:
    """CSV: good rows on lines 2 to 21, the given lines, and good rows again."""
    good = [",".join(row).encode() for row in ROWS]
    return b"\n".join([header, *good, *bad, *good]) + b"\n"


# --- the same rows come back ---


@pytest.mark.parametrize(("extension", "write"), WRITERS)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=8))
def test_what_is_written_is_read(extension: str, write: Write, rows: list[Row]) -> None:
    rows = suited_to(extension, rows)
    data = write(rows)
    table = parsed(data, extension)
    assert table.columns == ("text", "label")
    assert rows_of(table) == rows
    assert table.bad_rows == ()
    assert table.sha256 == hashlib.sha256(data).hexdigest()
    assert len(table.lines) == len(rows)


@pytest.mark.parametrize(("extension", "write"), WRITERS)
def test_every_value_stays_a_string(extension: str, write: Write) -> None:
    texts = ("null", "NA", "nan", "None", "true", "1", "1e5", "0x1F", "#N/A", "  spaced out ")
    rows = [(text, "a") for text in texts]
    assert rows_of(parsed(write(rows), extension)) == rows


@pytest.mark.parametrize(("extension", "write"), WRITERS[:4])
def test_a_byte_order_mark_is_not_part_of_the_text(extension: str, write: Write) -> None:
    table = parsed(codecs.BOM_UTF8 + write(ROWS), extension)
    assert table.columns == ("text", "label")
    assert rows_of(table) == ROWS


def test_the_extension_may_be_upper_case() -> None:
    assert rows_of(parsed(to_csv(ROWS), ".CSV")) == ROWS


def test_white_space_around_column_names_in_csv() -> None:
    assert parsed(b" text , label\n a , b \n").columns == ("text", "label")
    assert parsed(b" text , label\n a , b \n").column("text") == [" a "]


def test_json_lines_keep_types_and_gaps() -> None:
    table = parsed(b'{"a": 1, "b": null}\n{"b": [true], "c": "x"}\n', ".jsonl")
    assert table.columns == ("a", "b", "c")
    assert [table.column(name) for name in "abc"] == [[1, None], [None, [True]], [None, "x"]]


def test_parquet_keeps_types() -> None:
    columns = {"text": ["a", None], "label": pa.array(["x", "y"]).dictionary_encode(), "n": [1, 2]}
    table = parsed(columns_to_parquet(columns), ".parquet")
    assert rows_of(table) == [("a", "x"), (None, "y")]
    assert table.column("n") == [1, 2]
    assert (list(table.lines), table.unit) == ([1, 2], "row")


# --- lines and bad rows ---


def test_bad_rows_of_csv() -> None:
    table = parsed(
        lines_with(
            b'"two\nlines, and ""quotes""",ham',  # lines 22 and 23
            b"",
            b"one",
            b"a,b,c",
            b'"text"s,ham',
            b'"spans\ntwo"s,ham',  # lines 28 and 29
        )
    )
    assert table.bad_rows == (
        BadRow(25, "wrong number of fields: 1, but the header has 2"),
        BadRow(26, "wrong number of fields: 3, but the header has 2"),
        BadRow(27, "invalid CSV: ',' expected after '\"'"),
        BadRow(28, "invalid CSV: ',' expected after '\"'"),
        BadRow(29, "part of the row that starts on line 28"),
    )
    assert list(table.lines) == [*range(2, 23), *range(30, 50)]
    assert table.column("text")[20] == 'two\nlines, and "quotes"'


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_any_line_break_is_counted(line_break: bytes) -> None:
    table = parsed(lines_with(b'"two\nlines",ham', b"bad").replace(b"\n", line_break))
    assert table.bad_rows == (BadRow(24, "wrong number of fields: 1, but the header has 2"),)


def test_an_unclosed_quote_swallows_no_row_silently() -> None:
    table = parsed(lines_with(b'"open,ham'))
    assert list(table.lines) == list(range(2, 22))
    assert [bad.line for bad in table.bad_rows] == list(range(22, 43))
    assert table.bad_rows[0].reason == "invalid CSV: unexpected end of data"


@given(kinds=st.lists(st.sampled_from(["good", "fields", "quotes", "blank"]), max_size=30))
def test_every_row_of_csv_is_read_or_listed(kinds: list[str]) -> None:
    spelt = {
        "good": b'"several\n\nlines",ham',
        "fields": b"a,b,c",
        "quotes": b'"a"b,ham',
        "blank": b"",
    }
    table = parsed(lines_with(*(spelt[kind] for kind in kinds)))
    line, good, bad = 22, [], []
    for kind in kinds:
        if kind != "blank":
            (good if kind == "good" else bad).append(line)
        line += spelt[kind].count(b"\n") + 1
    assert list(table.lines) == [*range(2, 22), *good, *range(line, line + 20)]
    assert [row.line for row in table.bad_rows] == bad


def test_bad_rows_of_json_lines() -> None:
    lines = [
        b"",
        b"nothing",
        b"[1, 2]",
        b"[" * 100_000,
        '{"text": "a\u2028b", "label": "ham"}'.encode(),
    ]
    table = parsed(to_json_lines(ROWS) + b"\n" + b"\r\n".join(lines), ".jsonl")
    assert table.bad_rows == (
        BadRow(22, "invalid JSON"),
        BadRow(23, "not a JSON object"),
        BadRow(24, "invalid JSON"),
    )
    assert list(table.lines) == [*range(1, 21), 25]


def test_bad_rows_are_described_without_their_texts() -> None:
    table = parsed(lines_with(b"secret", b'"secret"secret,ham', b"secret,secret,ham"))
    assert describe_bad_rows(table.bad_rows, 2) == [
        "line 22: wrong number of fields: 1, but the header has 2",
        "line 23: invalid CSV: ',' expected after '\"'",
        "and 1 more",
    ]
    assert len(describe_bad_rows(table.bad_rows, 3)) == 3
    assert not any("secret" in line for line in describe_bad_rows(table.bad_rows, 3))
    assert describe_bad_rows((), 3) == []
    assert describe_bad_rows((BadRow(7, "no text", "row"),), 3) == ["row 7: no text"]


# --- columns ---


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "txt",
            r"table\.csv: no column 'txt', did you mean 'text'\?; available: 'text', 'twice', ",
        ),
        ("v1", r"no column 'v1'; available: 'text', 'twice', 'twice'$"),
        ("twice", r"more than one column 'twice'; available"),
    ],
)
def test_a_column_that_does_not_occur_exactly_once(name: str, message: str) -> None:
    table = parsed(b"text,twice,twice\na,b,c\n")
    with pytest.raises(TableError, match=message):
        table.column(name)
    with pytest.raises(TableError, match=message):
        table.check_column(name)


@pytest.mark.parametrize("extension", [".csv", ".tsv", ".jsonl"])
def test_many_columns_take_linear_time(extension: str) -> None:
    """With a search for each column they took minutes; a second is enough."""
    names = [f"c{number}" for number in range(100_000)]
    if extension == ".jsonl":
        data = json.dumps(dict.fromkeys(names, "1")).encode()
    else:
        delimiter = "," if extension == ".csv" else "\t"
        data = "\n".join([delimiter.join(names), delimiter.join(["1"] * 100_000)]).encode()
    start = time.monotonic()
    table = parsed(data, extension)
    for name in table.single_columns():
        assert table.column(name) == ["1"]
        assert time.monotonic() - start < 20
    assert table.single_columns() == tuple(names)


def test_names_in_messages_are_short_and_few() -> None:
    """Without a header, a name may be a text."""
    secret = "a message that nobody but its reader should ever have to see"
    with pytest.raises(TableError, match=r"no column 'text'; available: 'a message that nobod…'$"):
        parsed(f"{secret}\nhello\n".encode()).column("text")
    names = [str(number) for number in range(23)]
    assert listed(names).endswith("'19' and 3 more")
    assert listed(names[:20]).endswith("'18', '19'")


def test_suggestion() -> None:
    assert suggestion("gren", ["blue", "green"]) == ", did you mean 'green'?"
    assert suggestion("green", ["green"]) == suggestion("xyz", ["green"]) == ""


# --- what cannot be read at all ---


@pytest.mark.parametrize("extension", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("data", [b"", b" \r\n\n", codecs.BOM_UTF8])
def test_an_empty_file_has_no_rows(extension: str, data: bytes) -> None:
    table = parsed(data, extension)
    assert (table.columns, list(table.lines), table.bad_rows) == ((), [], ())
    with pytest.raises(TableError, match="no column 'text'"):
        table.column("text")


def test_a_header_alone_has_no_rows() -> None:
    table = parsed(b"text,label\n")
    assert table.columns == ("text", "label")
    assert rows_of(table) == []


@pytest.mark.parametrize(
    ("extension", "data", "message"),
    [
        (".csv", b"text,label\nfine,ham\n\xa35,spam\n", r"line 3, byte 20 .* 0xa3\. Save .* UTF-8"),
        (".csv", codecs.BOM_UTF8 + b"text,label\n\xff", r"not UTF-8: line 2, byte 14 .* 0xff"),
        (".csv", "text,label\na,ham\n".encode("utf-16"), r"not UTF-8, but utf-16\. Give --enc"),
        (".csv", "text,label\na,ham\n".encode("utf-32"), r"not UTF-8, but utf-32\. "),
        (".csv", "text,label\na,ham\n".encode("utf-16-le"), r"not UTF-8, but utf-16-le\. "),
        (".csv", "text,label\na,ham\n".encode("utf-16-be"), r"not UTF-8, but utf-16-be\. "),
        (".csv", "text,label\nñandú ñandú,ham\n".encode("cp1252"), r"--encoding cp1252\.$"),
        (".csv", "text,label\nпривет всем,ham\n".encode("cp1251"), r"may be cp1251, gb18030 or"),
        (".jsonl", b'{"text": "a"}\r\n{"text": "\xe9"}', r"not UTF-8: line 2, byte 25 .* 0xe9"),
    ],
)
def test_another_encoding(extension: str, data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        parsed(data, extension)


@pytest.mark.parametrize(("extension", "write"), WRITERS[:4])
@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-16-le", "UTF-8", "utf-8-sig"])
def test_an_encoding_that_is_named(extension: str, write: Write, encoding: str) -> None:
    rows = [("£5 für dich", "ham"), ("naïve", "spam")]
    data = write(rows).decode().encode(encoding)
    table = parse(data, Path(f"table{extension}"), encoding=encoding)
    assert (table.columns, rows_of(table)) == (("text", "label"), rows)


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("utf9", r"table\.csv: 'utf9' is not an encoding of text files\. Encodings are, for"),
        ("hex", r"'hex' is not an encoding of text files"),
        ("rot13", r"'rot13' is not an encoding"),
        ("undefined", r"'undefined' is not an encoding"),
        ("idna", r"'idna' is not an encoding"),
        ("punycode", r"'punycode' is not an encoding"),
        ("unicode_escape", r"'unicode_escape' is not an encoding"),
        ("raw-unicode-escape", r"'raw-unicode-escape' is not an encoding"),
        ("a\0b", r"'a\\x00b' is not an encoding"),
        ("ascii", r"not ascii: line 3, byte 20 .* 0xc2\. Give another --encoding"),
        ("utf-32", r"not utf-32: line 1, byte "),
    ],
)
def test_an_encoding_that_does_not_suit(encoding: str, message: str) -> None:
    with pytest.raises(TableError, match=message):
        parse("text,label\nfine,ham\n£5,spam\n".encode(), Path("table.csv"), encoding=encoding)


ENCODINGS = sorted({module.name for module in pkgutil.iter_modules(encodings.__path__)})


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_bytes_in_any_encoding_are_read_or_refused(encoding: str) -> None:
    for data in (b"\xff\\x\n", b"a,b\n\\N{x}\\ud800,\x1b$\n", b"\xef\xbb\xbfa,b\n\x81,~{\n", b"+/"):
        try:
            table = parse(data, Path("table.csv"), encoding=encoding)
        except TableError as error:
            message = str(error)
            assert "--encoding" in message or "invalid CSV" in message
            assert message.isprintable()
        else:
            assert len(table.columns) > 0


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_encodings_with_one_byte_for_each_character(encoding: str) -> None:
    try:
        usual = single_byte_encoding(encoding)
    except DecodingError:
        assert not re.fullmatch("cp125.|iso8859.*|latin_1|koi8.*|mac_roman|utf_8", encoding)
    else:
        several = "utf_(7|16|32)|iso2022|hz|shift|euc|gb|big5|cp(037|9|1026|1140)|johab|idna|rot"
        assert not re.match(several, encoding)
        assert (usual is None) == encoding.startswith("utf_8")
        every = bytes(range(256))
        text = "".join(bytes([one]).decode(encoding, "surrogateescape") for one in every)
        assert text == every.decode(encoding, "surrogateescape") or usual is None


def test_a_wrong_byte_after_a_mark_is_counted_from_the_start_of_the_file() -> None:
    data = codecs.BOM_UTF8 + b"text,label\n\xff"
    with pytest.raises(TableError, match=r"not utf-8-sig: line 2, byte 14 .* 0xff"):
        parse(data, Path("table.csv"), encoding="utf-8-sig")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            b"PK\x03\x04\x14",
            r"table\.csv: it is a ZIP archive or a spreadsheet.* Export it as CSV\.",
        ),
        (b"\x1f\x8b\x08", r"compressed with gzip\. Add \.gz to its name\."),
        (b"PAR1\x15", r"a Parquet file\. Name it \.parquet\."),
    ],
)
def test_another_format_under_the_name_of_csv(data: bytes, message: str) -> None:
    with pytest.raises(TableError, match=message):
        parsed(data)


# --- delimiters ---


@pytest.mark.parametrize(
    ("delimiter", "name"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")]
)
def test_a_delimiter_that_the_header_shows(delimiter: str, name: str) -> None:
    rows = [(f"one, two{delimiter} three", "ham"), ("four", "spam")]
    table = parsed(to_csv(rows, delimiter))
    assert rows_of(table) == rows
    assert table.notes == (
        f"columns separated by {name}, as in the first line (--delimiter names another)",
    )


def test_a_comma_in_the_header_decides() -> None:
    assert parsed(b"text,a;b;c\nx,y\n").columns == ("text", "a;b;c")
    assert parsed(b'"a,b";label\nx;y\n').columns == ("a,b", "label")
    assert parsed(b"text\na;b\n").column("text") == ["a;b"]
    assert parsed(b"text,label\n").notes == ()


@pytest.mark.parametrize("delimiter", ["^", "tab", r"\t", "\t", ";"])
def test_a_delimiter_that_is_named(delimiter: str) -> None:
    character = "\t" if delimiter in {"tab", r"\t"} else delimiter
    for extension in (".csv", ".tsv"):
        table = parse(
            f"text{character}label\na,b{character}ham\n".encode(),
            Path(f"table{extension}"),
            delimiter=delimiter,
        )
        assert rows_of(table) == [("a,b", "ham")]
        assert table.notes == ()


@pytest.mark.parametrize("delimiter", ["", ";;", '"', "\n", "\0", "tabs"])
def test_what_cannot_be_a_delimiter(delimiter: str) -> None:
    with pytest.raises(TableError, match=r"is not one character .* Give --delimiter ';'"):
        parse(b"text,label\n", Path("table.csv"), delimiter=delimiter)


@pytest.mark.parametrize(
    ("name", "option", "message"),
    [
        ("a.jsonl", {"delimiter": ";"}, r"only CSV and TSV have a delimiter\. Omit --delimiter"),
        ("a.parquet", {"encoding": "cp1252"}, r"Parquet has no text encoding\. Omit --encoding"),
    ],
)
def test_an_option_of_another_format(name: str, option: dict[str, str], message: str) -> None:
    with pytest.raises(TableError, match=message):
        parse(b"", Path(name), **option)
    with pytest.raises(TableError, match=message):
        read(Path(name), **option)


# --- quotation marks ---


def test_in_tsv_a_quotation_mark_is_a_character_like_any_other() -> None:
    """As CSV, a mark at the start of a value would swallow the rows up to the next one."""
    rows = [
        (f'"{number} starts' if number % 20 == 7 else f'{number} of 6" pipe', "ham")
        for number in range(240)
    ]
    table = parsed(to_tsv(rows), ".tsv")
    assert rows_of(table) == rows
    assert list(table.lines) == list(range(2, 242))
    assert (table.bad_rows, table.notes) == ((), ())


@pytest.mark.parametrize("line_break", [b"\n", b"\r\n", b"\r"])
def test_any_line_break_ends_a_line_of_tsv(line_break: bytes) -> None:
    table = parsed(b'text\tlabel\n\n"a\tham\nbad\nb"\tspam\n'.replace(b"\n", line_break), ".tsv")
    assert rows_of(table) == [('"a', "ham"), ('b"', "spam")]
    assert list(table.lines) == [3, 5]
    assert table.bad_rows == (BadRow(4, "wrong number of fields: 1, but the header has 2"),)


def test_values_in_quotation_marks_in_tsv_are_noted() -> None:
    table = parsed(b'text\tlabel\n"a ""b"""\tham\n"c"\t"d"\n"\te\n', ".tsv")
    assert table.column("text") == ['"a ""b"""', '"c"', '"']
    (note,) = table.notes
    assert note.startswith("2 rows with a value in quotation marks: they belong to the value in")


def test_rows_of_several_lines_in_csv_are_noted() -> None:
    swallowed = [b'"starts,ham', *[b"swallowed,ham"] * 9, b'ends",ham']
    table = parsed(lines_with(b'"two\nlines",ham', *swallowed))
    assert len(table.lines) == 42
    assert table.notes == (
        "2 rows span several lines, in quotation marks (first: lines 22–23; longest: lines 24–34)",
    )
    one = parsed(b'text,label\n"a\n\nb",ham\n')
    assert one.notes == ("1 row spans several lines, in quotation marks (first: lines 2–4)",)


def test_a_bad_row_of_several_lines_names_the_last() -> None:
    table = parsed(b'text,label\n"a,ham\nb,ham\nc"\nd,ham\n')
    (bad,) = table.bad_rows
    assert bad == BadRow(
        2, "wrong number of fields: 1, but the header has 2 (the row goes on to line 4)"
    )


def test_a_value_that_is_too_long() -> None:
    limit = csv.field_size_limit()
    table = parsed(lines_with(b"x" * (limit + 1) + b",ham", b"x" * limit + b",ham"))
    assert table.bad_rows == (
        BadRow(22, f"invalid CSV: a value of more than {limit:,} characters"),
    )
    assert len(table.lines) == 41
    assert len(parsed(to_tsv([("x" * limit * 2, "ham")]), ".tsv").lines) == 1


# --- compressed files and JSON ---

PACKED = gzip.compress(to_csv(ROWS), mtime=0)


@pytest.mark.parametrize(("extension", "write"), WRITERS[:4])
def test_a_compressed_file(extension: str, write: Write) -> None:
    data = gzip.compress(write(ROWS[:10])) + gzip.compress(b"\n")  # of several members
    table = parsed(data, f"{extension}.gz")
    assert rows_of(table) == ROWS[:10]
    assert table.sha256 == hashlib.sha256(data).hexdigest()


def test_an_encoding_inside_a_compressed_file() -> None:
    data = gzip.compress("text;label\n£;ham\n".encode("cp1252"))
    table = parse(data, Path("a.csv.gz"), encoding="cp1252", delimiter=";")
    assert rows_of(table) == [("£", "ham")]


@pytest.mark.parametrize(
    "data",
    [
        b"text,label\n",
        PACKED[:-9],
        PACKED[:20],
        PACKED[:30] + b"0" * 20,
        PACKED + b"rest",
    ],
    ids=["plain text", "no checksum", "half", "damaged", "more after the end"],
)
def test_damaged_gzip(data: bytes) -> None:
    with pytest.raises(TableError, match=r"^table\.csv\.gz: damaged or incomplete gzip: .+\.$"):
        parsed(data, ".csv.gz")


def test_a_compressed_file_of_any_size_takes_bounded_memory() -> None:
    """Two megabytes that would unpack to two gigabytes."""
    program = (
        "import gzip, resource, sys; from pathlib import Path\n"
        "from dandelion import tables\n"
        "from dandelion.tables import decoding\n"
        "decoding.MAX_UNPACKED_BYTES = 10**7\n"
        "member = gzip.compress(bytes(2 * 10**7))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n    tables.parse(member * 100, Path('a.csv.gz'))\n"
        "except tables.TableError as error:\n    print(error, file=sys.stderr)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "a.csv.gz: holds more than 10,000,000 bytes, the most that is unpacked" in done.stderr
    assert int(done.stdout) < 50_000  # kilobytes


def test_a_json_array() -> None:
    rows = [{"text": text, "label": label} for text, label in ROWS]
    table = parsed(json.dumps([*rows, 7, *rows], indent=1).encode(), ".json")
    assert rows_of(table) == [*ROWS, *ROWS]
    assert (table.unit, table.lines[20]) == ("row", 22)
    assert table.bad_rows == (BadRow(21, "not a JSON object", "row"),)
    assert rows_of(parsed(to_json_lines(ROWS), ".json")) == ROWS


@pytest.mark.parametrize("text", ['[{"text": "a"},\n{"text": ]', "[" * 100_000])
def test_a_json_array_that_is_not_valid(text: str) -> None:
    with pytest.raises(TableError, match=r"table\.json: invalid JSON.* Write one array of objects"):
        parsed(text.encode(), ".json")


def test_a_header_that_is_not_csv() -> None:
    with pytest.raises(TableError, match="the first line, which names the columns, is invalid CSV"):
        parsed(b'"text"s,label\na,ham\n')


@pytest.mark.parametrize("data", [b"no parquet", to_parquet(ROWS)[:-9]])
def test_what_is_not_parquet(data: bytes) -> None:
    with pytest.raises(TableError, match=r"table\.parquet: invalid Parquet file: "):
        parsed(data, ".parquet")


def test_parquet_with_two_columns_of_one_name() -> None:
    arrays = [pa.array([value] * 20) for value in "abc"]
    written = pa.Table.from_arrays(arrays, names=["v1", "v1", "v2"])
    table = parsed(parquet_bytes(written), ".parquet")
    with pytest.raises(TableError, match=r"more than one column 'v1'; available: 'v1', 'v1', 'v2'"):
        table.column("v1")
    assert table.column("v2") == ["c"] * 20


@pytest.mark.parametrize(
    "values",
    [
        pa.array([2**62], pa.timestamp("us")),
        pa.array([2**30], pa.date32()),
        pa.array([86_400_000 * 2**30], pa.date64()),
        pa.array([2**62], pa.duration("s")),
        pa.array([1], pa.timestamp("us", "Nowhere/At_All")),
        pa.StructArray.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]),
    ],
    ids=lambda values: str(values.type),
)
def test_parquet_with_values_that_python_lacks(values: pa.Array) -> None:
    table = parsed(parquet_bytes(pa.table({"text": ["a"], "at": values})), ".parquet")
    assert table.column("text") == ["a"]
    with pytest.raises(TableError, match=r"the column 'at' contains values of the type ") as caught:
        table.column("at")
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith("Write it again, as strings or numbers.")


def test_parquet_with_strings_of_another_encoding() -> None:
    texts = pa.array([b"\xff"] * 2).view(pa.string())
    table = parsed(columns_to_parquet({"text": texts, "label": ["ham", "spam"]}), ".parquet")
    with pytest.raises(TableError, match="column 'text' contains strings that are not UTF-8"):
        table.column("text")


def test_parquet_without_pyarrow_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(
        TableError, match=r"needs pyarrow\. Install it: .*pip install 'pyarrow>=18'"
    ):
        parsed(to_parquet(ROWS), ".parquet")


def test_only_parquet_imports_pyarrow() -> None:
    program = (
        "import sys; from pathlib import Path; from dandelion.tables import parse; "
        "parse(b'text', Path('a.csv')); print({'pyarrow', 'pandas'} & set(sys.modules))"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr


@pytest.mark.parametrize("name", ["mine.xlsx", "mine.XLS", "mine.ods", "mine.xlsx.gz"])
def test_a_spreadsheet(name: str) -> None:
    with pytest.raises(TableError, match=rf"{name}: spreadsheets are not read\. Export it as CSV"):
        read(Path(name))


@pytest.mark.parametrize("name", ["mine.txt", "mine", "mine.gz", ".csv", "mine.parquet.gz"])
def test_an_unsupported_extension(name: str) -> None:
    supported = (
        r"supported: \.csv, \.tsv, \.jsonl, \.ndjson, \.json, \.parquet, and all but the last "
        r"with \.gz\. Rename"
    )
    with pytest.raises(TableError, match=rf"{name}: unsupported extension .*; {supported}"):
        parse(to_csv(ROWS), Path(name))
    with pytest.raises(TableError, match="unsupported extension"):
        read(Path(name))


def test_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.csv").write_bytes(to_csv(ROWS))
    table = read(tmp_path / "mine.csv")
    assert table.path == tmp_path / "mine.csv"
    assert rows_of(table) == ROWS


def test_an_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(
        TableError, match=r"mine\.csv: cannot be read: No such file.* Check the path"
    ):
        read(tmp_path / "mine.csv")
    (tmp_path / "mine.csv").mkdir()
    with pytest.raises(TableError, match=r"mine\.csv: cannot be read: (Is a d|not a regular file)"):
        read(tmp_path / "mine.csv")


def test_what_has_no_end_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "zeros.csv").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe.csv")
    for name in ("zeros.csv", "pipe.csv"):
        with pytest.raises(
            TableError, match=rf"{name}: cannot be read: not a regular file\. Check"
        ):
            read(tmp_path / name)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(3_000_000_000)  # takes no space
    with pytest.raises(TableError, match=r"larger than 2000000000 bytes\. Use a part of it\."):
        read(tmp_path / "huge.csv")
