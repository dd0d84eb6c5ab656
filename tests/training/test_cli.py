"""The command line, on a tiny made-up data set."""

import gzip
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from typer.testing import CliRunner

import dandelion.tables
from dandelion import Classifier
from dandelion.installation import install_command
from dandelion.manifest import load_manifest
from dandelion.tables import Table
from training import actions, builtin_card, cli, configuration, out_of_fold, tables, tuning
from training.data.datasets import Source
from training.data.splits import Protocol
from training.parallel import progress

from .conftest import tiny_lines, write_archive

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.chdir(tmp_path)
    return CliRunner()


SETTINGS = [
    f"--set={name}={value}" for name, value in {"hidden": 8, "epochs": 2, "extra_words": 50}.items()
]
TRAIN = ["train", "--model=tiny", "--loss=dice", *SETTINGS]


def row_of(output: str, metric: str) -> list[str]:
    """Return the cells of a metric's row of `evaluate`'s table, but for its name."""
    line = next(line for line in output.splitlines() if f" {metric} " in line)
    return [cell.strip() for cell in line.split("│") if cell.strip()][1:]


def test_train_then_evaluate(command: CliRunner, tmp_path: Path) -> None:
    done = command.invoke(cli.app, [*TRAIN, "--output=out", "--seed=5"])
    assert done.exit_code == 0, done.output
    assert "out/tiny/dice" in done.output
    manifest = load_manifest(tmp_path / "out" / "tiny" / "dice")
    assert (manifest.seed, manifest.protocol) == (5, "grouped")
    assert manifest.config["hidden"] == 8
    evaluated = command.invoke(cli.app, ["evaluate", "out/tiny/dice"])
    assert evaluated.exit_code == 0, evaluated.output
    found, recorded, majority = row_of(evaluated.output, "accuracy")
    assert found == recorded
    assert majority == ".8000"
    assert "tiny: majority" in done.output


def test_evaluate_at_another_threshold(command: CliRunner) -> None:
    command.invoke(cli.app, [*TRAIN, "--output=out"])
    done = command.invoke(cli.app, ["evaluate", "out/tiny/dice", "--threshold=0"])
    assert done.exit_code == 0, done.output
    assert row_of(done.output, "accuracy")[0] == ".2000"  # everything is spam


@pytest.mark.usefixtures("tiny_type")
def test_a_model_of_classes(command: CliRunner) -> None:
    arguments = ["train", "--model=tiny_type", "--loss=cross_entropy", *SETTINGS, "--output=out"]
    done = command.invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    evaluated = command.invoke(cli.app, ["evaluate", "out/tiny_type/cross_entropy"])
    assert evaluated.exit_code == 0, evaluated.output
    found, recorded, majority = row_of(evaluated.output, "macro_f1")
    assert found == recorded
    assert float(majority) < 0.31
    assert "auroc" not in evaluated.output
    refused = command.invoke(
        cli.app, ["evaluate", "out/tiny_type/cross_entropy", "--threshold=0.5"]
    )
    assert refused.exit_code == 1
    assert "with more than two labels there is no threshold" in refused.output


def test_a_field_of_the_wide_path_is_set(command: CliRunner, tmp_path: Path) -> None:
    settings = ["--set=wide.bits=9", "--set=wide.chars=[3, 3]", "--set=sampling='oversample'"]
    done = command.invoke(cli.app, [*TRAIN, *settings, "--output=out"])
    assert done.exit_code == 0, done.output
    manifest = load_manifest(tmp_path / "out" / "tiny" / "dice")
    assert manifest.features is not None
    assert (manifest.features["bits"], manifest.features["chars"]) == (9, [3, 3])
    assert manifest.sampling is not None


def test_evaluate_refuses_another_data_set(
    command: CliRunner, tmp_path: Path, tiny: Source
) -> None:
    command.invoke(cli.app, [*TRAIN, "--output=out"])
    write_archive(tmp_path / "data" / "tiny.zip", tiny.members[0], tiny_lines()[:-1])
    with pytest.warns(UserWarning, match="not the known file"):
        done = command.invoke(cli.app, ["evaluate", "out/tiny/dice"])
    assert done.exit_code == 1
    assert "may contain texts that it was trained on" in done.output


