"""A built-in model is retrained on its own sources, and promises nothing on feedback."""

from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dandelion import Classifier, retraining_file
from dandelion.artifact import load
from dandelion.manifest import load_manifest
from training import configuration
from training.cli import app
from training.configuration import SourceChoice
from training.data.splits import Protocol
from training.errors import ConfigurationError
from training.evaluation import read_folds
from training.experiment import Run, train
from training.retraining.base import configuration_of, read_base

from ...dandelion.examples import make_artifact
from .examples import feedback_rows, write_rows

CONFIG = {
    "model": "tiny",
    "variant": "first",
    "loss": "squared_hinge",
    "hidden": 4,
    "epochs": 1,
    "extra_words": 0,
    "restore": "last",
    "windows": {"words": 20},
    "wide": {"bits": 10},
    "operating_point": "fpr<=0.2[ordinary]",
    "groups": {"ordinary": ["tiny_ham"]},
}


def test_its_sources_are_read_again_and_feedback_is_no_evidence(
    tiny_sources: list[SourceChoice], tmp_path: Path
) -> None:
    sources = [one.model_dump() for one in tiny_sources]
    config = configuration.parse({**CONFIG, "sources": sources}, "test")
    first = tmp_path / "tiny" / "first"
    train(Run(config, Protocol.GROUPED, 0), first)
    (tmp_path / "serving.toml").write_text('[models]\ntiny = "first"\n')
    feedback = write_rows(tmp_path / "feedback.jsonl", feedback_rows())
    arguments = ["retrain", "tiny", f"--add={feedback}", f"--artifacts={tmp_path}"]
    done = CliRunner().invoke(app, [*arguments, "--variant=second", "--weight=2"])
    assert done.exit_code in {0, 4}, done.output
    second = tmp_path / "tiny" / "second"
    manifest = Classifier.load(second).manifest
    names = [one["name"] for one in manifest.dataset["sources"]]
    assert names == ["tiny", "tiny_ham", "feedback"]
    assert manifest.operating_point == "fpr<=0.2[ordinary]"
    evidence = load(second).evidence
    assert evidence is not None
    assert set(evidence.counts) == {"tiny", "tiny_ham"}
    found = retraining_file.read(second)
    assert set(found.sources) == {"tiny", "tiny_ham", "feedback"}
    assert manifest.by_source is not None
    assert "feedback" in manifest.by_source["test"]

    # The base of both is the same, whatever the second one has learnt besides.
    manifests = [load_manifest(one) for one in (first, second)]
    (base, folds), (again, other) = (read_base(one, None) for one in manifests)
    assert base.content_sha256 == again.content_sha256
    assert folds.sha256() == other.sha256() == read_folds(manifests[0])[1].sha256()

    refused = CliRunner().invoke(app, [*arguments, f"--data={feedback}"])
    assert "the name 'tiny' is taken by a built-in model" in refused.output


def test_what_feedback_cannot_teach_is_left_out_of_the_recipe() -> None:
    manifest = make_artifact().manifest
    recipe = {"model": "spam", "variant": "old", "loss": "bce", "embeddings": "some"}
    manifest = replace(manifest, config=recipe | {"types_weight": 1.2})
    config, notes = configuration_of(manifest, "new")
    assert (config.variant, config.types_weight) == ("new", 0)
    assert "finer labels" in notes[0]
    assert configuration_of(replace(manifest, config=recipe), "new")[1] == ()
    with pytest.raises(ConfigurationError, match="soup"):
        configuration_of(replace(manifest, config=recipe | {"soup": 1}), "new")
