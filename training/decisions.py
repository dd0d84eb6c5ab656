"""What is fitted after a network: its calibration and, out of fold, penalty and threshold."""

from dataclasses import dataclass

from .calibration import CalibrationRecord, fit_binary, fit_multiclass
from .configuration import Configuration
from .data.datasets import Dataset
from .learning import Learned
from .out_of_fold import OutOfFold
from .quality.metrics import Labels
from .thresholds import Choice, choose


@dataclass(frozen=True, slots=True)
class Decided:
    """A network, with what is fitted on texts that it, or its like, did not learn from.

    Attributes:
        learned: the network, calibrated, with the penalty of its windows.
        calibration_fit: how it was calibrated.
        choice: what was chosen out of fold; None if the threshold is fitted on validation, and with
            more than two labels.
    """

    learned: Learned
    calibration_fit: CalibrationRecord
    choice: Choice | None


def decide(  # noqa: PLR0913, PLR0917
    config: Configuration,
    learned: Learned,
    dataset: Dataset,
    validation: Labels,
    found: OutOfFold | None,
    near_copies: Labels,
) -> Decided:
    """Fit calibration, penalty and threshold out of fold; or the calibration on validation.

    Args:
        config: the variant.
        learned: its network.
        dataset: that it learned from.
        validation: int64, the rows of that fold; they do not count if there are folds.
        found: out-of-fold logits; None if there are no folds.
        near_copies: int64[n], the group of each text of the data set.

    Raises:
        ConfigurationError: the operating point is infeasible, or a class has no collected text.
    """
    is_binary = dataset.task == "binary"
    if found is not None and is_binary:
        choice = choose(config, found, dataset, near_copies)
        learned = learned.with_penalty(choice.penalty).with_calibration(choice.calibration)
        return Decided(learned, choice.calibration_fit, choice)
    fit = fit_binary if is_binary else fit_multiclass
    if found is None:
        texts, labels = dataset.take(validation)
        logits, groups = learned.logits(texts), near_copies[validation]
        calibration, record = fit(logits, labels, groups=groups, fitted_on="validation")
    else:
        groups = near_copies[found.rows]
        calibration, record = fit(
            found.logits, found.labels, groups=groups, fitted_on="out_of_fold"
        )
    return Decided(learned.with_calibration(calibration), record, None)