def write_config(directory: Path, name: str, text: str) -> Path:
    path = directory / "configs" / "tiny" / f"{name}.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def test_train_takes_the_variants_file(command: CliRunner, tmp_path: Path) -> None:
    write_config(tmp_path, "small", 'loss = "mse"\nhidden = 5\nepochs = 1\nextra_words = 9\n')
    wrong = command.invoke(cli.app, ["train", "--model=tiny", "--loss=dice", "--variant=small"])
    assert wrong.exit_code == 1
    assert "has the loss 'mse', not 'dice'" in wrong.output
    for loss in (["--loss=mse"], []):
        right = command.invoke(
            cli.app, ["train", "--model=tiny", *loss, "--variant=small", "--set=hidden=6"]
        )
        assert right.exit_code == 0, right.output
        config = load_manifest(tmp_path / "artifacts" / "tiny" / "small").config
        assert (config["hidden"], config["extra_words"], config["loss"]) == (6, 9, "mse")
        shutil.rmtree(tmp_path / "artifacts")


def write_custom(directory: Path) -> None:
    rows = [
        f"{'awful' if number % 4 == 0 else 'lovely'} day {'x' * (number % 30)},{label}"
        for number in range(200)
        for label in ["rude" if number % 4 == 0 else "fine"]
    ]
    (directory / "mine.csv").write_text("\n".join(["comment,label", *rows, ",fine"]))


CUSTOM = ["train", "--name=mine", "--data=mine.csv", "--positive=rude", "--output=out"]


def test_a_custom_model(
    command: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_custom(tmp_path)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "serving.toml").touch()
    settings = ["--set=hidden=8", "--set=wide.bits=10", "--set=wide.rate=0.05"]
    reads: list[Path] = []
    read = dandelion.tables.read

    def count(path: Path, **options: str | None) -> Table:
        reads.append(path)
        return read(path, **options)

    monkeypatch.setattr(dandelion.tables, "read", count)
    done = command.invoke(cli.app, [*CUSTOM, *settings])
    assert done.exit_code == 0, done.output
    assert len(reads) == 1
    assert "200 texts: fine 150, rude 50" in done.output
    assert "line 202: no text" in done.output
    command_line = "DANDELION_ARTIFACTS=out DANDELION_MODELS__MINE=wide dandelion serve"
    assert f"Serve it: {command_line}, or add mine = 'wide' to out/serving.toml\n" in done.output
    classifier = Classifier.load(tmp_path / "out" / "mine" / "wide")
    labels = [one.label for one in classifier.classify(["awful day xxxxx", "lovely day xxxxx"])]
    assert labels == ["rude", "fine"]
    report = (tmp_path / "out" / "mine" / "wide.md").read_text()
    assert "line 202: no text" in report
    assert "lovely" not in report

    data = ["--data=mine.csv", "--positive=rude"]
    reads.clear()
    evaluated = command.invoke(cli.app, ["evaluate", "out/mine/wide", *data])
    assert evaluated.exit_code == 0, evaluated.output
    found, recorded, _ = row_of(evaluated.output, "accuracy")
    assert found == recorded
    assert len(reads) == 1


HOSTILE = "<script>|`x`"


def syllables(number: int) -> str:
    """Write a number so that a text with it is no near copy of one with another."""
    return f"{number:b}".translate({ord("0"): "lo", ord("1"): "la"})


def write_hostile(directory: Path) -> None:
    """Semicolons, cp1252, several spellings, a rare label that is markup, contradictions."""
    rows = [
        (f"£ {'awful' if number % 60 == 0 else 'lovely'} {syllables(number)}", label)
        for number in range(1200)
        for label in [HOSTILE if number % 60 == 0 else "Fine" if number % 7 == 0 else "fine"]
    ]
    rows += [("£ awful lo", "fine"), ("£ lovely la", "fine")]
    lines = [f'"{text}";"{label}"' for text, label in rows]
    data = "\r\n".join(["text;label", *lines]).encode("cp1252")
    (directory / "mine.csv.gz").write_bytes(gzip.compress(data))


