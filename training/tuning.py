"""The search for hyper-parameters with Optuna (Akiba et al. 2019), on validation, on seeds that are
never reported."""

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Final, NotRequired, TypedDict

import optuna
import tomli_w
from optuna.trial import FrozenTrial, Trial, TrialState

from .cache import write_atomically
from .configuration import Configuration, path_of
from .data.splits import Protocol
from .experiment import Run
from .losses.registry import LOSSES
from .parallel import progress
from .quality.metrics import ARGMAX, FITTED, ByCut, Cut, Metric, value_of
from .runs import CachedRun, run_cached
from .tables import markdown_table

# Reported seeds are 0 to 9. A validation fold as large as the tweets' needs only one seed.
_SEEDS = (100, 101, 102, 103, 104, 105)
_SEEDS_OF_LARGE = {"cyberbullying": (100,), "cyberbullying_type": (100,)}

# A trial is judged by the mean of these on validation: at the fitted threshold, or with more than
# two labels at the highest score.
_JUDGED: Final[dict[Cut, tuple[Metric, ...]]] = {
    FITTED: ("macro_f1", "mcc", "auroc", "average_precision"),
    ARGMAX: ("macro_f1", "mcc"),
}

_CHOICES = {
    "batch_size": (64, 128, 256),
    "hidden": (128, 256),
    "wide.surface_dimensions": (16, 32),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a search may take.

    Attributes:
        trials: the largest number of them.
        seconds: after which no trial is started; None for no limit.
        workers: trials side by side.
        storage: the URL of Optuna's storage, so that an interrupted search can be resumed; None for
            memory.
    """

    trials: int
    seconds: float | None
    workers: int
    storage: str | None


class Column(TypedDict):
    """A column of a table of trials: its name, and how Python formats its numbers."""

    name: str
    format: str


class Trials(TypedDict):
    """A table of trials, the best first."""

    title: NotRequired[str]
    columns: list[Column]
    rows: list[list[float]]


class Search(TypedDict):
    """What is kept of a search, as JSON next to its page: all that `page` needs."""

    title: str
    note: str
    tables: list[Trials]


def seeds_of(model: str) -> tuple[int, ...]:
    """Return the seeds on which something is chosen for a model, never reported."""
    return _SEEDS_OF_LARGE.get(model, _SEEDS)


def tune(base: Configuration, budget: Budget) -> optuna.Study:
    """Search for the hyper-parameters of a variant; everything else stays as in ``base``.

    The first trial is ``base`` itself, as far as its values are among those searched. After each
    seed except the last, a trial is pruned if it is behind the median of the others at that seed.
    """
    study = optuna.create_study(
        study_name=f"{base.model}/{base.variant}",
        storage=budget.storage,
        load_if_exists=True,
        direction="maximize",
        sampler=optuna.samplers.TPESampler(seed=0, multivariate=True),
        pruner=optuna.pruners.MedianPruner(n_startup_trials=5),
    )
    done = sum(one.state in {TrialState.COMPLETE, TrialState.PRUNED} for one in study.trials)
    study.enqueue_trial(_values_of(base), skip_if_exists=True)
    with (
        ProcessPoolExecutor(budget.workers, mp_context=get_context("spawn")) as pool,
        progress("Trials", budget.trials, done) as advance,
    ):
        study.optimize(
            _objective(base, pool),
            n_trials=max(budget.trials - done, 0),
            timeout=budget.seconds,
            n_jobs=budget.workers,
            callbacks=[lambda _, trial: advance(_outcome(trial))],
        )
    return study


def _outcome(trial: FrozenTrial) -> str:
    if trial.state is TrialState.COMPLETE:
        return f"trial {trial.number} judged {trial.value:.4f}"
    return f"trial {trial.number} {trial.state.name.lower()}"


def suggested(base: Configuration, trial: Trial) -> Configuration:
    """Return ``base`` with the hyper-parameters that a trial suggests."""
    drawn: dict[str, object] = {
        "layer_rate": trial.suggest_float("layer_rate", 5e-4, 5e-3, log=True),
        "embedding_rate": trial.suggest_float("embedding_rate", 1e-3, 1e-2, log=True),
        "batch_size": trial.suggest_categorical("batch_size", _CHOICES["batch_size"]),
        "word_dropout": trial.suggest_float("word_dropout", 0.1, 0.6),
    }
    if base.wide is not None:
        drawn["epochs"] = trial.suggest_int("epochs", 4, 10)
        drawn["hidden"] = trial.suggest_categorical("hidden", _CHOICES["hidden"])
        dimensions = trial.suggest_categorical(
            "wide.surface_dimensions", _CHOICES["wide.surface_dimensions"]
        )
        wide = {
            "surface_dimensions": dimensions,
            "rate": trial.suggest_float("wide.rate", 3e-3, 5e-2, log=True),
            "surface_rate": trial.suggest_float("wide.surface_rate", 3e-3, 1e-1, log=True),
            "decay": trial.suggest_float("wide.decay", 3e-6, 1e-4, log=True),
        }
        drawn["wide"] = base.wide.model_dump() | wide
    if base.types_weight:
        drawn["types_weight"] = trial.suggest_float("types_weight", 0.2, 5, log=True)
    return Configuration.model_validate(base.model_dump() | drawn)


def _values_of(config: Configuration) -> dict[str, object]:
    """Return the values that are searched, named as in `suggested`; none that it cannot choose."""
    names = ["layer_rate", "embedding_rate", "batch_size", "word_dropout"]
    if config.wide is not None:
        names += ["epochs", "hidden"]
    if config.types_weight:
        names.append("types_weight")
    values = {name: getattr(config, name) for name in names}
    if config.wide is not None:
        wide = config.wide.model_dump(
            include={"rate", "surface_rate", "decay", "surface_dimensions"}
        )
        values |= {f"wide.{name}": value for name, value in wide.items()}
    return {name: one for name, one in values.items() if one in _CHOICES.get(name, (one,))}


def judge(metrics: ByCut) -> float:
    """Return the mean by which a trial is judged, from its metrics on validation."""
    cut = _cut_of(metrics)
    return statistics.fmean(value_of(metrics[cut], name) for name in _JUDGED[cut])


def _cut_of(metrics: ByCut) -> Cut:
    return FITTED if FITTED in metrics else ARGMAX


def _objective(base: Configuration, pool: Executor) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        config = suggested(base, trial)
        done: list[CachedRun] = []
        seeds = seeds_of(base.model)
        for step, seed in enumerate(seeds, start=1):
            run = Run(
                config.without_folds(),
                Protocol.GROUPED,
                seed,
                read_test=False,
                keep_artifact=False,
            )
            done.append(pool.submit(run_cached, run).result())
            judged = statistics.fmean(judge(one.result.metrics["validation"]) for one in done)
            trial.report(judged, step)
            if step < len(seeds) and trial.should_prune():
                raise optuna.TrialPruned
        for name, figure in _figures(done).items():
            trial.set_user_attr(name, figure)
        trial.set_user_attr("config", config.model_dump(mode="json"))
        return judged

    return objective


def _figures(done: Sequence[CachedRun]) -> dict[str, float]:
    folds = [one.result.metrics["validation"] for one in done]
    cut = _cut_of(folds[0])
    figures: dict[str, float] = {
        name: statistics.fmean(value_of(fold[cut], name) for fold in folds) for name in _JUDGED[cut]
    }
    return figures | {"seconds": statistics.fmean(one.result.train_seconds for one in done)}


def write(base: Configuration, study: optuna.Study, results: Path) -> Configuration:
    """Write the best trial as a configuration file, and every trial as JSON and as a page.

    Returns:
        The best trial's configuration.
    """
    best = Configuration.model_validate(study.best_trial.user_attrs["config"])
    path = path_of(base.model, base.variant)
    write_atomically(path, _config_file(best, study).encode())
    search = summary(base, study)
    stem = f"tuning-{base.model}-{base.variant}"
    text = json.dumps(search, indent=1, ensure_ascii=False) + "\n"
    write_atomically(results / f"{stem}.json", text.encode())
    write_atomically(results / f"{stem}.md", page(search).encode())
    return best


def summary(base: Configuration, study: optuna.Study) -> Search:
    """Return what is kept of a search: every complete trial, the best first."""
    complete = [one for one in study.trials if one.state is TrialState.COMPLETE]
    complete.sort(key=lambda one: one.value or 0, reverse=True)
    pruned = sum(one.state is TrialState.PRUNED for one in study.trials)
    names = list(study.best_trial.params)
    judged = [name for name in study.best_trial.user_attrs if name not in {"config", "seconds"}]
    arguments = f"tune --model {base.model} --variant {base.variant}"
    return Search(
        title=f"Tuning, {base.model}/{base.variant}",
        note=f"""\
Written by `python -m training {arguments}`: Optuna's TPE,
{len(study.trials)} trials, {pruned} of them pruned after a seed at which they were behind the
median. Grouped protocol, seeds {_seeds_listed(base)} (never reported elsewhere), means over them;
validation only, the test fold is not read. The first trial is the file as it was before. The
largest mean of {", ".join(judged)} wins.""",
        tables=[
            Trials(
                columns=[
                    *(Column(name=name, format=".3g") for name in names),
                    *(Column(name=name, format=".4f") for name in ("judged", *judged)),
                    Column(name="seconds", format=".0f"),
                ],
                rows=[_row(one, names, judged) for one in complete],
            )
        ],
    )


def _row(trial: FrozenTrial, names: Sequence[str], judged: Sequence[str]) -> list[float]:
    figures = [trial.user_attrs[name] for name in (*judged, "seconds")]
    return [*(trial.params[name] for name in names), trial.value or 0.0, *figures]


def page(search: Search) -> str:
    """Return the page of a search, in Markdown.

    Example:
        >>> column = Column(name="layer_rate", format=".3g")
        >>> table = Trials(columns=[column], rows=[[0.001]])
        >>> print(page(Search(title="Tuning", note="One trial.", tables=[table])), end="")
        # Tuning
        <BLANKLINE>
        One trial.
        <BLANKLINE>
        | layer_rate |
        | ---: |
        | 0.001 |
    """
    parts = [f"# {search['title']}\n", f"{search['note']}\n"]
    for table in search["tables"]:
        if "title" in table:
            parts.append(f"## {table['title']}\n")
        columns = table["columns"]
        lines = [
            [format(number, column["format"]) for number, column in zip(row, columns, strict=True)]
            for row in table["rows"]
        ]
        parts.append(markdown_table([column["name"] for column in columns], lines, "right"))
    return "\n".join(parts)


def _config_file(best: Configuration, study: optuna.Study) -> str:
    loss = LOSSES[best.loss]
    kind = "The plain three-layer DAN" if best.wide is None else "The wide and deep network"
    figures = study.best_trial.user_attrs
    judged = _JUDGED[FITTED if loss.task == "binary" else ARGMAX]
    found = ", ".join(f"{name} {figures[name]:.4f}" for name in judged)
    values = best.model_dump(mode="json", exclude_defaults=True, exclude={"model", "variant"})
    return f"""\
# {kind} on {best.model}, trained under {best.loss}.
# Chosen by `python -m training tune --model {best.model} --variant {best.variant}`; every trial is
# in docs/results/tuning-{best.model}-{best.variant}.md. Expected on validation (grouped protocol,
# seeds {_seeds_listed(best)}), at the fitted threshold:
# {found}; about {figures["seconds"]:.0f} s a fit.
{tomli_w.dumps(_rounded(values))}"""


def _seeds_listed(config: Configuration) -> str:
    return ", ".join(map(str, seeds_of(config.model)))


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Round to three significant digits: the file is to be read, and no figure needs more."""
    return {name: _rounded_value(one) for name, one in values.items() if one is not None}


def _rounded_value(one: object) -> object:
    if isinstance(one, dict):
        return _rounded(one)
    return float(f"{one:.3g}") if isinstance(one, float) else one
