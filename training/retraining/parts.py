"""Which part of the feedback is learnt, and which is held out; and both next to the base data.

The part of a text follows from the text alone: from the beginning of its key, which all its near
copies have. So a later retraining with more feedback holds out the same texts, and none that an
earlier version has learnt from is ever counted as held out.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ..data.datasets import Dataset, identify
from ..data.near_copies import LEAST_PREFIX, group_key
from ..data.splits import Split
from ..out_of_fold import origins_of
from .feedback import Feedback

HELD_OUT_SHARE: Final = 0.3
"""Of the feedback."""

Rows = NDArray[np.int64]
Mask = NDArray[np.bool_]


def held_out(texts: Sequence[str]) -> Mask:
    """Return whether each text is held out, bool[n]; near copies are together, see the module."""
    return np.array([_position(text) < HELD_OUT_SHARE for text in texts], dtype=np.bool_)


def _position(text: str) -> float:
    """Return a number in [0, 1) that is as good as random, equal for near copies.

    Near copies have the same key, or one has at least `LEAST_PREFIX` characters and the other
    begins with it.
    """
    beginning = group_key(text)[:LEAST_PREFIX]
    digest = hashlib.sha256(b"held out\0" + beginning.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


@dataclass(frozen=True, slots=True, eq=False)
class Extended:
    """The base data with feedback behind it.

    Attributes:
        dataset: all texts; those of the base keep their rows. Sources of feedback are among
            ``generated``: nobody drew them at random, so they are no evidence of any promise.
        split: the base's folds, with the learnt feedback in training and the rest in the test fold.
        learnt: int64, the rows of feedback that are learnt.
        held_out: int64, the rows of feedback that are not.
    """

    dataset: Dataset
    split: Split
    learnt: Rows
    held_out: Rows


def extend(  # noqa: PLR0913, PLR0917
    base: Dataset, folds: Split, feedback: Feedback, rows: Rows, is_held_out: Mask, weight: float
) -> Extended:
    """Put feedback behind a data set, as further sources.

    Args:
        base: texts and labels.
        folds: of the base; they stay as they are.
        feedback: all of it.
        rows: int64[m], the rows of the feedback to use.
        is_held_out: bool[m], whether each of them is held out.
        weight: how often a text of the feedback is drawn, compared with the mean of the base.
    """
    origins, names = origins_of(base)
    own = tuple(dict.fromkeys(feedback.sources[row] for row in rows.tolist()))
    renamed = {name: _unused(name, names) for name in own}
    position = {name: len(names) + at for at, name in enumerate(own)}
    digests = base.source_sha256 or (base.sha256,)
    # Of one source, from all files.
    added = identify([one.name for one in feedback.files], [one.sha256 for one in feedback.files])
    size = len(base.texts)
    all_names = (*names, *renamed.values())
    all_digests = (*digests, *[added] * len(own))
    sources = [position[feedback.sources[row]] for row in rows.tolist()]
    dataset = Dataset(
        name=base.name,
        texts=(*base.texts, *(feedback.texts[row] for row in rows.tolist())),
        labels=np.concatenate([base.labels, feedback.labels[rows]]),
        label_names=base.label_names,
        sha256=identify(all_names, all_digests),
        origins=np.concatenate([origins, np.array(sources, dtype=np.int64)]),
        source_names=all_names,
        weights=_weights(base, folds, weight * feedback.weights[rows]),
        families=_families(base, len(rows)),
        source_sha256=all_digests,
        generated=base.generated | frozenset(renamed.values()),
    )
    behind = np.arange(size, size + len(rows))
    learnt, kept = behind[~is_held_out], behind[is_held_out]
    split = replace(
        folds,
        train=np.concatenate([folds.train, learnt]),
        test=np.concatenate([folds.test, kept]),
    )
    return Extended(dataset, split, learnt, kept)


def _unused(name: str, taken: Sequence[str]) -> str:
    """Return the name, or with a number behind it if the base has a source of that name."""
    found, number = name, 1
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def _weights(base: Dataset, folds: Split, added: NDArray[np.float64]) -> NDArray[np.float64] | None:
    weights = np.ones(len(base.texts)) if base.weights is None else base.weights
    scale = float(weights[np.concatenate([folds.train, folds.validation])].mean())
    found = np.concatenate([weights, scale * added])
    return None if np.ptp(found) == 0 else found


def _families(base: Dataset, added: int) -> NDArray[np.int64] | None:
    if base.families is None:
        return None
    return np.concatenate([base.families, np.full(added, -1, dtype=np.int64)])