def test_a_file_that_needs_options(command: CliRunner, tmp_path: Path) -> None:
    write_hostile(tmp_path)
    file = ["--data=mine.csv.gz"]
    options = ["--encoding=cp1252", "--delimiter=;", "--merge-labels", f"--positive={HOSTILE}"]
    small = ["--set=hidden=8", "--set=wide.bits=10", "--set=epochs=1"]
    train = ["train", "--name=mine", "--output=out", *small]
    for missing, message in ((0, "--encoding cp1252"), (2, "Merge them with --merge-labels")):
        given = options[:missing] + options[missing + 1 :]
        refused = command.invoke(cli.app, [*train, *file, *given])
        assert refused.exit_code == 1
        assert message in refused.output
        assert not (tmp_path / "out").exists()

    done = command.invoke(cli.app, [*train, *file, *options])
    assert done.exit_code == 0, done.output
    sentences = [
        "merged labels: 'Fine' (",
        "1 text appears under more than one label (first: lines 2 and 1202); all rows are kept",
        "; all rows are kept, but no model can learn both",
        "2 rows repeat the text of an earlier row; all are kept",
        "the rarest label is '<script>|`x`': 20 texts, 1 in 60",
        'loss dice_bce, with classes="both": the default if a class is 1 in 50 texts or rarer',
        "warning: 20 texts of '<script>|`x`' are few",
    ]
    report = (tmp_path / "out" / "mine" / "wide.md").read_text()
    for sentence in sentences:
        assert sentence in done.output
        assert tables.as_markdown(sentence) in report
    assert "- lines 2 and 1202: &lt;script&gt;\\|\\`x\\`, fine\n" in report
    assert "\n| &lt;script&gt;\\|\\`x\\` | 20 |\n" in report
    assert "<" not in report
    # Before the fit.
    assert done.output.index("loss dice_bce") < done.output.index("Training mine/wide")
    config = load_manifest(tmp_path / "out" / "mine" / "wide").config
    assert (config["loss"], config["loss_options"]) == ("dice_bce", {"classes": "both"})

    evaluated = command.invoke(cli.app, ["evaluate", "out/mine/wide", *file, *options])
    assert evaluated.exit_code == 0, evaluated.output
    found, recorded, _ = row_of(evaluated.output, "accuracy")
    assert found == recorded


def test_a_loss_that_is_asked_for_is_taken_with_a_warning(
    command: CliRunner, tmp_path: Path
) -> None:
    write_hostile(tmp_path)
    options = ["--encoding=cp1252", "--merge-labels", f"--positive={HOSTILE}", "--loss=bce"]
    wrong = ["--glove=none.txt"]  # it is not trained
    done = command.invoke(cli.app, ["train", "--name=mine", "--data=mine.csv.gz", *options, *wrong])
    assert done.exit_code == 1
    notes = "loss bce, as asked for\nwarning: for labels this rare, dice_bce was mostly better"
    assert notes in done.output


def test_a_file_in_the_place_of_the_artifact_is_found_before_the_data_is_read(
    command: CliRunner, tmp_path: Path
) -> None:
    write_custom(tmp_path)
    (tmp_path / "out" / "mine").mkdir(parents=True)
    (tmp_path / "out" / "mine" / "wide").touch()
    done = command.invoke(cli.app, [*CUSTOM, "--loss=bce"])
    assert done.exit_code == 1
    assert done.output.endswith("mine/wide: is a file, not the directory of an artifact\n")
    assert "texts:" not in done.output


