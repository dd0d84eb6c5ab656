"""Hyper-parameters: searched for with Optuna (Akiba et al. 2019), on validation, on seeds that are
never reported."""

import statistics
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import optuna
import tomli_w
from optuna.trial import FrozenTrial, Trial, TrialState

from .cache import write_whole
from .configuration import Configuration, path_of
from .data.splits import Protocol
from .experiment import Run
from .losses.registry import LOSSES
from .quality.metrics import ARGMAX, FITTED, Metrics
from .runs import Kept, keep

# Reported seeds are 0 to 9. A validation fold as large as the tweets' needs one seed alone.
_SEEDS = (100, 101, 102, 103, 104, 105)
_SEEDS_OF_LARGE = {"cyberbullying": (100,), "cyberbullying_type": (100,)}

# What a trial is judged by: the mean of these on validation, at the fitted threshold.
_JUDGED = ("macro_f1", "mcc", "auroc", "average_precision")
_JUDGED_CLASSES = ("macro_f1", "mcc")

_CHOICES = {
    "batch_size": (64, 128, 256),
    "hidden": (128, 256),
    "wide.surface_dimensions": (16, 32),
}


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a search may go on.

    Attributes:
        trials: at most.
        seconds: after which none is begun; None for no limit.
        workers: trials side by side.
        storage: an address of Optuna's, where an interrupted search goes on; None for memory.
    """

    trials: int
    seconds: float | None
    workers: int
    storage: str | None


def seeds_of(model: str) -> tuple[int, ...]:
    """Return the seeds that choices for a model are made on, never reported."""
    return _SEEDS_OF_LARGE.get(model, _SEEDS)


def tune(base: Configuration, budget: Budget) -> optuna.Study:
    """Search for the hyper-parameters of a variant; everything else stays as in ``base``.

    The first trial is ``base`` itself, as far as its values are among those searched. After each
    seed but the last a trial that is behind the median of the others there is given up.
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
    with ProcessPoolExecutor(budget.workers, mp_context=get_context("spawn")) as pool:
        study.optimize(
            _objective(base, pool),
            n_trials=max(budget.trials - done, 0),
            timeout=budget.seconds,
            n_jobs=budget.workers,
            show_progress_bar=True,
        )
    return study


def suggested(base: Configuration, trial: Trial) -> Configuration:
    """Let a trial choose what is searched."""
    drawn: dict[str, Any] = {
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


def _values_of(config: Configuration) -> dict[str, Any]:
    """Name the values that are searched as `suggested` does, but for those among no choices."""
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


def judge(metrics: Metrics) -> float:
    """Return the mean of the figures that a trial is judged by, from its validation metrics."""
    cut, judged = (FITTED, _JUDGED) if FITTED in metrics else (ARGMAX, _JUDGED_CLASSES)
    return statistics.fmean(metrics[cut][name] for name in judged)


def _objective(base: Configuration, pool: Executor) -> Callable[[Trial], float]:
    def objective(trial: Trial) -> float:
        config = suggested(base, trial)
        done: list[Kept] = []
        seeds = seeds_of(base.model)
        for step, seed in enumerate(seeds, start=1):
            run = Run(config, Protocol.GROUPED, seed, read_test=False, keep_artifact=False)
            done.append(pool.submit(keep, run).result())
            value = statistics.fmean(judge(one.result.metrics["validation"]) for one in done)
            trial.report(value, step)
            if step < len(seeds) and trial.should_prune():
                raise optuna.TrialPruned
        for name, figure in _figures(done).items():
            trial.set_user_attr(name, figure)
        trial.set_user_attr("config", config.model_dump(mode="json"))
        return value

    return objective


def _figures(done: Sequence[Kept]) -> dict[str, float]:
    cuts = [one.result.metrics["validation"] for one in done]
    cut, judged = (FITTED, _JUDGED) if FITTED in cuts[0] else (ARGMAX, _JUDGED_CLASSES)
    figures = {name: statistics.fmean(one[cut][name] for one in cuts) for name in judged}
    return figures | {"seconds": statistics.fmean(one.result.train_seconds for one in done)}


def write(base: Configuration, study: optuna.Study, results: Path) -> Configuration:
    """Write the winner as a configuration file, and every trial as a page; return the winner."""
    best = Configuration.model_validate(study.best_trial.user_attrs["config"])
    path = path_of(base.model, base.variant)
    write_whole(path, _config_file(best, study).encode())
    name = f"tuning-{base.model}-{base.variant}.md"
    write_whole(results / name, _page(base, study).encode())
    return best


def _config_file(best: Configuration, study: optuna.Study) -> str:
    loss = LOSSES[best.loss]
    kind = "The plain three-layer DAN" if best.wide is None else "The wide and deep network"
    figures = study.best_trial.user_attrs
    seeds = ", ".join(map(str, seeds_of(best.model)))
    found = ", ".join(
        f"{name} {figures[name]:.4f}"
        for name in (_JUDGED if loss.task == "binary" else _JUDGED_CLASSES)
    )
    values = best.model_dump(mode="json", exclude_defaults=True, exclude={"model", "variant"})
    return f"""\
# {kind} on {best.model}, trained under {best.loss}.
# Chosen by `python -m training tune --model {best.model} --variant {best.variant}`; every trial is
# in docs/results/tuning-{best.model}-{best.variant}.md. Expected on validation (grouped protocol,
# seeds {seeds}), at the fitted threshold:
# {found}; about {figures["seconds"]:.0f} s a fit.
{tomli_w.dumps(_rounded(values))}"""


def _rounded(value: Any) -> Any:
    """Round to three significant digits: a file to read, and no figure depends on more."""
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items() if one is not None}
    return float(f"{value:.3g}") if isinstance(value, float) else value


def _page(base: Configuration, study: optuna.Study) -> str:
    seeds = ", ".join(map(str, seeds_of(base.model)))
    complete = [one for one in study.trials if one.state is TrialState.COMPLETE]
    pruned = sum(one.state is TrialState.PRUNED for one in study.trials)
    names = list(study.best_trial.params)
    figures = [name for name in study.best_trial.user_attrs if name != "config"]
    complete.sort(key=lambda one: one.value or 0, reverse=True)
    header = [*names, "judged", *figures]
    lines = [_line(one, names, figures) for one in complete]
    table = "\n".join(
        f"| {' | '.join(line)} |" for line in (header, ["---:"] * len(header), *lines)
    )
    return f"""\
# Tuning, {base.model}/{base.variant}

Made by `python -m training tune --model {base.model} --variant {base.variant}`: Optuna's TPE,
{len(study.trials)} trials, {pruned} of them given up after a seed on which they were behind the
median. Grouped protocol, seeds {seeds} (never reported elsewhere), means over them; validation
only, the test fold is not read. The first trial is the file as it stood before. The largest mean of
{", ".join(figures[:-1])} wins.

{table}
"""


def _line(trial: FrozenTrial, names: Sequence[str], figures: Sequence[str]) -> list[str]:
    params = [f"{trial.params[name]:.3g}" for name in names]
    found = [f"{trial.user_attrs[name]:.4f}" for name in figures[:-1]]
    return [*params, f"{trial.value:.4f}", *found, f"{trial.user_attrs[figures[-1]]:.0f}"]
