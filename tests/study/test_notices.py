"""How many English texts, and sentences of other languages, are noticed; ``-s`` prints it."""

import sys
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from dandelion import Classifier, Notice
from training.data.source_files import read_source
from training.data.sources import SOURCES

from ..conftest import ROOT
from ..dandelion.foreign_sentences import SENTENCES

VARIANTS: Final = sorted((ROOT / "artifacts").glob("*/*-wide"))
# A sample of each. YouTube's comments are of many languages, and no variant learns from them; the
# messages of ConvAbuse are of few words.
ENGLISH: Final = ("sms_spam", "mishra_soni", "civil_comments", "wikipedia_talk")
OTHERS: Final = ("wikipedia_context", "convabuse", "youtube_spam")
SAMPLE: Final = 1500


@pytest.fixture(scope="module")
def texts(data_dir: Path) -> dict[str, list[str]]:
    found = {}
    for name in (*ENGLISH, *OTHERS):
        if not (data_dir / (SOURCES[name].file or "")).exists():
            pytest.skip(f"{SOURCES[name].file} is not there")
        every = read_source(SOURCES[name], data_dir, "download").texts
        drawn = np.random.default_rng(0).permutation(len(every))[:SAMPLE]
        found[name] = [every[row] for row in drawn]
    return found | {name: list(sentences) for name, sentences in SENTENCES.items()}


@pytest.mark.parametrize("path", VARIANTS, ids=lambda path: path.parent.name)
def test_foreign_texts_are_noticed_and_english_ones_are_not(
    path: Path, texts: dict[str, list[str]]
) -> None:
    classifier = Classifier.load(path)
    shares = {}
    for name, one in texts.items():
        count = Counter(classifier.notices(one).values())
        shares[name] = count[Notice.LOW_EVIDENCE] / len(one)
        sys.stdout.write(
            f"{path.parent.name:20}{name:20}{len(one):6} texts, low evidence"
            f"{count[Notice.LOW_EVIDENCE]:5} ({shares[name]:.1%}), no content"
            f"{count[Notice.NO_CONTENT]:4}\n"
        )
    assert all(shares[name] < 0.04 for name in ENGLISH)
    assert shares["Chinese"] == 1
    assert shares["German"] > 0.9
    assert shares["Spanish"] > 0.5
