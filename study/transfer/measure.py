"""One model's study: trials are chosen without a source, then that source is read."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from training.cache import key
from training.configuration import Configuration

from ..baselines import profanity
from ..schema.transfer import (
    Ceiling,
    ChosenBy,
    SourceRow,
    Trials,
)
from . import estimates, fits, selection, thresholds
from .estimates import Draws
from .fits import Fit, Kept
from .log import Purpose, Reading
from .pool import Measured
from .recipes import OURS, Trial, trials
from .selection import Judged
from .thresholds import Decided
from .units import Plan, Unit, plan_of

EVERY_SOURCE: Final = "every source"

_CHOICE_SAMPLES: Final = 200

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Read:
    """A recipe's figures on one source, with their samples."""

    row: SourceRow
    auroc: Values
    recall: Values


@dataclass
class Study:
    """What the study of a model needs at every step.

    Attributes:
        model: the task.
        plan: its units.
        trials: recipe → trials, the cheapest first.
        configs: our candidates; the baselines' thresholds keep to the first one's limits on false
            alarms.
        chosen: recipe → unit or `EVERY_SOURCE` → trial.
        judged: recipe → unit or `EVERY_SOURCE` → trial's name → criterion.
    """

    model: str
    plan: Plan
    trials: Mapping[str, Sequence[Trial]]
    configs: Sequence[Configuration]
    chosen: dict[str, dict[str, Trial]] = field(default_factory=dict)
    judged: dict[str, dict[str, dict[str, Judged]]] = field(default_factory=dict)
    _fits: dict[tuple[str, ...], Fit] = field(default_factory=dict)
    _criteria: dict[tuple[str, ...], dict[str, Values]] = field(default_factory=dict)
    _draws: dict[tuple[str, int], Draws] = field(default_factory=dict)

    def fit(self, trial: Trial, *left_out: str) -> Fit:
        """Return the fit of a trial without the named units, the same each time."""
        without = tuple(sorted(left_out))
        key = (trial.recipe, trial.name, *without)
        if key not in self._fits:
            others = dict.fromkeys(one.help for found in self.trials.values() for one in found)
            self._fits[key] = Fit(self.model, self.plan, trial, without, tuple(others))
        return self._fits[key]

    def targets(self) -> list[str]:
        """Return what a trial is chosen for: each left-out unit, and the fit on every source."""
        units = self.plan.learned if len(self.plan.learned) > 1 else ()
        return [*(unit.name for unit in units), EVERY_SOURCE]

    def source(self, name: str) -> Measured:
        """Return the texts of a source that is measured."""
        return self.fit(self.trials[OURS][0]).pool().measured[name]

    def draws(self, name: str, samples: int = estimates.SAMPLES) -> Draws:
        """Return a source's bootstrap samples, drawn once."""
        if (name, samples) not in self._draws:
            texts = self.source(name)
            self._draws[name, samples] = estimates.draws(texts.labels, texts.groups, name, samples)
        return self._draws[name, samples]

    def decided(self, fit: Fit, kept: Kept) -> Decided:
        """Return the penalty and the thresholds that are chosen on a fit's validation fold."""
        config = fit.trial.config or self.configs[0].model_copy(update={"windows": None})
        return thresholds.decide(config, fit.held(kept))

    def logits(self, fit: Fit) -> dict[str, Values]:
        """Return a fit's log-odds of what it is read on, under the penalty that was chosen."""
        kept = fit.read()
        penalty = self.decided(fit, kept).penalty if fits.LONG in kept.arrays else 0.0
        names = {fits.VALIDATION, fits.TEST, *fit.measured()} & set(kept.arrays)
        return {name: kept.logits(name, penalty) for name in names}

    def criteria(self, fit: Fit) -> dict[str, Values]:
        """Return the criterion of a choice on what a fit leaves out, by source; computed once."""
        key = (fit.trial.recipe, fit.trial.name, *fit.left_out)
        if key not in self._criteria:
            logits = self.logits(fit)
            self._criteria[key] = {
                name: selection.criterion(self.draws(name, _CHOICE_SAMPLES), logits[name])
                for name in fit.measured()
            }
        return self._criteria[key]

    def chosen_by(self) -> ChosenBy:
        """Return what the choice among trials reads."""
        if all(len(found) == 1 for found in self.trials.values()):
            return "nothing"
        return "left-out sources" if len(self.plan.learned) > 2 else "validation"


