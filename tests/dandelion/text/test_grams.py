"""Grams against the plain reference."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dandelion.text.characters import TextBatch
from dandelion.text.grams import GAP, MAX_BITS, MAX_CHARS, Features, encode, spans

from ..strategies import ANY_TEXT, ANY_TEXTS
from . import reference

EVERYTHING = Features(bits=18, chars=(2, 5), words=3, signs=True, shapes=True, surface=True)
NOTHING: dict[str, Any] = {
    "bits": 18,
    "chars": None,
    "words": 0,
    "signs": False,
    "shapes": False,
    "surface": False,
}


def only(**switched_on: Any) -> Features:
    return Features(**NOTHING | switched_on)


@st.composite
def any_features(draw: st.DrawFn) -> Features:
    chars = st.tuples(st.integers(2, MAX_CHARS), st.integers(2, MAX_CHARS)).map(sorted).map(tuple)
    features = {
        "bits": draw(st.integers(1, MAX_BITS)),
        "chars": draw(st.none() | chars),
        "words": draw(st.integers(0, 3)),
        "signs": draw(st.booleans()),
        "shapes": draw(st.booleans()),
    }
    if not any(value for name, value in features.items() if name != "bits"):
        features["words"] = 1
    return only(**features)


def buckets(texts: list[str], features: Features) -> list[Counter[int]]:
    """Count the buckets of each text."""
    batch = encode(TextBatch(texts), features)
    ids, rows = batch.pairs()
    assert batch.ids.dtype == ids.dtype == rows.dtype == np.int32
    assert batch.counts.dtype == np.int64
    counts: list[Counter[int]] = [Counter() for _ in texts]
    for bucket, row in zip(ids.tolist(), rows.tolist(), strict=True):
        counts[row][bucket] += 1
    assert batch.counts.tolist() == [count.total() for count in counts]
    return counts


def expected(text: str, features: Features) -> Counter[int]:
    return Counter(
        reference.bucket(gram, features.bits) for gram in reference.grams(text, features)
    )


@example([], EVERYTHING)
@example([""], EVERYTHING)
@example(["", "", ""], EVERYTHING)
@example([" \n\0\u3000", "a", " "], EVERYTHING)
@example(["a", "", "!"], only(chars=(MAX_CHARS, MAX_CHARS), words=3, signs=True, shapes=True))
@example([" a ", " b"], only(chars=(2, 2)))
@example(["\ud800", "\udc00"], EVERYTHING)  # no pairs across texts
@given(ANY_TEXTS, any_features())
def test_agrees_with_the_reference(texts: list[str], features: Features) -> None:
    assert buckets(texts, features) == [expected(text, features) for text in texts]


@example("a b !c", EVERYTHING)
@given(ANY_TEXT, any_features())
def test_spans_are_where_each_gram_stands(text: str, features: Features) -> None:
    batch = TextBatch([text])
    is_gram = encode(batch, features).ids < GAP
    padded = f" {batch.texts[0]} "
    starts, stops = spans(batch, features)
    assert len(starts) == len(stops) == len(is_gram)

    found = zip(starts[is_gram].tolist(), stops[is_gram].tolist(), strict=True)
    for (start, stop), (family, parts) in zip(found, reference.grams(text, features), strict=True):
        covered = reference.lower(padded[start:stop])
        if family <= MAX_CHARS:
            assert "".join(one if reference.is_visible(one) else " " for one in covered) == parts[0]
        elif family == 30:
            assert reference.shape(padded[start:stop]) == parts[0]
        else:
            assert covered.startswith(parts[0])
            assert covered.endswith(parts[-1])


@given(ANY_TEXTS.filter(bool), st.data())
def test_grams_do_not_depend_on_the_other_texts(texts: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.lists(st.sampled_from(texts), max_size=8))
    alone = {text: buckets([text], EVERYTHING)[0] for text in texts}
    assert buckets(chosen, EVERYTHING) == [alone[text] for text in chosen]


@given(ANY_TEXT)
def test_each_switch_adds_its_grams(text: str) -> None:
    parts = [only(chars=(2, 5)), only(words=3), only(signs=True), only(shapes=True)]
    found: Counter[int] = sum((buckets([text], part)[0] for part in parts), Counter())
    assert found == buckets([text], EVERYTHING)[0]


@given(ANY_TEXT, st.integers(1, MAX_BITS))
def test_fewer_bits_halve_the_buckets(text: str, bits: int) -> None:
    few, many = (
        encode(TextBatch([text]), only(words=2, signs=True, bits=bits)).pairs()[0]
        for bits in (bits, MAX_BITS)
    )
    np.testing.assert_array_equal(few, many >> (MAX_BITS - bits))


# A change to any of these invalidates every wide artifact and needs a new format version.
GOLDEN = [
    (
        "Ab c",
        {"chars": (2, 2)},
        {" a": 147164, "ab": 67078, "b ": 180701, " c": 177734, "c ": 21015},
    ),
    ("Ab c", {"chars": (3, 4)}, {" ab": 72695, "ab ": 143663, " c ": 190595, " ab ": 33201}),
    ("ΣΑΣ 中", {"chars": (3, 3)}, {" σα": 181145, "σασ": 247859, "ασ ": 225652, " 中 ": 70965}),
    ("So a_b, 007", {"words": 1}, {"so": 52549, "a_b": 239521, "007": 56879}),
    (
        "So a_b, 007",
        {"words": 3},
        {
            "so": 52549,
            "a_b": 239521,
            "007": 56879,
            "so+a_b": 165346,
            "a_b+007": 160366,
            "so+a_b+007": 111242,
        },
    ),
    (
        "Hi! £5 😂",
        {"signs": True},
        {
            "!": 168081,
            "£": 43608,
            "😂": 54517,
            "hi+!": 93879,
            "!+£": 34436,
            "£+5": 79740,
            "5+😂": 63306,
        },
    ),
    ("Call 0800-NOW ßᾈ\n", {"shapes": True}, {"Xxxx": 183209, "9999-XXX": 482, "xx": 104241}),
]


@pytest.mark.parametrize(("text", "switched_on", "grams"), GOLDEN)
def test_golden(text: str, switched_on: dict[str, Any], grams: dict[str, int]) -> None:
    features = only(**switched_on)
    assert ["+".join(parts) for _, parts in reference.grams(text, features)] == list(grams)
    assert buckets([text], features) == [Counter(grams.values())]


def test_golden_with_few_buckets() -> None:
    features = only(bits=4, chars=(2, 2), words=1, signs=True, shapes=True)
    ids, _ = encode(TextBatch(["Hi!"]), features).pairs()
    assert sorted(ids.tolist()) == [1, 2, 3, 5, 5, 8, 10, 13]


@pytest.mark.parametrize("unit", ["a", "a ", "!", "aB9_", "\n", "\ufdfa"])
def test_a_long_text(unit: str) -> None:
    text = unit * 2000
    assert buckets([text], EVERYTHING) == [expected(text, EVERYTHING)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"bits": 0}, "bits is 0; expected 1 to 22"),
        ({"bits": 23}, "bits is 23; expected 1 to 22"),
        ({"chars": (1, 3)}, r"chars is \[1, 3\]; expected .* from 2 to 8"),
        ({"chars": (4, 3)}, r"chars is \[4, 3\]"),
        ({"chars": (2, 9)}, r"chars is \[2, 9\]"),
        ({"words": -1}, "words is -1; expected 0 to 3"),
        ({"words": 4}, "words is 4; expected 0 to 3"),
        (NOTHING | {"surface": True}, "no gram is enabled"),
    ],
)
def test_refuses_features(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Features(**asdict(EVERYTHING) | changes)


@given(any_features())
def test_features_survive_json(features: Features) -> None:
    assert Features.from_json(json.loads(json.dumps(asdict(features)))) == features


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"more": 1}, "expected the fields bits, chars, words, signs, shapes, surface"),
        ({"bits": 18.0}, r"are \[18.0, 3, 2, 5\]; expected integers"),
        ({"words": True}, "expected integers"),
        ({"chars": ["2", "5"]}, "expected integers"),
        ({"chars": 3}, r"chars is 3; expected \[shortest, longest\] or null"),
        ({"chars": [2, 3, 4]}, r"chars is \[2, 3, 4\]; expected"),
        ({"chars": [2, 9]}, r"from 2 to 8"),
        ({"signs": 1}, r"signs, shapes, surface are \[1, True, True\]; expected true or false"),
        ({"surface": None}, "expected true or false"),
    ],
)
def test_refuses_json(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Features.from_json(asdict(EVERYTHING) | changes)


@pytest.mark.parametrize("values", [None, [], "bits", {}, {"bits": 3}])
def test_refuses_other_json(values: Any) -> None:
    with pytest.raises(ValueError, match="expected the fields bits, chars"):
        Features.from_json(values)
