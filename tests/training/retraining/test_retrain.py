"""``dandelion retrain`` from files to the verdict, on a small model of a user's own."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result
from typer.testing import CliRunner

from dandelion import Classifier, retraining_file
from dandelion.artifact import save
from dandelion.gate import Gate, judge
from dandelion.manifest import load_manifest
from dandelion.reference_file import read as read_reference
from training import configuration
from training.cli import app
from training.data.custom_data import CustomData
from training.data.custom_data import read as read_custom
from training.data.splits import Protocol
from training.evaluation import read_folds
from training.experiment import Run, train
from training.reference import write_reference
from training.retraining.page import verdict as as_page
from training.retraining.parts import held_out

from ...dandelion.examples import THREE, make_artifact
from .examples import feedback_rows, write_base, write_rows

SETTINGS = ("hidden=8", "epochs=4", "wide.bits=12")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with ``base.csv`` and the artifact ``messages/first`` that learnt from it."""
    directory = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRAINING_CACHE", str(directory / "cache"))
        data = read_custom(CustomData("messages", write_base(directory / "base.csv"))).dataset
        recipe = configuration.wide_recipe("messages", "first", "bce")
        config = configuration.override(recipe, SETTINGS)
        artifact = directory / "messages" / "first"
        manifest, _ = train(Run(config, Protocol.GROUPED, 0, dataset=data), artifact)
        write_reference(manifest, artifact, data)
    (directory / "serving.toml").write_text('[models]\nmessages = "first"\n')
    return directory


@pytest.fixture
def artifacts(trained: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(trained, tmp_path / "artifacts", dirs_exist_ok=True))


def retrain(
    artifacts: Path, feedback: Path, *options: str, data: str | None = "base.csv"
) -> Result:
    given = [] if data is None else [f"--data={artifacts / data}"]
    command = ["retrain", "messages", f"--add={feedback}", f"--artifacts={artifacts}"]
    return CliRunner().invoke(app, [*command, *given, *options])


def test_feedback_is_learnt_and_compared_with_what_is_served(artifacts: Path) -> None:
    rows = feedback_rows()
    feedback = write_rows(artifacts / "feedback.jsonl", rows)
    done = retrain(artifacts, feedback, "--variant=second", "--weight=3")
    assert done.exit_code == 0, done.output
    new = artifacts / "messages" / "second"
    verdict = retraining_file.read(new)
    assert verdict.feedback.serving.recall is not None
    assert verdict.feedback.differences["recall"].lower > 0.3
    assert verdict.evidence.differences["recall"].estimate == 0
    assert verdict.counts["rows"] == 120
    is_held_out = held_out([str(row["text"]) for row in rows])
    assert verdict.counts["held out"] == is_held_out.sum()
    for compared in (verdict.candidate, verdict.serving):
        manifest = load_manifest(artifacts / "messages" / compared.variant)
        assert compared.content_hash == manifest.content_hash
    page = (new / "VERDICT.md").read_text()
    assert "**It passes the gate.**" in page
    # An operating point reads the same with and without Markdown.
    candidate = replace(
        verdict.candidate, decides="its operating point, fpr<=0.01[ordinary],recall>=0.9"
    )
    found = as_page(replace(verdict, candidate=candidate), judge(Gate(), verdict))
    assert "it decides by its operating point, `fpr<=0.01[ordinary],recall>=0.9`, at" in found
    assert f"- served: first, version `{verdict.serving.content_hash[:12]}`" in found
    card = (new / "MODEL_CARD.md").read_text()
    said = done.output + page + card + (new / "verdict.json").read_text()
    assert not any(str(row["text"]) in said for row in rows)

    # A complete artifact: it loads, has a reference, and says what it learnt from.
    manifest = Classifier.load(new).manifest
    assert read_reference(new, manifest) is not None
    assert manifest.config["retrained"]["files"][0]["sha256"] == verdict.files[0].sha256
    assert [one["name"] for one in manifest.dataset["sources"]] == ["messages", "feedback"]

    # What the served version was tested on is tested again, and nothing of it is learnt.
    data = read_custom(CustomData("messages", artifacts / "base.csv")).dataset
    _, folds = read_folds(load_manifest(artifacts / "messages" / "first"), data)
    assert verdict.evidence.negatives + verdict.evidence.positives == len(folds.test)
    assert manifest.split["test"] == len(folds.test) + is_held_out.sum()
    assert manifest.split["train"] == len(folds.train) + (~is_held_out).sum()

    # Served now, it is retrained in turn: on the same base, with the same texts held out.
    (artifacts / "serving.toml").write_text('[models]\nmessages = "second"\n')
    more = write_rows(artifacts / "more.jsonl", [*rows, *feedback_rows(20, seed=50)])
    done = retrain(artifacts, more)
    (third,) = (artifacts / "messages").glob("second-20*")
    found = retraining_file.read(third)
    assert found.evidence.negatives == verdict.evidence.negatives
    assert found.counts["held out"] >= verdict.counts["held out"]
    assert any("has learnt from feedback.jsonl" in one for one in found.warnings)
    assert "evaluate" in CliRunner().invoke(app, ["--help"]).output
    refused = CliRunner().invoke(app, ["evaluate", str(new), f"--data={artifacts / 'base.csv'}"])
    assert "was retrained with feedback" in refused.output


