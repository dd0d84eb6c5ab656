"""Fit a calibration on held-out texts.

Every fit minimizes the log loss with each class weighted to an equal total, for two labels ½: so
calibrated scores are probabilities at `REFERENCE_PRIOR`, whatever shares the texts have. Of several
sources, each text counts once within its class; a larger source therefore counts for more.

In place of 1 and 0, the targets are (n + 1) / (n + k) and 1 / (n + k) for a class of n texts among
k (Platt 1999, section 2.2, for k = 2). Without that, texts that a threshold separates perfectly
would drive every score to 0 or 1.

This module needs SciPy, the extra ``evaluate``; it is imported by the first fit.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from ..installation import install_command
from .calibration import IDENTITY, MAX_PARAMETER, METHODS, Calibration, Method

FOLDS: Final = 5
MIN_SLOPE: Final = 1e-3
"""The lowest slope that is fitted, where higher logits do not go with positive labels."""
MAX_RATIO: Final = 10.0
"""Of the two slopes of beta calibration. Where even the highest logits are not all of positive
texts, the best slope there can be 0, and no threshold would be left among them."""

# Of logits that are smaller on average, no slope up to the largest makes a difference.
_LEAST_SCALE: Final = 1e-6

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class CalibrationFit:
    """A fitted calibration, and what it was chosen from.

    Attributes:
        calibration: fitted on all texts.
        log_loss_before: of the uncalibrated scores, in nats, classes weighted equally.
        log_losses: method → the log loss of held-out texts in cross-validation; empty if there were
            too few texts for it.
        folds: of cross-validation; 0 for none.
        texts: of each label.
    """

    calibration: Calibration
    log_loss_before: float
    log_losses: Mapping[Method, float]
    folds: int
    texts: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return asdict(self) | {"log_losses": dict(self.log_losses), "texts": list(self.texts)}


def fit_calibration(
    logits: NDArray[np.floating[Any]],
    labels: Integers,
    *,
    weights: NDArray[np.floating[Any]] | None = None,
    groups: Integers | None = None,
    seed: int = 0,
) -> CalibrationFit:
    """Fit temperature, Platt and beta calibration, and choose one by cross-validation.

    Temperature has one parameter (Guo et al. 2017), Platt two (Platt 1999), beta three (Kull, Silva
    Filho & Flach 2017), of which neither slope is more than `MAX_RATIO` times the other; see
    `Calibration`. Of the methods whose cross-validated log loss is within
    one standard error of the lowest, the simplest is chosen. The error is that of the difference
    between the two methods on the same texts, summed by group.

    Args:
        logits: float[n], uncalibrated, finite.
        labels: int64[n] of 0 and 1, both present.
        weights: float[n], how many messages each text stands for, positive; None for 1 each.
            Relative within a class: the classes' totals are made equal.
        groups: int64[n]; texts of one group are held out together. None for each text alone.
        seed: of the folds.

    Raises:
        ValueError: a class is missing, a logit is not finite, a weight is not positive, or lengths
            differ.
        ModuleNotFoundError: SciPy is not installed; the message has the command.

    Example:
        >>> import numpy as np
        >>> rng = np.random.default_rng(0)
        >>> labels = np.arange(2000) % 2
        >>> logits = rng.normal(np.where(labels, 2.0, -2.0), 1.0)  # the true logit is 4 times this
        >>> fit_calibration(logits, labels).calibration.method
        'temperature'
    """
    values = _finite(logits, 1)
    _check_labels(labels, values, 2)
    if len(np.unique(labels)) < 2:
        missing = "positive" if not labels.any() else "harmless"
        raise ValueError(f"there is no {missing} text; expected texts of both labels")
    data = _Data(values, labels, _equal_classes(labels, weights), _targets(labels, 2, weights))
    return _choose(
        data, METHODS, fit=_fit_binary, losses_of=_binary_losses, groups=groups, seed=seed
    )


def fit_temperature(
    logits: NDArray[np.floating[Any]],
    labels: Integers,
    *,
    groups: Integers | None = None,
    seed: int = 0,
) -> CalibrationFit:
    """Fit one factor to all logits of more than two labels (Guo et al. 2017, section 4.2).

    The present labels are weighted equally.

    Args:
        logits: float[n, k], uncalibrated, finite.
        labels: int64[n], positions in 0 … k − 1; at least two of them present.
        groups: int64[n]; texts of one group are held out together. None for each text alone.
        seed: of the folds, in which only the log loss is measured.

    Raises:
        ValueError: fewer than two labels are present, a logit is not finite, or lengths differ.
        ModuleNotFoundError: SciPy is not installed; the message has the command.
    """
    values = _finite(logits, 2)
    count = values.shape[1]
    _check_labels(labels, values, count)
    if len(np.unique(labels)) < 2:
        raise ValueError("there are texts of fewer than two labels; expected at least two labels")
    data = _Data(values, labels, _equal_classes(labels, None), _targets(labels, count, None))
    return _choose(
        data,
        ("temperature",),
        fit=_fit_multiclass,
        losses_of=_multiclass_losses,
        groups=groups,
        seed=seed,
    )


@dataclass(frozen=True, slots=True)
class _Data:
    """Texts to fit on.

    Attributes:
        logits: float64[n] or float64[n, k].
        labels: int64[n].
        weights: float64[n], summing to 1.
        targets: float64[n] of the positive label, or float64[n, k].
    """

    logits: Floats
    labels: Integers
    weights: Floats
    targets: Floats

    def of(self, rows: NDArray[np.bool_]) -> "_Data":
        """Return some texts, their weights summing to 1 again."""
        weights = self.weights[rows]
        # Within a class, weights keep their proportions.
        totals = np.bincount(self.labels[rows], weights)
        weights = weights / totals[self.labels[rows]] / np.count_nonzero(totals)
        return _Data(self.logits[rows], self.labels[rows], weights, self.targets[rows])


_Fit = Callable[[_Data, Method], Calibration]
_Losses = Callable[[_Data, Calibration], Floats]


def _choose(  # noqa: PLR0913
    data: _Data,
    methods: tuple[Method, ...],
    *,
    fit: _Fit,
    losses_of: _Losses,
    groups: Integers | None,
    seed: int,
) -> CalibrationFit:
    """Choose a method by cross-validation, and fit it on all texts."""
    count = len(data.labels)
    if groups is not None and len(groups) != count:
        raise ValueError(f"there are {len(groups)} groups for {count} texts")
    members = np.arange(count) if groups is None else np.unique(groups, return_inverse=True)[1]
    folds = _folds(data.labels, members, seed)
    total = int(folds.max()) + 1 if len(folds) else 0
    held_out = {method: np.zeros(count) for method in methods}
    for fold in range(total):
        inside, outside = data.of(folds != fold), data.of(folds == fold)
        for method in methods:
            held_out[method][folds == fold] = losses_of(outside, fit(inside, method))
    chosen = _simplest(data, held_out, members) if total else methods[0]
    return CalibrationFit(
        calibration=fit(data, chosen),
        log_loss_before=float(data.weights @ losses_of(data, IDENTITY)),
        log_losses={
            method: float(data.weights @ losses) for method, losses in held_out.items() if total
        },
        folds=total,
        texts=tuple(np.bincount(data.labels).tolist()),
    )


def _simplest(data: _Data, losses: Mapping[Method, Floats], members: Integers) -> Method:
    """Return the first method that is within one standard error of the best one."""
    best = min(losses, key=lambda method: float(data.weights @ losses[method]))
    for method, of_texts in losses.items():
        difference = of_texts - losses[best]
        totals = np.bincount(data.labels, data.weights)
        sums = np.bincount(data.labels, data.weights * difference)
        means = np.divide(sums, totals, out=np.zeros_like(sums), where=totals > 0)
        # Each class has a fixed total weight, so only what differs within it is chance.
        by_group = np.bincount(members, data.weights * (difference - means[data.labels]))
        if data.weights @ difference <= np.sqrt(np.sum(by_group**2)):
            return method
    return best


def _folds(labels: Integers, members: Integers, seed: int) -> Integers:
    """Deal the groups of each class to folds; return none if a class has a single group.

    Args:
        labels: int64[n].
        members: int64[n], the group of each text, from 0.
        seed: of the order.

    Returns:
        int64[n], the fold of each text, such that those of any other folds have the same classes;
        or int64[0].
    """
    kinds = np.zeros(int(members.max()) + 1, dtype=np.int64)
    np.maximum.at(kinds, members, labels)  # a mixed group counts as one of its highest label
    sizes = np.bincount(kinds)
    if len(np.unique(kinds)) < len(np.unique(labels)) or sizes[sizes > 0].min() < 2:
        return np.zeros(0, dtype=np.int64)
    folds = min(FOLDS, int(sizes[sizes > 0].min()))
    rng = np.random.default_rng(seed)
    dealt = np.zeros(len(kinds), dtype=np.int64)
    for kind in np.unique(kinds):
        dealt[rng.permutation(np.flatnonzero(kinds == kind))] = np.arange(sizes[kind]) % folds
    return dealt[members]


def _fit_binary(data: _Data, method: Method) -> Calibration:
    """Minimize the weighted log loss over the parameters of a method.

    The calibrated logit is linear in them, so the loss is convex.
    """
    logits = data.logits
    columns = [logits]
    if method == "beta":
        # Positive sums of the two extreme ratios are all those between.
        low, high = -np.logaddexp(0, -logits), np.logaddexp(0, logits)
        columns = [_mixed(low, high), _mixed(high, low)]
    slopes = len(columns)
    if method != "temperature":
        columns.append(np.ones_like(logits))
    features = np.stack(columns)

    def loss_of(parameters: Floats) -> tuple[float, Floats]:
        calibrated = parameters @ features
        losses = np.logaddexp(0, calibrated) - data.targets * calibrated
        gradient = features @ (data.weights * (_sigmoid(calibrated) - data.targets))
        return float(data.weights @ losses), gradient

    # So scaled, the slopes are of the same size as the offset.
    scale = max(float(data.weights @ np.abs(logits)), _LEAST_SCALE)
    features[:slopes] /= scale
    found = _minimize(loss_of, slopes, len(features), scale)
    offset = float(found[slopes]) if method != "temperature" else 0.0
    first, last = found[0], found[slopes - 1]
    a, b = (_mixed(first, last), _mixed(last, first)) if method == "beta" else (first, last)
    return Calibration(method, float(a), float(b), offset)


def _mixed(more: Any, less: Any) -> Any:
    """Return the mean of two values, one with `MAX_RATIO` times the weight of the other."""
    return (MAX_RATIO * more + less) / (MAX_RATIO + 1)


def _fit_multiclass(data: _Data, method: Method) -> Calibration:
    """Minimize the weighted log loss over the temperature; it is convex in the factor."""
    scale = max(float(data.weights @ np.abs(data.logits).mean(axis=1)), _LEAST_SCALE)
    logits = data.logits / scale
    wanted = np.sum(data.targets * logits, axis=1)

    def loss_of(parameters: Floats) -> tuple[float, Floats]:
        scaled = parameters[0] * logits
        normalizers = np.logaddexp.reduce(scaled, axis=1)
        shares = np.exp(scaled - normalizers[:, None])
        expected = np.sum(shares * logits, axis=1)
        losses = normalizers - parameters[0] * wanted
        return float(data.weights @ losses), np.array([data.weights @ (expected - wanted)])

    (factor,) = _minimize(loss_of, 1, 1, scale).tolist()
    return Calibration(method, factor, factor, 0.0)


def _minimize(
    loss_of: Callable[[Floats], tuple[float, Floats]], slopes: int, count: int, scale: float
) -> Floats:
    """Minimize a convex loss over slopes and perhaps an offset; return them unscaled.

    Raises:
        ModuleNotFoundError: SciPy is not installed.
    """
    try:
        from scipy.optimize import minimize  # noqa: PLC0415 - the service has none
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"fitting a calibration needs SciPy. Install it: {install_command('evaluate')}",
            name="scipy",
        ) from error
    units = np.ones(count)
    units[:slopes] = scale
    lower = np.full(count, -MAX_PARAMETER)
    lower[:slopes] = MIN_SLOPE
    bounds = list(zip(lower * units, MAX_PARAMETER * units, strict=True))
    # The steps start at a slope that suits the logits' size.
    start = np.clip((np.arange(count) < slopes).astype(np.float64), *np.transpose(bounds))
    result = minimize(
        loss_of,
        start,
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"ftol": 1e-13, "gtol": 1e-9, "maxiter": 1000},
    )
    found: Floats = np.clip(result.x / units, lower, MAX_PARAMETER)
    return found


def _binary_losses(data: _Data, calibration: Calibration) -> Floats:
    """Return the log loss of each text, float64[n], with its label as the target."""
    signs = np.where(data.labels == 1, 1.0, -1.0)
    losses: Floats = np.logaddexp(0, -signs * calibration.logits(data.logits))
    return losses


def _multiclass_losses(data: _Data, calibration: Calibration) -> Floats:
    scaled = calibration.logits(data.logits)
    own = np.take_along_axis(scaled, data.labels[:, None], axis=1)[:, 0]
    losses: Floats = np.logaddexp.reduce(scaled, axis=1) - own
    return losses


def _equal_classes(labels: Integers, weights: NDArray[np.floating[Any]] | None) -> Floats:
    """Return weights such that the present classes have equal totals, 1 together."""
    if weights is None:
        values = np.ones(len(labels))
    else:
        values = weights.astype(np.float64)
        if values.shape != labels.shape:
            raise ValueError(f"there are {len(values)} weights for {len(labels)} texts")
        if not (np.isfinite(values).all() and (values > 0).all()):
            raise ValueError("a weight is not a positive number")
    totals = np.bincount(labels, values)
    scaled: Floats = values / totals[labels] / np.count_nonzero(totals)
    return scaled


def _targets(labels: Integers, count: int, weights: NDArray[np.floating[Any]] | None) -> Floats:
    """Return the smoothed targets: float64[n] for two labels, else float64[n, k]."""
    sizes = np.bincount(labels, minlength=count).astype(np.float64)
    if weights is not None:
        # Kish's effective number: unequal weights make texts worth fewer.
        squares = np.bincount(labels, weights.astype(np.float64) ** 2, minlength=count)
        sums = np.bincount(labels, weights.astype(np.float64), minlength=count)
        sizes = np.divide(sums**2, squares, out=sizes, where=squares > 0)
    others = 1 / (sizes + count)
    rows = np.repeat(others[labels][:, None], count, axis=1)
    rows[np.arange(len(labels)), labels] = (sizes[labels] + 1) / (sizes[labels] + count)
    return rows[:, 1] if count == 2 else rows


def _finite(logits: NDArray[np.floating[Any]], dimensions: int) -> Floats:
    values = logits.astype(np.float64)
    if values.ndim != dimensions:
        raise ValueError(f"the logits have {values.ndim} dimensions; expected {dimensions}")
    if not np.isfinite(values).all():
        raise ValueError("a logit is not a finite number")
    return values


def _check_labels(labels: Integers, logits: Floats, count: int) -> None:
    if labels.shape != (len(logits),):
        raise ValueError(f"there are {len(labels)} labels for {len(logits)} texts")
    if len(labels) and not ((labels >= 0) & (labels < count)).all():
        raise ValueError(f"a label is not in 0 … {count - 1}")


def _sigmoid(logits: Floats) -> Floats:
    # Of a large negative logit, exp(-logit) would overflow.
    found: Floats = np.exp(-np.logaddexp(0, -logits))
    return found
