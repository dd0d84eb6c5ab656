"""Many runs, each kept as soon as it is finished."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training import runs
from training.configuration import Configuration, SourceChoice, Wide
from training.data import custom_data
from training.data.custom_data import CustomData
from training.data.datasets import Dataset, Source
from training.data.splits import Protocol
from training.errors import TrainingError
from training.experiment import Run
from training.provenance import WITHOUT_NUMBERS
from training.runs import directory_of, run_all, run_cached, run_cells, watched_modules

from ..conftest import ROOT

CONFIG = Configuration(
    model="tiny", variant="dice", loss="dice", hidden=8, epochs=1, batch_size=64, extra_words=50
)
RUN = Run(CONFIG, Protocol.PAPER, seed=1)

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    # A process of its own would not know the tiny data set, so its part is done here.
    monkeypatch.setattr(runs, "run_parallel", lambda job, jobs, *_, **__: [job(j) for j in jobs])
    return tmp_path / "cache"


def no_more_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Run, *_: object) -> None:
        raise AssertionError(f"carried out again: {run}")

    monkeypatch.setattr(runs, "train", refuse)


def test_finished_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_all([RUN, RUN], "Test")
    assert first[0] == first[1]
    assert first[0].artifact.is_dir()
    no_more_fits(monkeypatch)
    assert run_all([RUN], "Test") == first[:1]
    assert run_cached(RUN) == first[0]
    renamed = replace(RUN, config=CONFIG.model_copy(update={"variant": "b", "shipped": False}))
    assert run_cached(renamed) == first[0]
    with pytest.raises(AssertionError, match="carried out again"):
        run_cached(replace(RUN, seed=2))


def test_an_interrupted_series_is_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    other = replace(RUN, seed=2)
    made: list[Run] = []
    train = runs.train

    def once(run: Run, *arguments: Any) -> Any:
        if made:
            raise KeyboardInterrupt
        made.append(run)
        return train(run, *arguments)

    monkeypatch.setattr(runs, "train", once)
    with pytest.raises(KeyboardInterrupt):
        run_all([RUN, other], "Test")
    assert made == [RUN]
    made.clear()
    kept = run_all([RUN, other], "Test")
    assert made == [other]
    assert kept[0].artifact != kept[1].artifact
    directory = kept[0].artifact.parent.parent
    assert {one.name for one in directory.iterdir()} == {one.artifact.parent.name for one in kept}


def test_cells_keep_their_order() -> None:
    other = replace(RUN, seed=2)
    cells = run_cells([[RUN, other], [], [RUN]], "Test")
    assert cells == [[run_cached(RUN), run_cached(other)], [], [run_cached(RUN)]]


def test_an_artifact_that_nobody_wants_is_not_kept() -> None:
    kept = run_cached(RUN)
    figures = run_cached(replace(RUN, keep_artifact=False))
    assert not figures.artifact.exists()
    assert (kept.artifact / "model.json").is_file()
    assert figures.result.metrics == kept.result.metrics
    # The configuration, and with it the manifest, is the same: so is its size but for the timings.
    assert figures.result.bytes == pytest.approx(kept.result.bytes, abs=20)


def test_a_result_is_read_as_it_was_written() -> None:
    kept = run_cached(RUN)
    written = json.loads((kept.artifact.parent / "result.json").read_text())
    assert written["metrics"] == kept.result.metrics
    assert set(kept.result.history[0]) == {"train", "validation", "macro_f1", "average_precision"}


# What a run is known by


def read(path: Path, text: str, **options: Any) -> Dataset:
    path.write_text(text)
    return custom_data.read(CustomData("mine", path, **options)).dataset


ROWS = "".join(f"text {'x' * number},{number % 2}\n" for number in range(40))
MINE = CONFIG.model_copy(update={"model": "mine"})


def test_what_changes_a_number_changes_the_directory(
    tmp_path: Path, tiny_type: Source, tiny_sources: list[SourceChoice]
) -> None:
    mine, swapped = (
        read(tmp_path / "mine.csv", f"text,label\n{ROWS}", positive=positive)
        for positive in ("1", "0")
    )
    first, second = tiny_sources
    heavier = second.model_copy(update={"weight": 2.0})
    fewer = second.model_copy(update={"rows": 100})
    choices = [(first,), (second, first), *((first, one) for one in (second, heavier, fewer))]
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 2},
        {"protocol": Protocol.GROUPED},
        {"read_test": False},
        {"sample_rows": 100},
        {"minority_share": 0.1},
        {"keep_artifact": False},
        {"config": CONFIG.model_copy(update={"layer_rate": 0.5})},
        {"config": CONFIG.model_copy(update={"types_weight": 0.5})},
        {"config": CONFIG.model_copy(update={"match_length": True})},
        *({"config": CONFIG.model_copy(update={"sources": chosen})} for chosen in choices),
        {"config": MINE, "dataset": mine},
        {"config": MINE, "dataset": swapped},
    ]
    homes = [directory_of(replace(RUN, **change)) for change in changes]
    assert len(set(homes)) == len(homes)
    assert homes == [directory_of(replace(RUN, **change)) for change in changes]


def test_custom_data_is_known_by_its_content(tmp_path: Path) -> None:
    def home(name: str, text: str) -> Path:
        dataset = read(tmp_path / name, text, positive="1", text_column="text")
        return directory_of(replace(RUN, config=MINE, dataset=dataset))

    assert home("a.csv", f"text,label\n{ROWS}") == home("b.csv", f"text,label\n{ROWS}")
    assert home("a.csv", f"text,label\n{ROWS}") != home("c.csv", f"text,label\n{ROWS}more,1\n")


def test_what_the_wide_path_reads_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It follows from the configuration by code, which may change."""
    wide = replace(RUN, config=CONFIG.model_copy(update={"wide": Wide(bits=10)}))
    fewer = Wide(bits=10, words=1).features()
    before = directory_of(wide)
    monkeypatch.setattr(Wide, "features", lambda _: fewer)
    assert directory_of(wide) != before