def test_the_protocols_are_those_of_the_split() -> None:
    assert [*cli.ProtocolName] == sorted(map(str, Protocol))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--name=a/b", "--data=mine.csv"], "invalid model name 'a/b': use only a to z"),
        (["train", f"--name={'a' * 300}", "--data=mine.csv"], "at most 64 of them"),
        ([*TRAIN, f"--variant={'a' * 300}"], "has 300 characters; choose a shorter name"),
        ([*TRAIN, "--output=data/tiny.zip"], "cannot be written to (Not a directory)"),
        (["train", "--model=soup", "--loss=dice"], "unknown model 'soup'; available models: spam"),
        (
            ["train", "--model=tiny", "--loss=dise"],
            "command line: loss: unknown loss 'dise'; available:",
        ),
        (["train", "--model=tiny"], "give a --variant of configs/, or a --loss"),
        (["train", "--model=tiny", "--variant=none"], "no such file, so give a --loss"),
        (["train"], "give either --model, for a built-in model, or --name and --data"),
        (["train", "--name=mine"], "give either --model, for a built-in model, or --name"),
        (["train", "--name=mine", "--data=none.csv"], "none.csv: cannot be read"),
        (["train", "--name=spam", "--data=none.csv"], "'spam' is taken by a built-in model"),
        ([*TRAIN, "--set=hidden"], "expected FIELD=VALUE"),
        ([*TRAIN, "--set=hidden=much"], "expected FIELD=VALUE, text in quotes"),
        ([*TRAIN, "--set=hiden=3"], "command line: hiden: unknown field; did you mean hidden?"),
        ([*TRAIN, "--set=zzz=3"], "zzz: unknown field; available: model, variant, "),
        ([*TRAIN, "--set=wide.rat=3"], "wide.rat: unknown field; did you mean rate?"),
        ([*TRAIN, "--set=loss_options={alfa=1}"], "loss_options of 'dice': no option 'alfa'"),
        (
            [*TRAIN, "--set=loss_options={smoothing=-1}"],
            "loss_options of 'dice': smoothing is -1.0; expected a finite number above 0",
        ),
        ([*TRAIN, "--set=loss_options={smoothing=1e300}"], "training diverged: a text has no"),
        ([*TRAIN, "--output=/proc/none"], "--output /proc/none: cannot be written to"),
        ([*TRAIN, "--set=wide.bits=99"], "bits is 99; expected 1 to 22"),
        ([*TRAIN, "--set=types_weight=1.0"], "Tiny has no finer classes"),
        ([*TRAIN, "--set=model='spam'"], "--set: model: use the option of that name"),
        ([*TRAIN, "--glove=none.txt"], "none.txt: cannot be read"),
        (["train", "--model=tiny", "--loss=softmax_dice"], "is for a multiclass task"),
        (["evaluate", "none"], "none: no such directory"),
        (["train-all"], "configs: contains no configuration"),
        (["tune", "--model=soup", "--variant=dice"], "unknown model 'soup'"),
        (["tune", "--model=tiny", "--variant=none"], "configs/tiny/none.toml: cannot be read"),
        (["download", "--model=soup"], "unknown model 'soup'"),
    ],
)
def test_errors_end_in_one_line(command: CliRunner, arguments: list[str], message: str) -> None:
    done = command.invoke(cli.app, arguments)
    assert done.exit_code == 1
    assert done.output.strip().splitlines()[-1].startswith("error: ")
    assert message in done.output


def test_a_missing_library_is_reported_in_one_line() -> None:
    hidden = "import sys, runpy; sys.modules['torch'] = None"
    run = "runpy.run_module('training', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", f"{hidden}; {run}"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == (
        "error: training needs torch, which is not installed. Install it: "
        f"{install_command('training')}\n"
    )


def test_a_missing_data_set_is_reported_before_the_first_fit(
    command: CliRunner, tmp_path: Path, tiny: Source
) -> None:
    write_config(tmp_path, "dice", 'loss = "dice"\n')
    shutil.rmtree(tmp_path / "data")
    done = command.invoke(cli.app, ["train-all"])
    assert done.exit_code == 1
    assert f"{tiny.file}: no such file" in done.output