def study(model: str, configs: Sequence[Configuration]) -> Study:
    """Prepare the study of a model.

    Args:
        model: the task.
        configs: our candidates, the cheapest first.

    Raises:
        ConfigurationError: no sources are known for the model, or a variant names none.
    """
    return Study(model, plan_of(model, configs), trials(configs), configs)


def choice_fits(of: Study) -> list[Fit]:
    """Return the fits that the choice among trials reads.

    With three units or more, each pair of them is left out: what is left out of the rest serves
    both. Otherwise a trial is chosen on validation.
    """
    learned = [unit.name for unit in of.plan.learned]
    several = [one for found in of.trials.values() if len(found) > 1 for one in found]
    if of.chosen_by() == "left-out sources":
        return [of.fit(one, *pair) for one in several for pair in combinations(learned, 2)]
    return [_fit_for(of, one, target) for one in several for target in of.targets()]


def choose(of: Study) -> None:
    """Choose the trial of each recipe for each left-out unit, and for the fit on every source."""
    for recipe, found in of.trials.items():
        of.chosen[recipe], of.judged[recipe] = {}, {}
        for target in of.targets():
            judged = {}
            if len(found) > 1:
                judged = {one.name: _judge(of, one, target) for one in found}
                of.judged[recipe][target] = judged
            name = selection.choose(judged) if judged else found[0].name
            of.chosen[recipe][target] = next(one for one in found if one.name == name)


def report_fits(of: Study) -> list[Fit]:
    """Return the fits that are reported, of the chosen trials."""
    return [
        _fit_for(of, trial, target)
        for chosen in of.chosen.values()
        for target, trial in chosen.items()
    ]


def _fit_for(of: Study, trial: Trial, target: str) -> Fit:
    return of.fit(trial, *([] if target == EVERY_SOURCE else [target]))


def _judge(of: Study, trial: Trial, target: str) -> Judged:
    if of.chosen_by() == "validation":
        found = _on_validation(of, _fit_for(of, trial, target))
        return selection.judge([[selection.criterion(*one)] for one in found])
    judged = []
    for pair in combinations([unit.name for unit in of.plan.learned], 2):
        if target in {*pair, EVERY_SOURCE}:
            criteria = of.criteria(of.fit(trial, *pair))
            # For every source: each unit counts as often as there are others to leave out with it.
            judged += [
                [criteria[name] for name in unit.sources]
                for unit in of.plan.named(pair)
                if unit.name != target
            ]
    return selection.judge(judged)


def _on_validation(of: Study, fit: Fit) -> list[tuple[Draws, Values]]:
    """Return validation by source, those with both classes."""
    logits = of.logits(fit)[fits.VALIDATION]
    return _by_source(fit, logits, fit.folds().validation, _CHOICE_SAMPLES)


def _by_source(
    fit: Fit, logits: Values, rows: NDArray[np.int64], samples: int, only: str | None = None
) -> list[tuple[Draws, Values]]:
    """Return the draws and logits of a fold of the training texts, by source with both classes."""
    texts = fit.pool()
    origins, labels = texts.origins()[rows], texts.training.labels[rows]
    found = []
    for name in texts.training.source_names:
        here = np.flatnonzero(origins == name)
        if only not in {None, name} or len(np.unique(labels[here])) < 2:
            continue
        drawn = estimates.draws(labels[here], texts.groups[rows[here]], name, samples)
        found.append((drawn, logits[here]))
    return found


def read(of: Study) -> list[Read]:
    """Read every source that a fit does without, recipe by recipe."""
    found = []
    for recipe, chosen in of.chosen.items():
        ceilings = _fit_for(of, chosen[EVERY_SOURCE], EVERY_SOURCE)
        inside = of.logits(ceilings)[fits.TEST]
        for target, trial in chosen.items():
            fit = _fit_for(of, trial, target)
            logits, decided = of.logits(fit), of.decided(fit, fit.read())
            reader = _Reader(recipe, trial.name, decided.thresholds)
            for unit in _units_of(of.plan, target):
                for name in unit.sources:
                    one = _read_source(of, unit, name, reader, logits[name])
                    if target != EVERY_SOURCE:
                        one = replace(
                            one, row=replace(one.row, ceiling=_ceiling(ceilings, inside, name))
                        )
                    found.append(one)
    return found


