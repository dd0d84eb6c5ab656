"""The public collections, and mixtures of them."""

from pathlib import Path

import numpy as np
import pytest

from training.configuration import SourceChoice
from training.data import sources
from training.data.sources import SOURCES
from training.errors import DatasetError

# Source → harmless and flagged texts, as published.
COUNTS = {
    "sms_spam": (4_827, 747),
    "cyberbullying_tweets": (7_945, 39_747),
    "davidson": (4_163, 1_430),
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


@pytest.mark.parametrize("name", SOURCES)
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
    for source in SOURCES.values():
        assert all(url.startswith("https://") for url in source.urls)
        assert source.licence
        assert (source.commit != "") == source.urls[0].startswith("https://github.com/")
    measured = {name for name, source in SOURCES.items() if source.use == "measure"}
    assert measured == {"stormfront", "youtube_spam", "speeches"}


def test_an_unknown_source_gets_a_suggestion() -> None:
    with pytest.raises(DatasetError, match=r"unknown source 'davison'; did you mean davidson\?"):
        sources.source_named("davison")
