"""The public collections, and mixtures of them."""

from pathlib import Path

import numpy as np
import pytest

from training.configuration import SourceChoice, parse
from training.data import sources
from training.data.near_copies import group_key, groups
from training.data.sources import SOURCES
from training.data.splits import Protocol, split
from training.errors import ConfigurationError, DatasetError

# Source → harmless and flagged texts, as published.
COUNTS = {
    "sms_spam": (4_827, 747),
    "cyberbullying_tweets": (7_945, 39_747),
    "davidson": (4_163, 1_430),
    "davidson_harmless": (4_163, 0),
    "davidson_offensive": (0, 19_190),
    "civil_comments": (4_796, 11_275),
    "civil_harmless": (4_796, 0),
    "wikipedia_talk": (1_244, 248),
    "wikipedia_harmless": (1_244, 0),
    "wikipedia_context": (19_790, 210),
    "wikipedia_context_harmless": (19_790, 0),
    "convabuse": (2_467, 446),
    "madlibs": (38_282, 38_282),
    "stormfront": (9_507, 1_196),
    "mishra_soni": (4_844, 1_127),
    "youtube_spam": (951, 1_005),
    "sms_ham": (4_827, 0),
    "speeches": (32, 0),
}


def available(directory: Path, *names: str) -> list[SourceChoice]:
    """Choose sources, or skip the test if a file is not there."""
    for name in names:
        if not (directory / SOURCES[name].file).is_file():
            pytest.skip(f"{SOURCES[name].file} is not there")
    # Measure-only sources are no choice of a configuration, but may be read.
    return [SourceChoice.model_construct(name=name) for name in names]


@pytest.mark.parametrize("name", COUNTS)
def test_real_sources(data_dir: Path, name: str) -> None:
    dataset = sources.load(available(data_dir, name), "any", data_dir)
    assert tuple(np.bincount(dataset.labels, minlength=2).tolist()) == COUNTS[name]
    assert dataset.labels.dtype == np.int64
    assert all(text.strip() for text in dataset.texts)
    assert dataset.source_names == (name,)
    assert dataset.source_sha256 == (SOURCES[name].sha256,)


def test_lost_characters_are_removed(data_dir: Path) -> None:
    dataset = sources.load(available(data_dir, "mishra_soni"), "spam", data_dir)
    assert not any("\ufffd" in text for text in dataset.texts)


def test_every_source_says_where_it_is_from() -> None:
    read = {name for name, source in SOURCES.items() if source.generate is None}
    assert read == set(COUNTS)
    for source in (SOURCES[name] for name in read):
        assert all(url.startswith("https://") for url in source.urls)
        assert source.licence
        assert (source.commit != "") == source.urls[0].startswith("https://github.com/")
    measured = {name for name, source in SOURCES.items() if source.use == "measure"}
    assert measured == {"stormfront", "youtube_spam", "speeches"}


def test_an_unknown_source_gets_a_suggestion() -> None:
    with pytest.raises(DatasetError, match=r"unknown source 'davison'; did you mean davidson\?"):
        sources.source_named("davison")


# Mixtures, of made-up sources


def test_sources_become_one_data_set(tiny_sources: list[SourceChoice]) -> None:
    mixed = sources.load(tiny_sources, "mixed")
    assert len(mixed.texts) == 540
    assert mixed.label_names == ("ham", "spam")
    assert mixed.origins is not None
    assert np.bincount(mixed.origins).tolist() == [300, 240]
    assert mixed.texts[300:] == tuple(
        mixed.texts[row] for row in np.flatnonzero(mixed.labels[:300] == 0)
    )
    assert mixed.weights is None
    assert mixed is sources.load(tiny_sources, "mixed")
    assert mixed.record()["name"] == "mixed"
    assert mixed.record()["sources"][0] == {
        "name": "tiny",
        "sha256": SOURCES["tiny"].sha256,
        "rows": 300,
        "shares": [0.8, 0.2],
    }