def _units_of(plan: Plan, target: str) -> tuple[Unit, ...]:
    """Return the units that the fit for a target is read on."""
    if target == EVERY_SOURCE:
        return plan.foreign
    return tuple(unit for unit in plan.learned if unit.name == target)


def read_profanity(of: Study, score: Callable[[Sequence[str]], Values]) -> list[Read]:
    """Read every source with `alt-profanity-check`, at its own threshold.

    Args:
        of: the study.
        score: raw texts → scores, float64[n] in [0, 1].
    """
    reader = _Reader(profanity.NAME, "as published", {"0.5, its own": 0.5})
    found = []
    for unit in of.plan.units():
        for name in unit.sources:
            scores = score(of.source(name).texts)
            found.append(_read_source(of, unit, name, reader, logit(scores.clip(1e-9, 1 - 1e-9))))
    return found


@dataclass(frozen=True, slots=True)
class _Reader:
    """What reads a source: a fit, or a package as it was published.

    Attributes:
        recipe: the name of the row.
        trial: its setting.
        thresholds: rule → threshold, chosen without the source.
    """

    recipe: str
    trial: str
    thresholds: Mapping[str, float]


def _read_source(of: Study, unit: Unit, name: str, reader: _Reader, logits: Values) -> Read:
    texts, drawn = of.source(name), of.draws(name)
    auroc, recall = drawn.auroc(logits), drawn.recall(logits)
    row = SourceRow(
        recipe=reader.recipe,
        trial=reader.trial,
        unit=unit.name,
        source=name,
        use="left out" if unit in of.plan.learned else "measured only",
        label=unit.label,
        has_seen=reader.recipe == profanity.NAME and name in profanity.HAS_SEEN,
        texts=len(texts.texts),
        dropped=texts.dropped,
        positives=int(texts.labels.sum()),
        groups=len(np.unique(texts.groups)),
        auroc=estimates.interval(auroc),
        average_precision=estimates.average_precision(texts.labels, logits),
        recall=estimates.interval(recall),
        at=[
            thresholds.at(rule, threshold, texts.labels, expit(logits))
            for rule, threshold in reader.thresholds.items()
        ],
        ceiling=None,
    )
    return Read(row, auroc, recall)


def _ceiling(fit: Fit, logits: Values, name: str) -> Ceiling | None:
    found = _by_source(fit, logits, fit.folds().test, estimates.SAMPLES, only=name)
    if not found:
        return None
    ((drawn, logits),) = found
    return Ceiling(
        len(drawn.labels),
        int(drawn.labels.sum()),
        estimates.interval(drawn.auroc(logits)),
        estimates.interval(drawn.recall(logits)),
    )


def trials_of(of: Study) -> list[Trials]:
    """Return what each recipe chose from, and what it chose."""
    return [
        Trials(
            recipe,
            [one.name for one in found],
            {target: one.name for target, one in of.chosen[recipe].items()},
            {
                target: {name: one.value for name, one in judged.items()}
                for target, judged in of.judged[recipe].items()
            },
        )
        for recipe, found in of.trials.items()
    ]


def readings(
    of: Study, found: Sequence[Read], date: str, commit: str, *, dirty: bool
) -> list[Reading]:
    """Return a line of the log for every reading of a source that a fit did without."""
    settings = {
        (recipe, one.name): key(one.settings())
        for recipe, several in of.trials.items()
        for one in several
    }

    def line(recipe: str, trial: str, source: str, purpose: Purpose) -> Reading:
        # What is not fitted has no settings.
        configuration = settings.get((recipe, trial), key(recipe, trial))
        return Reading(date, commit, dirty, of.model, recipe, trial, configuration, source, purpose)

    by_choice = of.chosen_by() == "left-out sources"
    chosen = [
        line(recipe, one.name, source, "choice")
        for recipe, several in of.trials.items()
        if by_choice and len(several) > 1
        for one in several
        for unit in of.plan.learned
        for source in unit.sources
    ]
    return chosen + [line(one.row.recipe, one.row.trial, one.row.source, "report") for one in found]
