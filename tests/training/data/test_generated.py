"""Sources without a file: texts from templates."""

import numpy as np
import pytest

from training.configuration import SourceChoice
from training.data import sources
from training.data.download import download
from training.data.near_copies import groups
from training.data.templates import templates, texts
from training.errors import DatasetError

LABELS = {
    "service_messages": 0,
    "personal_messages": 0,
    "scam_messages": 1,
    "profanity": 0,
    "insults": 1,
    "identity_mentions": 0,
    "identity_hate": 1,
}


@pytest.mark.parametrize(("name", "label"), LABELS.items())
def test_a_generated_source_has_the_training_part_alone(name: str, label: int) -> None:
    model = "spam" if name == "scam_messages" else "abuse"
    found = sources.load([SourceChoice(name=name)], model)
    assert found.labels.tolist() == [label] * len(found.texts)
    assert set(found.texts) & set(texts(name, "train"))  # type: ignore[arg-type]
    assert not set(found.texts) & set(texts(name, "held_out"))  # type: ignore[arg-type]


def test_texts_of_one_template_are_one_group() -> None:
    found = sources.load([SourceChoice(name="profanity")], "abuse")
    assert len(np.unique(groups(found))) <= len(templates("profanity", "train"))


def test_there_is_nothing_to_download() -> None:
    with pytest.raises(DatasetError, match="nothing to download"):
        download(sources.source_named("insults"))
