"""The search for hyper-parameters, with a formula in place of fits."""

import json
import math
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState

from training import configuration, tuning
from training.configuration import Configuration, Wide
from training.experiment import Run
from training.tuning import Budget, judge, page, seeds_of, suggested, tune, write

from ..conftest import PATIENCE_S, ROOT

PLAIN = Configuration(model="cyberbullying", variant="plain", loss="dice", dimensions=20)
WIDE = Configuration(
    model="cyberbullying",
    variant="dice-wide",
    loss="dice",
    loss_options={"classes": "minority"},
    types_weight=1.0,
    hidden=256,
    epochs=6,
    schedule="cosine",
    restore="last",
    wide=Wide(bits=17, chars=(3, 4), surface_dimensions=16, rate=0.02),
)
SPAM = Configuration(model="spam", variant="plain", loss="dice")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(before)


Value = Callable[[Run], float]


class Fits:
    """The runs that were fitted, and how good each of them is."""

    def __init__(self) -> None:
        self.runs: list[Run] = []
        self.value: Value = lambda run: 0.9 - abs(math.log(run.config.layer_rate / 0.002)) / 10
        self._lock = threading.Lock()

    def run_cached(self, run: Run) -> Any:
        with self._lock:
            self.runs.append(run)
        value = self.value(run)
        judged = ("macro_f1", "mcc", "auroc", "average_precision")
        metrics = {"validation": {"fitted": dict.fromkeys(judged, value)}}
        return SimpleNamespace(result=SimpleNamespace(metrics=metrics, train_seconds=3.0))


@pytest.fixture
def fits(monkeypatch: pytest.MonkeyPatch) -> Fits:
    """Fit in this process, at once."""
    made = Fits()
    monkeypatch.setattr(tuning, "run_cached", made.run_cached)
    monkeypatch.setattr(
        tuning, "ProcessPoolExecutor", lambda workers, **_: ThreadPoolExecutor(workers)
    )
    return made


def budget(trials: int, *, workers: int = 1, storage: str | None = None) -> Budget:
    return Budget(trials=trials, seconds=None, workers=workers, storage=storage)


def states(study: optuna.Study) -> list[TrialState]:
    return [one.state for one in study.trials]


def test_the_judge_takes_the_mean_of_what_matters() -> None:
    binary = {"macro_f1": 0.8, "mcc": 0.6, "auroc": 0.9, "average_precision": 0.7, "accuracy": 0}
    constant = dict.fromkeys(binary, 0.0)
    assert judge({"0.5": constant, "fitted": binary}) == pytest.approx(0.75)
    classes = {"macro_f1": 0.8, "mcc": 0.6, "auroc": None, "average_precision": None}
    assert judge({"argmax": classes}) == pytest.approx(0.7)


@pytest.mark.parametrize("model", ["spam", "cyberbullying", "cyberbullying_type", "another"])
def test_seeds_are_never_those_reported(model: str) -> None:
    assert seeds_of(model)
    assert not set(seeds_of(model)) & set(range(10))


def test_the_base_is_tried_first_and_the_test_fold_never_read(fits: Fits) -> None:
    study = tune(WIDE, budget(4))
    assert fits.runs[0].config == WIDE
    assert len(study.trials) == 4
    assert not any(run.read_test or run.keep_artifact for run in fits.runs)
    assert {run.seed for run in fits.runs} == set(seeds_of("cyberbullying"))
    assert len({run.config for run in map(hashable, fits.runs)}) == 4


def test_trials_are_judged_on_validation_alone_and_keep_their_point(fits: Fits) -> None:
    decided = {"operating_point": "fpr<=0.01[talk]", "groups": {"talk": ("chat",)}}
    base = SPAM.model_copy(update={"out_of_fold": True} | decided)
    study = tune(base, budget(1))
    assert fits.runs
    assert not any(run.config.folded for run in fits.runs)
    best = Configuration.model_validate(study.best_trial.user_attrs["config"])
    assert best.out_of_fold
    assert {name: getattr(best, name) for name in decided} == decided


def hashable(run: Run) -> Any:
    return SimpleNamespace(config=run.config.model_dump_json())