def test_two_commands_may_finish_the_same_run(monkeypatch: pytest.MonkeyPatch) -> None:
    train = runs.train

    def train_after_another(run: Run, directory: Path) -> Any:
        monkeypatch.setattr(runs, "train", train)
        run_cached(run)
        return train(run, directory)

    monkeypatch.setattr(runs, "train", train_after_another)
    run = replace(RUN, seed=77)
    assert run_cached(run).artifact.is_dir()
    assert not list(directory_of(run).parent.glob(".run-*"))


def test_which_column_has_the_texts_counts(tmp_path: Path) -> None:
    text = "a,b,label\n" + "".join(
        f"one {'x' * number},two {'y' * number},{number % 2}\n" for number in range(40)
    )
    homes = {
        directory_of(
            replace(
                RUN,
                config=MINE,
                dataset=read(tmp_path / "mine.csv", text, positive="1", text_column=column),
            )
        )
        for column in ("a", "b")
    }
    assert len(homes) == 2


IMPORTED = """
import sys
import training.experiment
own = [name for name in sys.modules if name.partition(".")[0] in {"training", "dandelion"}]
print(*own)
"""


# What `import dandelion` loads for the names that it offers; no fit uses it.
OF_THE_PACKAGE = {
    "dandelion.artifact_cache",
    "dandelion.chunks",
    "dandelion.decision.buckets",
    "dandelion.decision.prediction",
    "dandelion.decision.ranking",
    "dandelion.engines.attribution",
    "dandelion.engines.restoring",
    "dandelion.evaluation",
    "dandelion.evaluation_file",
    "dandelion.engines.layout",
    "dandelion.engines.words",
    "dandelion.explanation",
    "dandelion.gate",
    "dandelion.labelled",
    "dandelion.policy_file",
    "dandelion.reference_file",
    "dandelion.remote",
    "dandelion.remote_artifacts",
    "dandelion.retraining_file",
    "dandelion.sampling",
    "dandelion.spans",
    "dandelion.text.alignment",
    "dandelion.text.copies",
    "dandelion.verdicts",
    "dandelion.writing",
}


def test_all_that_a_run_imports_is_watched() -> None:
    """But for what is known not to decide its numbers."""
    command = [sys.executable, "-c", IMPORTED]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    watched = set(watched_modules())
    packages = {name.rpartition(".")[0] for name in done.stdout.split()}
    modules = set(done.stdout.split()) - packages
    for room in ("losses", "model", "fitting", "quality"):
        files = (ROOT / "training" / room).glob("[!_]*.py")
        assert {f"training.{room}.{file.stem}" for file in files} <= watched
    assert {"training.experiment", "training.data.splits", "dandelion.engines.network"} <= watched
    assert modules - WITHOUT_NUMBERS - OF_THE_PACKAGE <= watched
    assert modules >= OF_THE_PACKAGE  # none of them is gone
    assert not watched & OF_THE_PACKAGE
    assert modules | packages >= WITHOUT_NUMBERS  # none of them is gone


def test_an_unknown_data_set_is_reported(tiny: Source) -> None:
    with pytest.raises(TrainingError, match=r"unknown model 'soup'; available models: .*tiny"):
        run_cached(replace(RUN, config=CONFIG.model_copy(update={"model": "soup"})))
