"""Folds for cross-validation: every row is held out once, and near copies stay in one fold."""

import io
import warnings

import numpy as np
import sklearn
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from .. import cache
from ..errors import DatasetError


def assign(
    strata: NDArray[np.int64], groups: NDArray[np.int64], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """Number the fold in which each row is held out, int64[n] in 0 … folds − 1.

    Equal arguments give equal folds. Assigning tens of thousands of groups takes seconds, so the
    folds are cached.

    Args:
        strata: int64[n], such as the combination of source and label; each fold has about its share
            of every stratum.
        groups: int64[n]; rows of one group are held out together.
        folds: at least 2.
        seed: of the assignment.

    Raises:
        DatasetError: there are fewer groups than folds, or every stratum has fewer rows than that.
    """
    # Only which rows belong together matters, not the numbers of their groups.
    groups = np.unique(groups, return_inverse=True)[1]
    key = cache.key(
        strata.astype("<i8").tobytes(),
        groups.astype("<i8").tobytes(),
        folds,
        seed,
        sklearn.__version__,
        cache.code(__name__),
    )
    cached = cache.directory("fold-numbers", key) / "folds.npz"
    if not cached.exists():
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=False, folds=_assigned(strata, groups, folds, seed))
        cache.write_atomically(cached, buffer.getvalue())
    with np.load(cached, allow_pickle=False) as arrays:
        found: NDArray[np.int64] = arrays["folds"]
    return found


def _assigned(
    strata: NDArray[np.int64], groups: NDArray[np.int64], folds: int, seed: int
) -> NDArray[np.int64]:
    if len(np.unique(groups)) < folds:
        raise DatasetError(
            f"{len(np.unique(groups))} groups of near copies cannot be held out in {folds} folds; "
            "add texts that are not near copies of others"
        )
    split = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    numbers = np.zeros(len(strata), dtype=np.int64)
    with warnings.catch_warnings():
        # A small source may have fewer rows of a class than there are folds.
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        try:
            for number, (_, held_out) in enumerate(split.split(strata, strata, groups)):
                numbers[held_out] = number
        except ValueError as error:
            raise DatasetError(f"the rows cannot be held out in {folds} folds: {error}") from error
    return numbers


def hold_out(
    strata: NDArray[np.int64], groups: NDArray[np.int64], *, share: float, seed: int
) -> NDArray[np.bool_]:
    """Choose rows by whole groups, at least ``share`` of each stratum, bool[n].

    Faster than `assign`, and less even.

    Args:
        strata: int64[n].
        groups: int64[n].
        share: in (0, 1).
        seed: of the choice.
    """
    rng = np.random.default_rng(seed)
    chosen = np.zeros(len(strata), dtype=np.bool_)
    for stratum in np.unique(strata):
        rows = rng.permutation(np.flatnonzero(strata == stratum))
        missing = int(np.ceil(share * len(rows))) - int(chosen[rows].sum())
        waiting = rows[~chosen[rows]][: max(missing, 0)]
        chosen |= np.isin(groups, groups[waiting])
    return chosen