@pytest.mark.parametrize("base", [PLAIN, WIDE])
def test_what_is_not_searched_stays(fits: Fits, base: Configuration) -> None:
    tune(base, budget(5))
    searched = {"layer_rate", "embedding_rate", "batch_size", "word_dropout"}
    searched |= {"epochs", "hidden", "wide", "types_weight"} if base.wide is not None else set()
    for run in fits.runs:
        assert run.config.model_dump(exclude=searched) == base.model_dump(exclude=searched)
        if base.wide is None:
            assert run.config.wide is None
        else:
            assert run.config.wide is not None
            wide = {"rate", "surface_rate", "decay", "surface_dimensions"}
            assert run.config.wide.model_dump(exclude=wide) == base.wide.model_dump(exclude=wide)


@pytest.mark.parametrize(
    "changes", [{"batch_size": 48}, {"hidden": 64}, {"wide": Wide(surface_dimensions=5)}]
)
def test_a_base_that_is_not_among_the_choices_is_searched_from_anyway(
    fits: Fits, changes: dict[str, Any]
) -> None:
    base = WIDE.model_copy(update=changes)
    study = tune(base, budget(2))
    assert states(study) == [TrialState.COMPLETE] * 2
    first = fits.runs[0].config
    assert first.layer_rate == base.layer_rate
    assert first.batch_size in {64, 128, 256}
    assert first.hidden in {128, 256}


def test_it_finds_what_is_better(fits: Fits) -> None:
    study = tune(PLAIN, budget(25))
    assert study.best_value > fits.value(fits.runs[0])
    assert study.best_params["layer_rate"] == pytest.approx(0.002, rel=0.2)
    assert study.best_trial.user_attrs["macro_f1"] == study.best_value
    assert study.best_trial.user_attrs["seconds"] == 3.0


def test_equal_searches_are_equal(fits: Fits) -> None:
    first, again = (
        [one.params for one in tune(PLAIN, budget(6)).trials] for _ in range(2)
    )  # fmt: skip
    assert first == again


def test_trials_go_side_by_side(fits: Fits) -> None:
    both = threading.Barrier(2, timeout=PATIENCE_S)

    def wait(run: Run) -> float:
        both.wait()
        return run.config.word_dropout

    fits.value = wait
    study = tune(PLAIN, budget(4, workers=2))
    assert states(study) == [TrialState.COMPLETE] * 4


def test_no_trial_begins_after_the_time(fits: Fits) -> None:
    study = tune(PLAIN, Budget(trials=10, seconds=0.0, workers=1, storage=None))
    assert len(fits.runs) < 10
    assert not [state for state in states(study) if state is TrialState.FAIL]


# Pruning


def test_a_trial_behind_the_median_is_pruned(fits: Fits) -> None:
    seeds = len(seeds_of("spam"))
    made = 0

    def falling(run: Run) -> float:
        nonlocal made
        made += run.seed == seeds_of("spam")[0]
        return 0.9 - made / 100

    fits.value = falling
    study = tune(SPAM, budget(8))
    # Five have no median to be behind of; every later one is worse.
    assert states(study) == [TrialState.COMPLETE] * 5 + [TrialState.PRUNED] * 3
    assert len(fits.runs) == 5 * seeds + 3


def test_at_the_last_seed_nothing_is_pruned(fits: Fits) -> None:
    fits.value = lambda run: 0.9 - len(fits.runs) / 100
    assert len(seeds_of("cyberbullying")) == 1
    study = tune(PLAIN, budget(8))
    assert states(study) == [TrialState.COMPLETE] * 8


def test_a_good_trial_goes_on(fits: Fits) -> None:
    fits.value = lambda run: 0.1 + len(fits.runs) / 1000
    study = tune(SPAM, budget(7))
    assert states(study) == [TrialState.COMPLETE] * 7


# Storage


def test_an_interrupted_search_goes_on(fits: Fits, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'tune.db'}"

    def interrupt(run: Run) -> float:
        if len(fits.runs) > 1:
            raise KeyboardInterrupt
        return run.config.word_dropout

    fits.value = interrupt
    with pytest.raises(KeyboardInterrupt):
        tune(PLAIN, budget(3, storage=storage))
    fits.runs.clear()
    fits.value = lambda run: run.config.word_dropout
    study = tune(PLAIN, budget(3, storage=storage))
    assert states(study).count(TrialState.COMPLETE) == 3
    assert len(fits.runs) == 2  # one was done
    assert PLAIN not in [run.config for run in fits.runs]

    fits.runs.clear()
    again = tune(PLAIN, budget(3, storage=storage))
    assert not fits.runs
    assert again.best_value == study.best_value
    other = tune(PLAIN.model_copy(update={"variant": "other"}), budget(1, storage=storage))
    assert len(other.trials) == 1


