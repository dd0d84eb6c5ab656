"""A whole run on a tiny made-up data set, through the command line and below it."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dandelion import Classifier
from dandelion.artifact import load_manifest
from training import cli, experiment, runs
from training.configuration import Configuration
from training.datasets import Source
from training.errors import TrainingError
from training.experiment import Run, train
from training.splits import Protocol

from .conftest import tiny_lines, write_archive

pytestmark = pytest.mark.usefixtures("tiny")

CONFIG = Configuration(
    model="tiny", variant="dice", loss="dice", hidden=8, epochs=4, batch_size=16, extra_words=50
)


def test_what_is_measured_is_what_is_shipped(tmp_path: Path) -> None:
    run = Run(CONFIG, Protocol.GROUPED, seed=0)
    manifest, result = train(run, tmp_path / "artifact")
    classifier = Classifier.load(tmp_path / "artifact")
    classifier.check_golden()
    assert classifier.manifest == manifest
    texts, labels = experiment.test_fold(manifest)
    found = experiment.evaluate_at(labels, classifier.scores(texts), {"fitted": manifest.threshold})
    assert found["fitted"] == pytest.approx(manifest.metrics["test"]["fitted"])
    assert result.metrics == manifest.metrics
    assert manifest.split["train"] == 240
    assert manifest.dataset["rows"] == 300
    assert manifest.labels == ("ham", "spam")
    assert manifest.config["loss"] == "dice"


def test_equal_runs_give_equal_bytes_but_for_timings(tmp_path: Path) -> None:
    run = Run(CONFIG, Protocol.PAPER, seed=3)
    manifests = [train(run, tmp_path / name)[0] for name in ("a", "b")]
    assert manifests[0].content_hash == manifests[1].content_hash
    for file in (tmp_path / "a").iterdir():
        other = tmp_path / "b" / file.name
        if file.name == "model.json":
            first, second = (json.loads(path.read_text()) for path in (file, other))
            assert first | {"timings": None} == second | {"timings": None}
        else:
            assert file.read_bytes() == other.read_bytes()


def test_choosing_never_reads_the_test_fold(tmp_path: Path) -> None:
    run = Run(CONFIG, Protocol.GROUPED, seed=0, read_test=False)
    manifest, _ = train(run, tmp_path / "artifact")
    assert set(manifest.metrics) == {"validation"}


def test_an_interrupted_run_leaves_nothing(tmp_path: Path) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(Run(CONFIG, Protocol.PAPER, seed=0), tmp_path / "out" / "artifact", interrupt)
    assert not (tmp_path / "out").exists()


def test_finished_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    run = Run(CONFIG, Protocol.PAPER, seed=1)
    # A process of its own would not know the tiny data set, so its part is done here.
    monkeypatch.setattr(runs, "side_by_side", lambda job, jobs, *_, **__: [job(j) for j in jobs])
    first = runs.run_all([run, run], "Test")
    assert first[0] == first[1]
    monkeypatch.delattr(runs, "_carry_out")
    monkeypatch.setattr(runs, "_carry_out", None, raising=False)
    again = runs.run_all([run], "Test")
    assert again[0].result == first[0].result
    renamed = Run(CONFIG.model_copy(update={"variant": "other"}), Protocol.PAPER, seed=1)
    assert runs.run_all([renamed], "Test") == again


def double(number: int) -> int:
    if number < 0:
        raise TrainingError("negative")
    return number * 2


def test_side_by_side_keeps_the_order_and_ends_at_the_first_failure() -> None:
    assert runs.side_by_side(double, [1, 2, 3], "Test", workers=2) == [2, 4, 6]
    with pytest.raises(TrainingError, match="negative"):
        runs.side_by_side(double, [1, -1, 3], "Test", workers=2)


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


SETTINGS = [
    f"--set={name}={value}" for name, value in {"hidden": 8, "epochs": 2, "extra_words": 50}.items()
]
TRAIN = ["train", "--model=tiny", "--loss=dice", *SETTINGS]


def test_train_then_evaluate(command: CliRunner, tmp_path: Path) -> None:
    done = command.invoke(cli.app, [*TRAIN, "--output=out", "--seed=5"])
    assert done.exit_code == 0, done.output
    assert "out/tiny/dice" in done.output
    manifest = load_manifest(tmp_path / "out" / "tiny" / "dice")
    assert (manifest.seed, manifest.protocol) == (5, "grouped")
    assert manifest.config["hidden"] == 8
    evaluated = command.invoke(cli.app, ["evaluate", "out/tiny/dice"])
    assert evaluated.exit_code == 0, evaluated.output
    accuracy = next(line for line in evaluated.output.splitlines() if "accuracy" in line)
    _, found, recorded, majority = [cell.strip() for cell in accuracy.split("│") if cell.strip()]
    assert found == recorded
    assert majority == ".8000"
    assert "tiny: majority" in done.output


def test_evaluate_refuses_another_data_set(
    command: CliRunner, tmp_path: Path, tiny: Source
) -> None:
    command.invoke(cli.app, [*TRAIN, "--output=out"])
    write_archive(tmp_path / "data" / "tiny.zip", tiny.member, tiny_lines()[:-1])
    experiment._load_dataset.cache_clear()
    with pytest.warns(UserWarning, match="not the known file"):
        done = command.invoke(cli.app, ["evaluate", "out/tiny/dice"])
    assert done.exit_code == 1
    assert "may hold texts it was trained on" in done.output


def test_train_takes_the_variants_file(command: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "configs" / "tiny").mkdir(parents=True)
    (tmp_path / "configs" / "tiny" / "small.toml").write_text(
        'loss = "mse"\nhidden = 5\nepochs = 1\nextra_words = 9\n'
    )
    wrong = command.invoke(cli.app, ["train", "--model=tiny", "--loss=dice", "--variant=small"])
    assert wrong.exit_code == 1
    assert "has the loss 'mse', not 'dice'" in wrong.output
    right = command.invoke(
        cli.app, ["train", "--model=tiny", "--loss=mse", "--variant=small", "--set=hidden=6"]
    )
    assert right.exit_code == 0, right.output
    config = load_manifest(tmp_path / "artifacts" / "tiny" / "small").config
    assert (config["hidden"], config["extra_words"]) == (6, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--model=soup", "--loss=dice"], "no model 'soup'; there are: spam"),
        (["train", "--model=tiny", "--loss=dise"], "no loss 'dise'"),
        ([*TRAIN, "--set=hidden"], "expected FIELD=VALUE"),
        ([*TRAIN, "--set=hiden=3"], "hiden: Extra inputs"),
        ([*TRAIN, "--set=model='spam'"], "--set: model: use the option of that name"),
        ([*TRAIN, "--glove=none.txt"], "none.txt: cannot be read"),
        (["evaluate", "none"], "none: no such directory"),
        (["train-all"], "configs: holds no configuration"),
        (["tune", "--model=soup"], "no model 'soup'"),
        (["download", "--model=soup"], "no model 'soup'"),
    ],
)
def test_mistakes_end_in_one_line(command: CliRunner, arguments: list[str], message: str) -> None:
    done = command.invoke(cli.app, arguments)
    assert done.exit_code == 1
    assert done.output.strip().splitlines()[-1].startswith("error: ")
    assert message in done.output


def test_a_missing_data_set_is_told_before_the_first_fit(
    command: CliRunner, tmp_path: Path, tiny: Source
) -> None:
    (tmp_path / "configs" / "tiny").mkdir(parents=True)
    (tmp_path / "configs" / "tiny" / "dice.toml").write_text('loss = "dice"\n')
    shutil.rmtree(tmp_path / "data")
    done = command.invoke(cli.app, ["train-all"])
    assert done.exit_code == 1
    assert f"{tiny.archive}: no such file" in done.output


@pytest.mark.parametrize(
    "name",
    ["train", "train-all", "evaluate", "report", "tune", "collapse", "ablate", "download"],
)
def test_every_command_explains_itself(command: CliRunner, name: str) -> None:
    assert name in command.invoke(cli.app, ["--help"]).output
    done = command.invoke(cli.app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output
