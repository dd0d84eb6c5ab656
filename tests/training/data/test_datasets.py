"""Reading the data sets."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from training.data import datasets
from training.data.datasets import SOURCES, Source
from training.errors import DatasetError

from ..conftest import write_archive


@pytest.mark.parametrize(
    ("model", "task", "counts"),
    [
        ("spam", "binary", {"ham": 4_827, "spam": 747}),
        ("cyberbullying", "binary", {"not_cyberbullying": 7_945, "cyberbullying": 39_747}),
        (
            "cyberbullying_type",
            "multiclass",
            {
                "not_cyberbullying": 7_945,
                "age": 7_992,
                "ethnicity": 7_961,
                "gender": 7_973,
                "other_cyberbullying": 7_823,
                "religion": 7_998,
            },
        ),
    ],
)
def test_real_sets(data_dir: Path, model: str, task: str, counts: dict[str, int]) -> None:
    dataset = datasets.load(model, data_dir)
    assert dataset.task == task
    assert dataset.label_names == tuple(counts)
    assert np.bincount(dataset.labels).tolist() == list(counts.values())
    assert len(dataset.texts) == len(dataset.labels)
    assert dataset.labels.dtype == np.int64
    assert dataset.sha256 == datasets.SOURCES[model].sha256
    assert dataset.label_names == datasets.SOURCES[model].label_names
    assert all(isinstance(text, str) for text in dataset.texts)


def test_cyberbullying_keeps_every_text_a_text() -> None:
    data = b'tweet_text,cyberbullying_type\nnull,age\nNA,not_cyberbullying\n"a\nb",religion\n'
    texts, labels = SOURCES["cyberbullying"].read({"data": data})
    assert texts == ["null", "NA", "a\nb"]
    assert labels.tolist() == [1, 0, 1]


def test_quotation_marks_in_messages_are_part_of_them() -> None:
    data = b'ham\t"one\nspam\ttwo\nham\tthree"\nham\t"four"\r\n'
    texts, labels = SOURCES["spam"].read({"data": data})
    assert texts == ['"one', "two", 'three"', '"four"']
    assert labels.tolist() == [0, 1, 0, 0]


def test_types_of_cyberbullying() -> None:
    header = b"tweet_text,cyberbullying_type\n"
    rows = b"a,religion\nnull,not_cyberbullying\nb,other_cyberbullying\nc,age\n"
    texts, labels = SOURCES["cyberbullying_type"].read({"data": header + rows})
    assert texts == ["a", "null", "b", "c"]
    assert labels.tolist() == [5, 0, 4, 1]
    assert labels.dtype == np.int64
    with pytest.raises(ValueError, match=r"the type of tweet 2 is none of not_cyberbullying, age"):
        SOURCES["cyberbullying_type"].read({"data": header + b"a,age\nb,Age\nc,gender\n"})


def test_both_cyberbullying_models_read_one_archive(data_dir: Path) -> None:
    binary, types = (datasets.load(f"cyberbullying{suffix}", data_dir) for suffix in ("", "_type"))
    assert binary.texts == types.texts
    assert binary.sha256 == types.sha256
    assert np.array_equal(binary.labels, types.labels > 0)


@pytest.mark.filterwarnings("ignore:.*not the known file")
def test_every_class_must_be_there(tmp_path: Path) -> None:
    source = datasets.SOURCES["cyberbullying_type"]
    present = [name for name in source.label_names if name not in {"gender", "religion"}]
    rows = "".join(f"text,{name}\n" for name in present)
    write_archive(
        tmp_path / source.file,
        source.members[0],
        f"tweet_text,cyberbullying_type\n{rows}".encode(),
    )
    with pytest.raises(DatasetError, match=r"no text of the class gender, religion;.*download"):
        datasets.load("cyberbullying_type", tmp_path)
    assert datasets.load("cyberbullying", tmp_path).labels.tolist() == [0, 1, 1, 1]


def test_sms_keeps_tabs_and_refuses_other_lines() -> None:
    texts, labels = SOURCES["spam"].read({"data": "ham\ta\tb\r\nspam\t£5\n".encode()})
    assert texts == ["a\tb", "£5"]
    assert labels.tolist() == [0, 1]
    with pytest.raises(ValueError, match="line 2 is not 'ham' or 'spam'"):
        SOURCES["spam"].read({"data": b"ham\ta\neggs\tb\n"})


def test_unknown_model() -> None:
    with pytest.raises(DatasetError, match="unknown model 'soup'; available models: spam"):
        datasets.load("soup")


def test_a_missing_file_names_itself_and_the_command(tmp_path: Path) -> None:
    with pytest.raises(
        DatasetError,
        match=r"sms_spam_collection\.zip: no such file.*training download --model spam.*DATA_DIR",
    ):
        datasets.load("spam", tmp_path)


def test_an_unknown_file_is_used_with_a_warning(tiny: Source, tmp_path: Path) -> None:
    write_archive(tmp_path / "tiny.zip", tiny.members[0], b"ham\ta\nspam\tb\n")
    with pytest.warns(UserWarning, match="not the known file .*Figures will differ"):
        dataset = datasets.load("tiny", tmp_path)
    assert dataset.texts == ("a", "b")


@pytest.mark.filterwarnings("ignore:.*not the known file")
@pytest.mark.parametrize(
    ("member", "data", "message"),
    [
        ("other.tsv", b"ham\ta\n", "does not contain 'tiny.tsv'"),
        ("tiny.tsv", b"ham\ta\n", "contains no text of the class spam; every class"),
        ("tiny.tsv", b"eggs\ta\n", "line 1 is not"),
        ("tiny.tsv", b"ham\t\xff\n", "cannot be read"),
    ],
)
def test_unusable_files(
    tiny: Source, tmp_path: Path, member: str, data: bytes, message: str
) -> None:
    write_archive(tmp_path / "tiny.zip", member, data)
    with pytest.raises(DatasetError, match=message):
        datasets.load("tiny", tmp_path)


def test_what_is_not_a_zip(tiny: Source, tmp_path: Path) -> None:
    (tmp_path / "tiny.zip").write_bytes(b"no archive")
    with pytest.raises(DatasetError, match=r"not a readable ZIP archive.*training download"):
        datasets.load("tiny", tmp_path)


def test_a_flipped_byte_is_told(tiny: Source, tmp_path: Path) -> None:
    whole = (tmp_path / "data" / "tiny.zip").read_bytes()
    for position in range(40, 120, 3):
        flipped = bytearray(whole)
        flipped[position] ^= 0xFF
        (tmp_path / "tiny.zip").write_bytes(flipped)
        with pytest.raises(DatasetError, match=r"not a readable ZIP archive|does not contain"):
            datasets.load("tiny", tmp_path)


def test_sources_are_described() -> None:
    for source in datasets.SOURCES.values():
        assert all(url.startswith("https://") for url in source.urls)
        assert "CC BY 4.0" in source.licence
        assert len(source.sha256) == len(hashlib.sha256().hexdigest())