# What is written


@pytest.mark.parametrize("base", [PLAIN, WIDE])
def test_the_winners_file_is_the_winner_to_three_digits(
    fits: Fits, base: Configuration, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tune(base, budget(6))
    best = write(base, study, tmp_path / "results")
    assert best.model_dump(mode="json") == study.best_trial.user_attrs["config"]

    again = configuration.load(base.model, base.variant)
    assert rounded(best.model_dump()) == again.model_dump()
    assert again != best  # a search draws more digits
    text = configuration.path_of(base.model, base.variant).read_text()
    heading = [line for line in text.splitlines() if line.startswith("#")]
    assert "plain three-layer" in heading[0] if base.wide is None else "wide and" in heading[0]
    assert all(len(line) <= 100 for line in heading)
    assert f"macro_f1 {study.best_value:.4f}" in text
    assert "about 3 s a fit" in text
    assert "patience" not in text  # defaults are not repeated


def rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    return float(f"{value:.2e}") if isinstance(value, float) else value


def test_the_page_lists_every_complete_trial(fits: Fits, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    fits.value = lambda run: 0.9 - len(fits.runs) / 1000
    study = tune(SPAM, budget(8))
    write(SPAM, study, tmp_path)
    text = (tmp_path / "tuning-spam-plain.md").read_text()
    assert "8 trials, 3 of them pruned" in text
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert lines[0].startswith("| layer_rate | embedding_rate | batch_size | word_dropout | judged")
    assert len(lines) == 2 + 5
    judged = [line.split("|")[5].strip() for line in lines[2:]]
    assert judged == sorted(judged, reverse=True)
    assert judged[0] == f"{study.best_value:.4f}"


def test_the_page_is_made_of_the_json_alone(
    fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    study = tune(WIDE, budget(3))
    write(WIDE, study, tmp_path)
    written = json.loads((tmp_path / "tuning-cyberbullying-dice-wide.json").read_text())
    assert page(written) == (tmp_path / "tuning-cyberbullying-dice-wide.md").read_text()
    (table,) = written["tables"]
    names = [column["name"] for column in table["columns"]]
    best = dict(zip(names, table["rows"][0], strict=True))
    assert best.items() >= study.best_trial.params.items()  # every digit is kept
    assert best["judged"] == study.best_value


@pytest.mark.parametrize("path", sorted((ROOT / "docs" / "results").glob("tuning-*.md")))
def test_every_committed_page_is_that_of_its_json(path: Path) -> None:
    written = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert page(written) == path.read_text(encoding="utf-8")


def test_without_a_terminal_a_line_per_trial_is_printed(
    fits: Fits, capsys: pytest.CaptureFixture[str]
) -> None:
    study = tune(PLAIN, budget(2))
    lines = capsys.readouterr().out.splitlines()
    for number, line in enumerate(lines, start=1):
        judged = f"trial {number - 1} judged {study.trials[number - 1].value:.4f}"
        assert line.startswith(f"Trials: {number} of 2, {judged} (")
    assert len(lines) == 2


def test_a_search_of_classes_names_their_figures(
    fits: Fits, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    def run_cached(run: Run) -> Any:
        metrics = {"validation": {"argmax": {"macro_f1": 0.8, "mcc": 0.7, "auroc": None}}}
        return SimpleNamespace(result=SimpleNamespace(metrics=metrics, train_seconds=3.0))

    monkeypatch.setattr(tuning, "run_cached", run_cached)
    base = Configuration(model="cyberbullying_type", variant="plain", loss="cross_entropy")
    study = tune(base, budget(1))
    assert study.best_value == pytest.approx(0.75)
    write(base, study, tmp_path)
    text = configuration.path_of(base.model, base.variant).read_text()
    assert "macro_f1 0.8000, mcc 0.7000;" in text
    assert configuration.load(base.model, base.variant).loss == "cross_entropy"


def test_a_trial_chooses_within_bounds() -> None:
    low = {"layer_rate": 5e-4, "embedding_rate": 1e-3, "batch_size": 64, "word_dropout": 0.1}
    config = suggested(PLAIN, optuna.trial.FixedTrial(low))  # type: ignore[arg-type]
    assert {name: getattr(config, name) for name in low} == low
