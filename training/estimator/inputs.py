"""What users of scikit-learn pass as ``X``, ``y`` and ``sample_weight``, checked."""

import re
from collections.abc import Sequence
from numbers import Number
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets

from ..data.labels import label_of
from ..quality.metrics import Labels

# JSON and pandas can contain half of a surrogate pair, which UTF-8 cannot encode.
_LONE_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def texts_of(x: object) -> tuple[str, ...]:
    """Return texts from whatever holds them.

    Args:
        x: n strings in a list, an iterable, a Series or a 1-D array; or in the single column of a
            table or a 2-D array.

    Raises:
        TypeError: it is one string or sparse, or an item is not a string.
        ValueError: it has several columns, or a text is missing or contains half a character.
            Messages quote no text.
    """
    if isinstance(x, str | bytes):
        raise TypeError("X is one string; expected several texts, such as a list of strings")
    if sparse.issparse(x):
        raise TypeError("X is sparse; expected texts. Pass them before any vectorizer")
    is_sized = hasattr(x, "__len__") or hasattr(x, "__array__")
    values = np.asarray(x if is_sized else list(x), dtype=object)  # type: ignore[call-overload]
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim != 1:
        raise ValueError(
            f"X has the shape {values.shape}; expected texts: a list, a 1-D array, or a table with "
            "a single column. Join several columns into one text, or choose one"
        )
    return tuple(_text(number, value) for number, value in enumerate(values.tolist()))


def _text(number: int, value: object) -> str:
    if isinstance(value, str):
        if _LONE_SURROGATE.search(value):
            raise ValueError(f"X: text {number} contains half a character (a lone surrogate)")
        return str(value)
    if value is None or type(value).__name__ in {"NAType", "NaTType"} or value != value:  # noqa: PLR0124
        raise ValueError(
            f"Input X contains NaN: text {number} is missing. Leave it out, or fill it with ''"
        )
    raise TypeError(
        f"X: item {number} is of type {type(value).__name__}; expected strings, as in "
        "['Lunch at 12?', 'WIN a prize']"
    )


def targets_of(y: object) -> tuple[NDArray[Any], Labels]:
    """Return the classes, sorted, and the position of each target among them, int64[n].

    Raises:
        ValueError: a target is missing or not finite, ``y`` has several columns or is continuous,
            or there is one class only.
    """
    values = column_or_1d(y, warn=True)
    assert_all_finite(values, input_name="y")
    check_classification_targets(values)
    classes, labels = np.unique(values, return_inverse=True)
    _require_two(len(classes))
    return classes, labels.astype(np.int64)


def weights_of(sample_weight: object, count: int) -> NDArray[np.float64]:
    """Return the weights, float64[n].

    Raises:
        ValueError: they are not one finite number of at least 0 for each text, or all are 0.
    """
    if isinstance(sample_weight, Number):
        sample_weight = np.full(count, sample_weight)
    values = np.asarray(sample_weight, dtype=np.float64)
    if values.shape != (count,):
        raise ValueError(
            f"sample_weight.shape == {values.shape}, expected ({count},): one for each text"
        )
    assert_all_finite(values, input_name="sample_weight")
    if (values < 0).any():
        raise ValueError("sample_weight: Negative values in data; expected at least 0")
    if not values.any():
        raise ValueError("sample_weight must contain at least one non-zero number")
    return values


def require_each_class(labels: Labels, classes: Sequence[object]) -> None:
    """Check that texts of weight above 0 are of every class.

    Raises:
        ValueError: they are not.
    """
    present = len(np.unique(labels))
    _require_two(present)
    if present < len(classes):
        raise ValueError(
            f"sample_weight is 0 for every text of {len(classes) - present} of {len(classes)} "
            "classes; leave these classes out"
        )


def _require_two(count: int) -> None:
    if count < 2:
        raise ValueError(
            f"{count} class in y; a classifier can't be trained with fewer than two classes"
        )


def name_of(value: object) -> str:
    """Return a class as a label of an artifact: ``1`` for 1, 1.0 and ``"1"``.

    Example:
        >>> name_of(np.int64(1)), name_of(np.float64(1)), name_of("spam"), name_of(np.True_)
        ('1', '1', 'spam', 'true')
    """
    item = value.item() if isinstance(value, np.generic) else value
    return item if isinstance(item, str) else label_of(item)