def test_tune_prints_its_budget_and_writes_what_it_found(
    command: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_config(tmp_path, "dice", 'loss = "dice"\n')
    seen: list[Any] = []

    def search(base: Any, budget: tuning.Budget) -> str:
        seen.append(budget)
        return base.loss  # type: ignore[no-any-return]

    monkeypatch.setattr(tuning, "tune", search)
    monkeypatch.setattr(tuning, "write", lambda *_: SimpleNamespace(layer_rate=0.00123))
    done = command.invoke(cli.app, ["tune", "--model=tiny", "--variant=dice", "--trials=7"])
    assert done.exit_code == 0, done.output
    (budget,) = seen
    assert (budget.trials, budget.workers, budget.storage) == (7, os.cpu_count(), None)
    text = " ".join(done.output.split())
    assert (
        f"at most 7 trials, {os.cpu_count()} at a time, none started after {budget.seconds / 60:g} "
        in text
    )
    assert re.search(r"seeds 100, .*Written: configs/tiny/dice.toml \(layer_rate 0.00123\)", text)
    assert path == tmp_path / configuration.path_of("tiny", "dice")


def test_train_all_prints_what_it_does_and_a_line_per_fit(
    command: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "b"):
        write_config(tmp_path, name, 'loss = "mse"\nhidden = 4\nepochs = 1\nextra_words = 9\n')
    write_config(tmp_path, "c", 'loss = "mse"\nshipped = false\n')

    def here(job: Any, jobs: Any, title: str, name_of: Any, **_: Any) -> list[Any]:
        """A process of its own would not know the tiny data set."""
        with progress(title, len(jobs)) as advance:
            done = []
            for one in jobs:
                done.append(job(one))
                advance(name_of(one))
        return done

    monkeypatch.setattr(actions, "run_parallel", here)
    done = command.invoke(cli.app, ["train-all", "--workers=1"])
    assert done.exit_code == 0, done.output
    lines = done.output.splitlines()
    assert lines[0].startswith("Training 2 variants, 1 at a time. All of them take ")
    assert "Card: " not in done.output
    assert [line.partition(" (")[0] for line in lines[1:3]] == [
        "Training: 1 of 2, tiny/a",
        "Training: 2 of 2, tiny/b",
    ]


FOLDED = """
loss = "bce"
hidden = 4
epochs = 1
extra_words = 9
restore = "last"
about = "Tests."
windows = {}
operating_point = "fpr<=0.5[Tiny]"
"""


def test_train_all_fits_folds_before_the_variants_that_need_them(
    command: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_config(tmp_path, "folded", FOLDED)
    write_config(tmp_path, "plain", 'loss = "mse"\nhidden = 4\nepochs = 1\nextra_words = 9\n')
    rounds: list[list[str]] = []

    def here(job: Any, jobs: Any, title: str, name_of: Any, **_: Any) -> list[Any]:
        rounds.append([name_of(one) for one in jobs])
        return [job(one) for one in jobs]

    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(actions, "run_parallel", here)
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "serving.toml").write_text('[models]\ntiny = "folded"\n')
    done = command.invoke(cli.app, ["train-all", "--workers=2"])
    assert done.exit_code == 0, done.output
    folds = [f"tiny/folded, fold {number}" for number in range(1, 6)]
    assert rounds == [[*folds, "tiny/plain"], ["tiny/folded"]]
    assert done.output.startswith("Training 2 variants and 5 folds, 2 at a time. All of them take ")
    card = tmp_path / "artifacts" / "tiny" / "folded" / "MODEL_CARD.md"
    assert "Card: artifacts/tiny/folded/MODEL_CARD.md" in done.output
    folded = load_manifest(tmp_path / "artifacts" / "tiny" / "folded")
    assert card.read_text(encoding="utf-8") == builtin_card.page(folded)
    assert "## What it is for\n\nTests.\n" in card.read_text(encoding="utf-8")

    rounds.clear()
    done = command.invoke(cli.app, ["train-all", "--output=other"])
    assert done.exit_code == 0, done.output
    assert rounds == [["tiny/plain"], ["tiny/folded"]]  # the folds are in the cache
    assert "Card: " not in done.output
    again = load_manifest(tmp_path / "other" / "tiny" / "folded")
    assert again.content_hash == folded.content_hash


def test_train_one_fits_its_folds_first(
    command: CliRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A process of its own would take seconds to start.
    monkeypatch.setattr(out_of_fold, "run_parallel", lambda job, jobs, *_, **__: [*map(job, jobs)])
    arguments = [*TRAIN, "--set=out_of_fold=true", "--set=restore='last'", "--output=out"]
    done = command.invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    assert "Fitting 5 folds of tiny/dice first." in done.output
    assert "epoch 1 of 2, macro-F1 " in done.output
    assert "on texts learnt from" in done.output
    manifest = load_manifest(tmp_path / "out" / "tiny" / "dice")
    assert manifest.threshold_rule is not None
    assert manifest.threshold_rule["fitted_on"] == "out_of_fold"


def test_windows_are_not_shipped_without_a_fitted_penalty(
    command: CliRunner, tmp_path: Path
) -> None:
    write_config(tmp_path, "cut", 'loss = "bce"\nwindows = {}\n')
    done = command.invoke(cli.app, ["train-all"])
    assert done.exit_code == 1
    assert "tiny/cut: the penalty of its windows is fitted out of fold; set out" in done.output


@pytest.mark.parametrize(
    "name",
    [
        "train",
        "train-all",
        "evaluate",
        "tune",
        "download",
    ],
)
def test_every_command_explains_itself(command: CliRunner, name: str) -> None:
    assert name in command.invoke(cli.app, ["--help"]).output
    done = command.invoke(cli.app, [name, "--help"])
    assert done.exit_code == 0
    assert "Usage" in done.output
