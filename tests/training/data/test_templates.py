"""Texts from templates."""

import re
from collections import Counter

import pytest

from training.data.splits import group_key
from training.data.templates import NAMES, Name, Part, templates, texts, texts_by_template

PARTS: tuple[Part, ...] = ("train", "held_out")


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("service_messages", 60),
        ("personal_messages", 45),
        ("scam_messages", 40),
        ("profanity", 36),
        ("insults", 24),
        ("identity_mentions", 30),
        ("identity_hate", 28),
    ],
)
def test_there_are_enough_templates_and_about_a_third_is_held_out(name: Name, least: int) -> None:
    counts = {part: len(templates(name, part)) for part in PARTS}

    assert sum(counts.values()) >= least
    assert 0.28 <= counts["held_out"] / sum(counts.values()) <= 0.38


def test_no_template_stands_twice() -> None:
    counts = Counter(
        group_key(template)
        for name in NAMES
        for part in PARTS
        for template in templates(name, part)
    )

    assert max(counts.values()) == 1


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_every_slot_is_filled(name: Name, part: Part) -> None:
    found = texts(name, part, per_template=40)

    assert not [text for text in found if re.search(r"[][{}|]|##|\s\s|^\s|\s$|[^<]#", text)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", PARTS)
def test_equal_arguments_give_equal_texts_and_another_seed_gives_others(
    name: Name, part: Part
) -> None:
    first = texts(name, part, seed=1, per_template=5)

    assert first == texts(name, part, seed=1, per_template=5)
    assert first != texts(name, part, seed=2, per_template=5)


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_different_and_as_many_as_asked_for(name: Name) -> None:
    found = texts(name, "train", per_template=3)

    assert len(set(found)) == len(found)
    assert 2 * len(templates(name, "train")) < len(found) <= 3 * len(templates(name, "train"))


@pytest.mark.parametrize("name", NAMES)
def test_by_template_the_texts_are_the_same(name: Name) -> None:
    found = texts_by_template(name, "held_out", seed=3, per_template=4)

    assert list(found) == templates(name, "held_out")
    assert [text for some in found.values() for text in some] == texts(name, "held_out", 3, 4)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_held_out_shares_no_text_with_training(name: Name) -> None:
    train, held_out = ({group_key(text) for text in texts(name, part)} for part in PARTS)

    assert not train & held_out


def test_some_texts_are_in_lower_case_and_some_lack_their_last_stop() -> None:
    found = texts("service_messages", "train", per_template=60)
    thanks = [text for text in found if text.startswith("Your rent of")]

    assert 0.05 < sum(text == text.lower() for text in found) / len(found) < 0.25
    assert {text[-1] for text in thanks} == {".", "u"}


@pytest.mark.parametrize("word", ["damn", "crap", "hell", "shit"])
def test_a_swear_word_alone_decides_nothing(word: str) -> None:
    for name in ("profanity", "insults"):
        found = [text for text in texts(name, "train") if re.search(rf"\b{word}\b", text.lower())]
        assert len(found) > 5, name


def test_senders_of_frauds_are_those_of_services() -> None:
    banks = re.compile("Northvale Bank|Kestrel Money|Wren Express|PayNest")

    for name in ("service_messages", "scam_messages"):
        assert {match[0] for text in texts(name, "train") for match in banks.finditer(text)} == set(
            banks.pattern.split("|")
        ), name


def test_whom_a_text_names_decides_nothing() -> None:
    """Every group is in harmless and in hateful texts, about as often."""
    group = re.compile(r"\b(?:muslim|jew|hindu|black|latino|arab|sikh|catholic)")
    counts = [
        Counter(
            match[0]
            for text in texts(name, "train", per_template=60)
            for match in group.finditer(text)
        )
        for name in ("identity_mentions", "identity_hate")
    ]

    assert len(counts[0]) == len(counts[1]) == 8
    assert all(0.5 < counts[0][one] / counts[1][one] < 2 for one in counts[0])


def test_groups_that_measure_what_was_learnt_are_in_no_template() -> None:
    left_out = re.compile(
        r"\b(?:gay|lesbian|trans|blind|deaf|disabled|old|young|polish|turk)", re.IGNORECASE
    )

    for name in ("identity_mentions", "identity_hate"):
        assert not [text for text in texts(name, "train") if left_out.search(text)]