def test_feedback_and_data_have_options_of_their_own(artifacts: Path) -> None:
    few = "too little feedback"
    export = artifacts / "export.csv"
    export.write_bytes("text,label\nGrüße,ham\n".encode("cp1252"))
    for options, wanted in (
        (["--encoding=cp1252"], "--add-encoding cp1252"),  # what is asked for
        (["--add-encoding=cp1252"], few),
    ):
        assert wanted in " ".join(retrain(artifacts, export, *options).output.split())
    export.write_bytes("text,label\nGrüße,ham\n".encode())
    assert "--add-delimiter" in retrain(artifacts, export, "--add-delimiter=ab").output
    lines = write_rows(artifacts / "export.jsonl", [{"text": "Grüße", "label": "ham"}])
    assert few in retrain(artifacts, lines, "--delimiter=,").output


def test_an_echo_is_refused_unless_forced(artifacts: Path) -> None:
    classifier = Classifier.load(artifacts / "messages" / "first")
    rows = feedback_rows()
    flagged = [one.label for one in classifier.classify([str(row["text"]) for row in rows])]
    echo = [row | {"label": label} for row, label in zip(rows, flagged, strict=True)]
    feedback = write_rows(artifacts / "echo.jsonl", echo)
    done = retrain(artifacts, feedback, "--variant=second", "--weight=3")
    assert done.exit_code == 1
    assert "only repeats what the filter believes" in done.output
    assert not (artifacts / "messages" / "second").exists()
    done = retrain(artifacts, feedback, "--variant=second", "--force", "--weight=0.5")
    verdict = retraining_file.read(artifacts / "messages" / "second")
    assert any("only repeats what the filter believes" in one for one in verdict.forced)
    assert done.exit_code == 4  # nothing was gained
    assert not np.isclose(verdict.feedback.differences["decided_as_labelled"].estimate, 0.5)
    page = (artifacts / "messages" / "second" / "VERDICT.md").read_text()
    assert "**It does not pass the gate.**" in page
    assert "**Forced** (`--force`)" in page


def test_the_original_data_is_needed(artifacts: Path) -> None:
    feedback = write_rows(artifacts / "feedback.jsonl", feedback_rows())
    done = retrain(artifacts, feedback, data=None)
    assert done.exit_code == 1
    sha256 = load_manifest(artifacts / "messages" / "first").dataset["sha256"]
    assert "give it with --data" in done.output
    assert f"(480 rows, SHA-256 {sha256[:12]}…)" in done.output
    write_base(artifacts / "other.csv", seed=5)
    assert "Restore the file" in retrain(artifacts, feedback, data="other.csv").output


def test_what_cannot_be_retrained_is_refused_before_anything_is_trained(artifacts: Path) -> None:
    feedback = write_rows(artifacts / "feedback.jsonl", feedback_rows())

    def refusal(*options: str) -> str:
        done = retrain(artifacts, feedback, *options)
        assert done.exit_code == 1
        return done.output

    assert "serving.toml names it" in refusal("--variant=first")
    assert "a directory of this machine" in refusal("--artifacts=s3://bucket/artifacts")
    assert "too little feedback" in _with_rows(artifacts, feedback_rows(5))
    three = make_artifact(labels=THREE)
    manifest = replace(three.manifest, model="messages", variant="three")
    save(replace(three, manifest=manifest), artifacts / "messages" / "three")
    (artifacts / "serving.toml").write_text('[models]\nmessages = "three"\n')
    assert "has 3 labels; models with two are retrained" in refusal()
    (artifacts / "serving.toml").write_text("[models]\nmessages = 3\n")
    assert "expected the name of a variant" in refusal()


def _with_rows(artifacts: Path, rows: list[dict[str, object]]) -> str:
    return retrain(artifacts, write_rows(artifacts / "few.jsonl", rows)).output


def test_a_policy_and_a_gate_of_serving_toml_are_applied(artifacts: Path) -> None:
    (artifacts / "serving.toml").write_text(
        '[models.messages]\nvariant = "first"\ndefault_policy = "teens"\n'
        "[models.messages.policies.teens]\nprior = 0.1\n"
        "[models.messages.gate]\nmin_feedback_gain = 1\n"
    )
    feedback = write_rows(artifacts / "feedback.jsonl", feedback_rows())
    done = retrain(artifacts, feedback, "--variant=second", "--weight=3")
    assert (done.exit_code, "at least +100.00 are required" in done.output) == (4, True)
    values = json.loads((artifacts / "messages" / "second" / "verdict.json").read_text())
    assert values["serving"]["decides"] == values["candidate"]["decides"] == "the policy teens"