def test_weights_and_balance(tiny_sources: list[SourceChoice]) -> None:
    first, second = tiny_sources
    mixed = sources.load(
        [
            first.model_copy(update={"balanced": True, "weight": 3.0}),
            second.model_copy(update={"balanced": True}),
        ],
        "mixed",
    )
    assert mixed.weights is not None
    assert mixed.origins is not None
    totals = np.bincount(mixed.origins * 2 + mixed.labels, mixed.weights, 4)
    # Half of the first each, as it counts 3 × 300; the second has harmless texts alone.
    assert totals.tolist() == pytest.approx([450, 450, 240, 0])
    assert len(set(mixed.weights.tolist())) == 3


@pytest.mark.parametrize("rows", [1, 100, 239])
def test_a_part_of_a_source_is_at_most_so_many_rows(
    tiny_sources: list[SourceChoice], rows: int
) -> None:
    first, second = tiny_sources
    whole = sources.load(tiny_sources, "mixed")
    mixed = sources.load([first, second.model_copy(update={"rows": rows})], "mixed")
    kept = mixed.texts[300:]
    assert rows / 2 <= len(kept) <= rows
    assert whole.texts[:300] == mixed.texts[:300]
    # By whole groups of near copies.
    inside = {group_key(text) for text in kept}
    assert kept == tuple(text for text in whole.texts[300:] if group_key(text) in inside)


def test_what_identifies_a_mixture(tiny_sources: list[SourceChoice]) -> None:
    first, second = tiny_sources
    heavy = second.model_copy(update={"weight": 2.0})
    mixtures = [
        sources.load(choices, "mixed")
        for choices in ([first], [first, second], [second, first], [first, heavy])
    ]
    assert len({one.content_sha256 for one in mixtures}) == 4
    assert len({one.sha256 for one in mixtures}) == 3  # the files, not how they are drawn


def test_folds_have_their_share_of_each_source(tiny_sources: list[SourceChoice]) -> None:
    mixed = sources.load(tiny_sources, "mixed")
    assert mixed.origins is not None
    folds = split(mixed, Protocol.GROUPED, 0)
    pairs = mixed.origins * 2 + mixed.labels
    assert np.bincount(pairs[folds.test]).tolist() == [24, 6, 24]
    # Each harmless text is in both sources: both copies are in one fold.
    for rows in folds.rows().values():
        texts = [mixed.texts[row] for row in rows[mixed.labels[rows] == 0].tolist()]
        assert len(set(texts)) == len(texts) / 2


@pytest.mark.parametrize(
    ("names", "model", "message"),
    [
        ([], "mixed", "mixed: no sources"),
        (["tiny", "tiny"], "mixed", "the source 'tiny' is named twice"),
        (["tiny_ham", "tiny"], "abuse", "the source 'tiny' labels spam, not abuse; take its harm"),
        (["sms_spam"], "mixed", r"sms_spam_collection\.zip: no such file .*--source sms_spam"),
    ],
)
@pytest.mark.usefixtures("tiny_sources")
def test_unusable_mixtures(names: list[str], model: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        sources.load([SourceChoice(name=name) for name in names], model)


def test_a_model_without_a_benchmark_needs_sources() -> None:
    with pytest.raises(DatasetError, match="abuse: has no data set of its own name"):
        sources.dataset_of("abuse", (), match_length=False)


@pytest.mark.parametrize(
    ("name", "message"),
    [("stormfront", "'stormfront' .*measuring alone"), ("davison", "did you mean davidson")],
)
def test_a_configuration_names_what_may_be_learnt(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=rf"here: sources\.0\.name: .*{message}"):
        parse(
            {"model": "abuse", "variant": "x", "loss": "bce", "sources": [{"name": name}]}, "here"
        )


def test_swapped_identities_stay_together(data_dir: Path) -> None:
    (choice,) = available(data_dir, "madlibs")
    dataset = sources.load([choice.model_copy(update={"rows": 12_000})], "abuse", data_dir)
    assert 11_900 < len(dataset.texts) <= 12_000
    found = groups(dataset)
    assert found.max() + 1 < 400
    assert 0.4 < dataset.labels.mean() < 0.6
    sizes = np.bincount(found)
    mixed = [len(set(dataset.labels[found == group].tolist())) for group in np.argsort(-sizes)[:50]]
    assert max(mixed) == 1  # the adjective decides, and is of the group
