"""The deletion test of explanations: on a network that is known, and on the test fold of spam."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dandelion.artifact import save
from dandelion.engines.network import Network
from study import deletion
from training.errors import ConfigurationError

from ..conftest import ROOT
from ..dandelion.examples import make_artifact

pytestmark = pytest.mark.slow


@pytest.fixture
def known(tmp_path: Path) -> Path:
    """An artifact to which every known word counts alike, the more the fewer others there are."""
    artifact = make_artifact()
    silent = {name: np.zeros_like(one) for name, one in artifact.network.weights().items()}
    silent["embedding"][1:4] = 1
    for name in ("hidden1_weight", "hidden2_weight", "output_weight"):
        silent[name][0, 0] = 1
    network = Network.from_weights(silent)
    golden = replace(artifact.golden, texts=("",), scores=(0.5,))
    save(replace(artifact, network=network, golden=golden), tmp_path / "spam" / "tiny")
    return tmp_path / "spam" / "tiny"


@pytest.mark.parametrize("gradient", deletion.GRADIENTS)
def test_the_words_that_count_lower_the_logit_most(
    known: Path, gradient: deletion.Gradient
) -> None:
    texts = ["free this prize is not lunch at all", "so free and so prize or so lunch"]

    found = deletion.measure(known, [*texts, "too short"], gradient)

    assert found.texts == 2
    assert found.share_of_mean == 1
    assert found.fall == pytest.approx(3 / 8)
    assert found.drawn_fall < found.fall


def test_texts_must_have_spans_to_choose_from(known: Path) -> None:
    with pytest.raises(ValueError, match="no text has more than 3 spans"):
        deletion.measure(known, ["one two three"])


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="is not served"):
        deletion.served(ROOT / "artifacts", "other")


def test_on_spam_the_top_spans_lower_the_logit_more_than_others(data_dir: Path) -> None:
    (path,) = deletion.served(ROOT / "artifacts", "spam")

    found = deletion.measure(path, deletion.flagged(path, 100))

    sys.stdout.write(f"{found}\n")
    assert found.share >= 0.9
