"""The command: fit, measure, store the figures and the log."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from training.configuration import Configuration
from training.configuration import load as load_configuration

from .. import rendering, storage
from ..baselines import profanity
from ..schema.transfer import Transfer, TransferStudy
from . import comparison, estimates, fits, log, measure, recipes, short_texts
from .units import help_of

# What the package was made for.
_PROFANITY_MODELS: Final = ("abuse", "cyberbullying")


def write(
    model: str,
    directory: Path,
    variant: str | None = None,
    *,
    workers: int | None = None,
    environment: Path = profanity.ENVIRONMENT,
) -> None:
    """Measure a model on sources that it did not learn from; add it to the page.

    Every reading is a line of ``transfer-log.jsonl``, written before the figures.

    Args:
        model: the task.
        directory: where to.
        variant: the only candidate; by default a choice is made among those written down.
        workers: processes; by default one per processor.
        environment: where `alt-profanity-check` is installed.

    Raises:
        TrainingError: a source or the word vectors are missing, or a name is unknown.
    """
    configs = recipes.candidates(model) if variant is None else [load_configuration(model, variant)]
    found, readings = study(configs, variant, workers=workers, environment=environment)
    log.append(readings, directory)
    file = directory / rendering.TRANSFER_FILE
    others = storage.read(Transfer, file).studies if file.exists() else []
    kept = [one for one in others if (one.model, one.variant) != (model, variant)]
    studies = sorted([*kept, found], key=lambda one: (one.model, one.variant or ""))
    storage.write(Transfer(studies), file)
    rendering.transfer_page(directory)


def study(
    configs: Sequence[Configuration],
    variant: str | None,
    *,
    workers: int | None = None,
    environment: Path = profanity.ENVIRONMENT,
) -> tuple[TransferStudy, list[log.Reading]]:
    """Carry out the study of one model, see `write`.

    Args:
        configs: the candidates of one model, the cheapest first.
        variant: the only candidate, if one was named.
        workers: processes; by default one per processor.
        environment: where `alt-profanity-check` is installed.

    Returns:
        What is stored, and the lines of the log.
    """
    model = configs[0].model
    date, (commit, dirty) = log.now(), log.commit()
    of = measure.study(model, configs)
    fits.carry_out(measure.choice_fits(of), f"Transfer, {model}, choice", workers)
    measure.choose(of)
    fits.carry_out(measure.report_fits(of), f"Transfer, {model}, left out", workers)
    found = measure.read(of)
    absent = {}
    if model in _PROFANITY_MODELS:
        try:
            found += measure.read_profanity(of, lambda texts: profanity.scores(texts, environment))
        except profanity.MissingEnvironmentError as error:
            absent[profanity.NAME] = str(error)
    means, differences = comparison.compare(of.plan, found)
    short = None
    if model in short_texts.MODELS:
        fits.carry_out(short_texts.fits_of(model, of.trials), f"Short texts, {model}", workers)
        short = short_texts.measure(model, of.trials)
    stored = TransferStudy(
        model=model,
        variant=variant,
        date=date,
        commit=commit + "-dirty" * dirty,
        candidates=[one.variant for one in configs],
        sources=list(dict.fromkeys(one.name for each in configs for one in help_of(each).choices)),
        samples=estimates.SAMPLES,
        has_windows=any(one.windows is not None for one in configs),
        chosen_by=of.chosen_by(),
        trials=measure.trials_of(of),
        rows=[one.row for one in found],
        means=means,
        differences=differences,
        absent=absent,
        short=short,
    )
    return stored, measure.readings(of, found, date, commit, dirty=dirty)
