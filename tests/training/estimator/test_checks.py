"""scikit-learn's own checks, on texts made of their numbers."""

import re
import string
import warnings
from collections import Counter
from itertools import product
from typing import Any, Final

import numpy as np
import pytest
import sklearn
from numpy.typing import NDArray
from sklearn.exceptions import SkipTestWarning
from sklearn.utils.estimator_checks import check_estimator
from sklearn.utils.validation import check_is_fitted, validate_data

from training import DandelionClassifier

from ...conftest import ROOT
from .made_up import SMALL

GUIDE: Final = ROOT / "docs" / "guide" / "scikit-learn.md"

EXCEPTIONS: Final = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight is how often a text is drawn, and drawing is random: a text of weight 2 and one "
        "that comes twice are learnt in other batches"
    ),
}
SKIPPED: Final = {"check_array_api_input"}  # runs only if SCIPY_ARRAY_API is set

EDGES: Final = np.linspace(-3, 3, 13)


class OfNumbers(DandelionClassifier):
    """The estimator for numbers, as the checks of scikit-learn pass them: a row becomes a text.

    For each number the text has a word per edge, which says on which side of it the number lies.
    """

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> "OfNumbers":  # noqa: N803
        super().fit(as_texts(validate_data(self, X, y)[0]), y, sample_weight)
        return self

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        return super().predict(self.read(X))

    def predict_proba(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        return super().predict_proba(self.read(X))

    def decision_function(self, X: Any) -> NDArray[np.float64]:  # noqa: N803
        return super().decision_function(self.read(X))

    def read(self, x: Any) -> list[str]:
        check_is_fitted(self)
        return as_texts(validate_data(self, x, reset=False))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def as_texts(rows: NDArray[np.float64]) -> list[str]:
    letters = [*string.ascii_lowercase, *map("".join, product(string.ascii_lowercase, repeat=2))]
    return [
        " ".join(
            f"{letters[column]}{'over' if value > edge else 'under'}{letters[at]}"
            for column, value in enumerate(row)
            for at, edge in enumerate(EDGES)
        )
        for row in rows.tolist()
    ]


@pytest.mark.timeout(600)  # seconds of processor time, but sixty checks
def test_every_check_passes_but_the_exceptions_in_the_guide() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those that checks provoke
        found = check_estimator(
            OfNumbers(**SMALL | {"batch_size": 64, "epochs": 4}),
            expected_failed_checks=EXCEPTIONS,
            on_skip=None,
        )
    names = {
        status: {one["check_name"] for one in found if one["status"] == status}
        for status in ("failed", "xfail", "skipped")
    }
    assert names == {"failed": set(), "xfail": set(EXCEPTIONS), "skipped": SKIPPED}
    passed = Counter(one["status"] for one in found)["passed"]
    guide = GUIDE.read_text(encoding="utf-8")
    in_one_line = " ".join(guide.split())
    if sklearn.__version__.startswith("1.9."):  # another version has other checks
        assert f"With scikit-learn 1.9, {passed} of {len(found)} checks pass" in in_one_line
    assert set(re.findall(r"^\| `(check_\w+)` \|", guide, re.MULTILINE)) == {*EXCEPTIONS, *SKIPPED}


def test_scikit_learn_runs_no_checks_for_texts() -> None:
    with pytest.warns(SkipTestWarning, match="Can't test estimator DandelionClassifier"):
        found = check_estimator(DandelionClassifier())
    assert [one["status"] for one in found] == ["passed"]
