"""Many runs, each kept once it is made."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from training import runs
from training.configuration import Configuration
from training.data.custom_data import CustomData
from training.data.datasets import Source
from training.data.splits import Protocol
from training.errors import TrainingError
from training.experiment import Run
from training.runs import keep, run_all, run_cells, side_by_side

CONFIG = Configuration(
    model="tiny", variant="dice", loss="dice", hidden=8, epochs=1, batch_size=64, extra_words=50
)
RUN = Run(CONFIG, Protocol.PAPER, seed=1)

pytestmark = pytest.mark.usefixtures("tiny")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("TRAINING_CACHE", str(tmp_path / "cache"))
    # A process of its own would not know the tiny data set, so its part is done here.
    monkeypatch.setattr(runs, "side_by_side", lambda job, jobs, *_, **__: [job(j) for j in jobs])
    runs._code_sha256.cache_clear()
    yield tmp_path / "cache"
    runs._code_sha256.cache_clear()


def no_more_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(run: Run, *_: object) -> None:
        raise AssertionError(f"made again: {run}")

    monkeypatch.setattr(runs, "train", refuse)


def test_finished_runs_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    first = run_all([RUN, RUN], "Test")
    assert first[0] == first[1]
    assert first[0].artifact.is_dir()
    no_more_fits(monkeypatch)
    assert run_all([RUN], "Test") == first[:1]
    assert keep(RUN) == first[0]
    renamed = replace(RUN, config=CONFIG.model_copy(update={"variant": "b", "shipped": False}))
    assert keep(renamed) == first[0]
    with pytest.raises(AssertionError, match="made again"):
        keep(replace(RUN, seed=2))


def test_a_series_goes_on_where_it_broke_off(monkeypatch: pytest.MonkeyPatch) -> None:
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


def test_cells_are_given_back_as_they_came() -> None:
    other = replace(RUN, seed=2)
    cells = run_cells([[RUN, other], [], [RUN]], "Test")
    assert cells == [[keep(RUN), keep(other)], [], [keep(RUN)]]


def test_an_artifact_that_nobody_wants_is_not_kept() -> None:
    kept = keep(RUN)
    figures = keep(replace(RUN, keep_artifact=False))
    assert not figures.artifact.exists()
    assert (kept.artifact / "model.json").is_file()
    assert figures.result.metrics == kept.result.metrics
    # The configuration, and with it the manifest, is the same: so is its size but for the timings.
    assert figures.result.bytes == pytest.approx(kept.result.bytes, abs=20)


def test_a_result_is_read_as_it_was_written() -> None:
    kept = keep(RUN)
    written = json.loads((kept.artifact.parent / "result.json").read_text())
    assert written["metrics"] == kept.result.metrics
    assert set(kept.result.history[0]) == {"train", "validation", "macro_f1", "average_precision"}


# What a run is known by


def test_what_changes_a_number_changes_the_place(tmp_path: Path) -> None:
    csv = tmp_path / "mine.csv"
    rows = [f"text {'x' * number},{number % 2}" for number in range(40)]
    csv.write_text("\n".join(["text,label", *rows]))
    custom = CustomData("mine", csv, positive="1")
    changes: list[dict[str, Any]] = [
        {},
        {"seed": 2},
        {"protocol": Protocol.GROUPED},
        {"read_test": False},
        {"sample_rows": 100},
        {"minority_share": 0.1},
        {"keep_artifact": False},
        {"config": CONFIG.model_copy(update={"layer_rate": 0.5})},
        {"config": CONFIG.model_copy(update={"model": "mine"}), "custom": custom},
        {
            "config": CONFIG.model_copy(update={"model": "mine"}),
            "custom": replace(custom, positive="0"),
        },
    ]
    homes = [runs._home(replace(RUN, **change)) for change in changes]
    assert len(set(homes)) == len(homes)
    assert homes == [runs._home(replace(RUN, **change)) for change in changes]


def test_custom_data_is_known_by_its_bytes(tmp_path: Path) -> None:
    def home(name: str, more: str) -> Path:
        rows = [f"text {'x' * number},{number % 2}" for number in range(40)]
        path = tmp_path / name
        path.write_text("\n".join(["text,label", *rows, *([more] if more else [])]))
        return runs._home(replace(RUN, custom=CustomData("mine", path, positive="1")))

    assert home("a.csv", "") == home("b.csv", "")
    assert home("a.csv", "") != home("c.csv", "one more,1")


MODULE = '''
"""What it is for."""

RATE = 2  # a comment


class Thing:
    """What it is."""

    size: int = 3
    """What that is."""

    def double(self) -> int:
        """Say what."""
        return self.size * RATE
'''


@pytest.fixture
def home_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """Tell where a run is kept if ``source`` is all the code there is."""
    module = tmp_path / "module.py"
    monkeypatch.setattr(runs, "_CODE", (module,))

    def home(source: str) -> Path:
        module.write_text(source)
        runs._code_sha256.cache_clear()
        return runs._home(RUN)

    return home


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("# a comment", ""),
        ("What it is for.", "What it is for, at length."),
        ('    """What it is."""\n', ""),
        ("What that is.", "Something else."),
        ("Say what.", "Say something else."),
        ("RATE = 2", "\n\nRATE = (\n    2\n)"),
    ],
)
def test_words_about_the_code_make_no_run_again(
    home_of: Callable[[str], Path], old: str, new: str
) -> None:
    assert old in MODULE
    assert home_of(MODULE.replace(old, new)) == home_of(MODULE)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("RATE = 2", "RATE = 3"),
        ("size: int = 3", "size: int = 4"),
        ("self.size * RATE", "RATE * self.size"),
        ("return self.size", 'return "A value, no docstring." and self.size'),
        ("class Thing:", "class Things:"),
    ],
)
def test_a_change_of_the_code_does(home_of: Callable[[str], Path], old: str, new: str) -> None:
    assert old in MODULE
    assert home_of(MODULE.replace(old, new)) != home_of(MODULE)


def test_all_that_a_run_imports_is_watched() -> None:
    """But for what its configuration says already, and errors and files."""
    import ast

    watched = {path.stem for path in runs._CODE}
    unwatched = {"configuration", "errors", "cache"}
    packages = {"data", "losses", "model", "fitting", "quality"}
    for path in runs._CODE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level and "dandelion" not in path.parts:
                last = (node.module or "").split(".")[-1]
                modules = [last] if last not in packages | {""} else [a.name for a in node.names]
                assert set(modules) <= watched | unwatched | packages, path


# Side by side


def test_side_by_side_keeps_the_order_and_ends_at_the_first_failure() -> None:
    # A function of Python's own: a process for one of ours would import torch first.
    assert side_by_side(int, ["1", "2", "3"], "Test", workers=2) == [1, 2, 3]
    with pytest.raises(ValueError, match="invalid literal for int"):
        side_by_side(int, ["1", "one", "3"], "Test", workers=2)


def test_an_unknown_data_set_is_told(tiny: Source) -> None:
    with pytest.raises(TrainingError, match=r"no model 'soup'; there are: .*tiny"):
        keep(replace(RUN, config=CONFIG.model_copy(update={"model": "soup"})))
