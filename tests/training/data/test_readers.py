"""From the bytes of public collections to texts and labels."""

import pytest

from training.data import readers


def test_columns_of_labels_in_any_case() -> None:
    read = readers.columns("TEXT", "LABEL", harmless=("ham",), flagged=("spam", "smishing"))
    texts, labels = read({"": b"LABEL,TEXT\nham,a\nSpam,null\n smishing,NA\nother,d\n"})
    assert texts == ["a", "null", "NA"]
    assert labels.tolist() == [0, 1, 1]
    with pytest.raises(ValueError, match=r"its columns \['LABEL'\] lack TEXT"):
        read({"": b"LABEL\nham\n"})


def test_the_members_follow_each_other() -> None:
    read = readers.columns("t", "l", harmless=("0",), flagged=("1",))
    texts, labels = read({"b": b"t,l\nx,1\n", "a": b"l,t\n0,y\n"})
    assert (texts, labels.tolist()) == (["x", "y"], [1, 0])


def test_lost_characters_are_removed() -> None:
    read = readers.without_replacements(readers.read_sms)
    texts, labels = read({"": "ham\tcosts \ufffd5\n".encode()})
    assert (texts, labels.tolist()) == (["costs 5"], [0])


def test_votes_decide_by_majority() -> None:
    votes = {1: "TTF", 2: "FFT", 3: "TF", 4: "FFF"}
    rows = [
        f"{comment},{'True' if vote == 'T' else 'False'}"
        for comment, found in votes.items()
        for vote in found
    ]
    members = {
        "annotations.csv": "\n".join(["comment_id,not toxic", *rows]).encode(),
        "comments.csv": b"comment_id,comment_text\n4,four\n3,tie\n1,one\n2,two\n5,no vote\n",
    }
    texts, labels = readers.read_civil(members)
    assert texts == ["four", "one", "two"]
    assert labels.tolist() == [1, 0, 1]


def test_a_text_counts_once_by_the_majority_of_its_annotations() -> None:
    header = "user,is_abuse.0,is_abuse.-1,is_abuse.-2,is_abuse.-3"
    rows = [
        "hi,1,0,0,0",
        "you,0,1,0,0",
        "you,0,0,0,1",
        "you,0,0,0,0",
        "half,0,0,1,0",
        "half,1,0,0,0",
    ]
    texts, labels = readers.read_convabuse({"": "\n".join([header, *rows]).encode()})
    assert texts == ["hi", "you", "half"]
    assert labels.tolist() == [0, 1, 0]


def test_sentences_in_files() -> None:
    table = b"file_id,label\n2_1,hate\n1_1,noHate\n3_1,relation\n4_1,idk/skip\n"
    members = {
        "x/annotations_metadata.csv": table,
        "x/all_files/1_1.txt": b"one\n",
        "x/all_files/2_1.txt": b"two",
    }
    texts, labels = readers.read_stormfront(members)
    assert (texts, labels.tolist()) == (["two", "one"], [1, 0])
    del members["x/all_files/1_1.txt"]
    with pytest.raises(ValueError, match=r"1 files are missing, the first is 1_1\.txt"):
        readers.read_stormfront(members)


def test_sentences_that_differ_in_the_identity_are_a_family() -> None:
    texts = [
        "Ann is a nice baker",
        "Ann is a nice old baker",
        "Ann is a kind baker",
        "Bob is a nice baker",
        "You are a nice baker",
        "You are a nice old baker",
        "Being old is nice.",
        "Being very old is nice.",
        "i like bakers",
        "i like old bakers",
        "hug bakers",
        "hug old bakers",
    ]
    families = readers.madlib_families(texts)
    numbers = {family: number for number, family in enumerate(dict.fromkeys(families))}
    assert [numbers[family] for family in families] == [0, 0, 1, 2, 3, 3, 4, 4, 5, 5, 6, 6]
