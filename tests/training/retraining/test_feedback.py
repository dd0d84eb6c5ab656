"""Files of feedback become rows; what cannot be read is named, never quoted."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from training.errors import DatasetError
from training.retraining.feedback import Columns, Feedback, read

from .examples import NAMES, write_rows

ID = "9b2f7c1e4d8a4f03b6c5e2a1d7f08394.0"


def of(tmp_path: Path, *rows: Mapping[str, object], columns: Columns | None = None) -> Feedback:
    return read([write_rows(tmp_path / "f.jsonl", rows)], NAMES, columns or Columns())


def test_every_column_is_read(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        {"text": "a b", "label": "spam", "id": ID, "decision": "review", "weight": 2.5},
        {"text": "c d", "label": 0, "source": "Appeals, 2026", "decision": "ham", "score": 0.2},
        {"text": "e f", "label": True, "decision": None, "variant": "x"},
    )
    assert found.labels.tolist() == [1, 0, 1]
    assert found.weights.tolist() == [2.5, 1, 1]
    assert found.sources == ("feedback", "feedback_appeals_2026", "feedback")
    assert found.was_flagged == (True, False, None)
    assert found.ids == (ID, None, None)
    assert found.places[1].endswith("f.jsonl, line 2")
    assert found.files[0].name == "f.jsonl"


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl"])
def test_every_format_gives_the_same_rows(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"f{suffix}"
    rows = [("one two", "spam", "3"), ("three four", "ham", "")]
    if suffix == ".jsonl":
        lines = [
            json.dumps(dict(zip(("text", "label", "weight"), row, strict=True))) for row in rows
        ]
    else:
        between = "\t" if suffix == ".tsv" else ","
        lines = [between.join(row) for row in [("text", "label", "weight"), *rows]]
    path.write_text("\n".join(lines))
    found = read([path], NAMES, Columns())
    assert (found.texts, found.weights.tolist()) == (("one two", "three four"), [3.0, 1.0])


def test_rows_without_text_or_label_are_counted(tmp_path: Path) -> None:
    found = of(
        tmp_path,
        {"text": "a", "label": "spam"},
        {"text": "", "label": "spam"},
        {"text": "b", "label": ""},
    )
    assert (len(found.texts), found.unreadable, found.unlabelled) == (1, 1, 1)
    assert found.notes == ("f.jsonl: line 2: no text",)


def test_labels_of_the_file_s_own_are_mapped(tmp_path: Path) -> None:
    rows = [{"body": "a b", "verdict": "junk"}, {"body": "c d", "verdict": "fine"}]
    found = of(tmp_path, *rows, columns=Columns("body", "verdict", "junk"))
    assert found.labels.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": "scam"}, "line 1: the label is 'scam'; expected 'ham', 'spam'"),
        ({"label": "scam"}, "name the positive one: --add-positive"),
        ({"weight": 0}, "line 1: 'weight' is '0'; expected a number above 0"),
        ({"weight": "many"}, "'weight' is 'many'"),
        ({"decision": "maybe"}, "'decision' is 'maybe'; expected 'positive', 'review'"),
        ({"id": "17"}, "'id' is '17'; expected an id of the decision record"),
    ],
)
def test_wrong_values_are_refused_by_their_place(
    tmp_path: Path, row: dict[str, object], message: str
) -> None:
    with pytest.raises(DatasetError, match=message) as error:
        of(tmp_path, {"text": "secret words", "label": "spam", **row})
    assert "secret" not in str(error.value)


def test_too_many_sources_and_a_missing_file_are_refused(tmp_path: Path) -> None:
    rows = [{"text": "a b", "label": 1, "source": f"s{number}"} for number in range(11)]
    with pytest.raises(DatasetError, match="has 11 names; expected at most 10"):
        of(tmp_path, *rows)
    with pytest.raises(DatasetError, match="cannot be read"):
        read([tmp_path / "none.csv"], NAMES, Columns())
