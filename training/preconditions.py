"""Checks, before anything is fitted, that a configuration suits its data set."""

import numpy as np

from dandelion.decision import operating_points

from .configuration import MACRO_F1, Configuration, Sampling
from .data.datasets import Dataset
from .errors import ConfigurationError
from .losses.registry import LOSSES
from .out_of_fold import origins_of
from .quality.metrics import Labels


def require_fitting_loss(config: Configuration, dataset: Dataset) -> None:
    """Refuse a loss or windows for another kind of task than the data set's.

    Raises:
        ConfigurationError: one is.
    """
    task = LOSSES[config.loss].task
    if task != dataset.task:
        fitting = [name for name, loss in LOSSES.items() if loss.task == dataset.task]
        raise ConfigurationError(
            f"the loss {config.loss!r} is for a {task} task, but {dataset.name} has "
            f"{len(dataset.label_names)} labels; choose {', '.join(fitting)}"
        )
    if config.windows is not None and dataset.task != "binary":
        raise ConfigurationError(
            f"windows: {dataset.name} has {len(dataset.label_names)} labels, and windows are for "
            "two; remove the windows"
        )


def require_one_draw(config: Configuration, dataset: Dataset) -> None:
    """Refuse to draw texts by weights and by classes at once.

    Raises:
        ConfigurationError: that is asked for.
    """
    if dataset.weights is not None and config.sampling is not Sampling.NONE:
        raise ConfigurationError(
            f"sampling is {str(config.sampling)!r}, but weights, of sources or of lengths, decide "
            'how often a text is drawn; set sampling = "none"'
        )


def require_possible_point(config: Configuration, dataset: Dataset, rows: Labels) -> None:
    """Check, before anything is fitted, that a variant has the texts that its constraints are on.

    Args:
        config: the variant.
        dataset: what it learns from.
        rows: int64, those of training and validation.

    Raises:
        ConfigurationError: there are more than two labels; or a source that a constraint or a group
            names is not among the variant's, is made of templates, or none of a constraint's has a
            text of the class that it is about.
    """
    if config.operating_point == MACRO_F1 and not config.groups:
        return
    if dataset.task != "binary":
        raise ConfigurationError(
            f"operating_point: {dataset.name} has {len(dataset.label_names)} labels, so there is "
            f"no threshold; leave it out, or set it to {MACRO_F1!r}"
        )
    origins, names = origins_of(dataset)
    usable = [name for name in names if name not in dataset.generated]
    for group, sources in config.groups.items():
        if group in names:
            raise ConfigurationError(f"groups: {group!r} is the name of a source; choose another")
        for source in sources:
            _require_usable(f"groups.{group}", source, usable, config, dataset)
    point = operating_points.parse(config.operating_point)
    for one in point.constraints:
        if one.where is None:
            continue
        if one.where not in config.groups:
            what = f"operating_point: {one.where!r}"
            _require_usable("operating_point", one.where, usable, config, dataset)
        else:
            what = f"operating_point: group {one.where!r}"
        sources = config.groups.get(one.where, (one.where,))
        its = rows[np.isin(origins[rows], [names.index(source) for source in sources])]
        labels = set(dataset.labels[its].tolist())
        if one.quantity == "fpr" and 0 not in labels:
            raise ConfigurationError(f"{what} has no harmless text, but {one} is about them")
        if one.quantity in {"recall", "precision"} and 1 not in labels:
            raise ConfigurationError(f"{what} has no positive text, but {one} is about them")


def _require_usable(
    field: str, source: str, usable: list[str], config: Configuration, dataset: Dataset
) -> None:
    if source in usable:
        return
    problem = f"is neither a group nor among the sources of {config.model}/{config.variant}"
    if source in dataset.generated:
        problem = "is made of templates, so it is no sample of any traffic"
    raise ConfigurationError(f"{field}: {source!r} {problem}; choose from {', '.join(usable)}")
