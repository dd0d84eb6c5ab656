"""What is accepted as texts, targets and weights, and what is refused."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.exceptions import NotFittedError

from training import DandelionClassifier
from training.estimator import inputs

from .made_up import made_up, small

TEXTS, CLASSES = made_up(ham=20, spam=20)

FORMS: dict[str, Callable[[list[str]], Any]] = {
    "tuple": tuple,
    "iterator": iter,
    "objects": lambda texts: np.array(texts, dtype=object),
    "array": np.array,
    "column": lambda texts: np.array(texts, dtype=object)[:, np.newaxis],
    "lists": lambda texts: [[text] for text in texts],
    "series": pd.Series,
    "strings": lambda texts: pd.Series(texts, dtype="string[pyarrow]"),
    "table": lambda texts: pd.DataFrame({"body": texts}),
}


@pytest.fixture(scope="module")
def fitted() -> DandelionClassifier:
    return small().fit(TEXTS, CLASSES)


@pytest.mark.parametrize("form", FORMS)
def test_texts_in_any_form(fitted: DandelionClassifier, form: str) -> None:
    expected = fitted.predict_proba(TEXTS)
    of_form = FORMS[form]
    assert np.array_equal(fitted.predict_proba(of_form(TEXTS)), expected)
    assert inputs.texts_of(of_form(TEXTS)) == tuple(TEXTS)


def test_no_texts_get_no_predictions(fitted: DandelionClassifier) -> None:
    assert fitted.predict([]).shape == (0,)
    assert fitted.predict_proba([]).shape == (0, 2)


def test_the_name_of_a_column_is_kept() -> None:
    table = pd.DataFrame({"body": TEXTS})
    classifier = small(epochs=1).fit(table, CLASSES)
    assert classifier.feature_names_in_.tolist() == ["body"]
    assert classifier.n_features_in_ == 1
    with pytest.raises(ValueError, match="feature names should match"):
        classifier.predict(table.rename(columns={"body": "other"}))
    assert not hasattr(classifier.fit(TEXTS, CLASSES), "feature_names_in_")


SECRET = "a secret of mine"


@pytest.mark.parametrize(
    ("x", "error", "message"),
    [
        (SECRET, TypeError, "X is one string"),
        ([SECRET, 3], TypeError, "item 1 is of type int"),
        ([SECRET, b"bytes"], TypeError, "item 1 is of type bytes"),
        ([[SECRET], [SECRET, SECRET]], TypeError, "item 0 is of type list"),
        (np.ones(2), TypeError, "item 0 is of type float"),
        (sparse.csr_array(np.ones((2, 2))), TypeError, "X is sparse"),
        ([SECRET, None], ValueError, "contains NaN: text 1 is missing"),
        ([SECRET, np.nan], ValueError, "text 1 is missing"),
        (pd.Series([SECRET, pd.NA]), ValueError, "text 1 is missing"),
        ([SECRET, "\ud800"], ValueError, "text 1 contains half a character"),
        ([[SECRET, SECRET]], ValueError, r"shape \(1, 2\)"),
        (np.ones((2, 2, 2)), ValueError, r"shape \(2, 2, 2\)"),
        ({"a": SECRET}, ValueError, r"shape \(\)"),
    ],
)
def test_what_is_not_texts_is_refused_without_quoting_it(
    x: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as refused:
        inputs.texts_of(x)
    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("y", "message"),
    [
        (None, "requires y to be passed"),
        (["spam"] * 40, "1 class in y"),
        ([0.5] * 20 + [1.5] * 20, "Unknown label type: continuous"),
        ([0.0] * 20 + [np.nan] * 20, "Input y contains NaN"),
        (["ham", "spam"] * 10, "inconsistent numbers of samples"),
        (np.ones((40, 2)), "y should be a 1d array"),
    ],
)
def test_targets_that_are_refused(y: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(TEXTS, y)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.zeros(40), "at least one non-zero"),
        (np.ones(39), r"sample_weight.shape == \(39,\)"),
        (np.ones((40, 1)), r"sample_weight.shape == \(40, 1\)"),
        (np.r_[-1, np.ones(39)], "Negative values"),
        (np.r_[np.nan, np.ones(39)], "sample_weight contains NaN"),
        (CLASSES == "spam", "1 class in y"),
    ],
)
def test_weights_that_are_refused(weights: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small().fit(TEXTS, CLASSES, sample_weight=weights)


def test_a_class_without_weight() -> None:
    texts, classes = made_up(ham=10, news=10, spam=10)
    with pytest.raises(ValueError, match="every text of 1 of 3 classes"):
        small().fit(texts, classes, sample_weight=classes != "news")


def test_nothing_to_learn_from() -> None:
    with pytest.raises(ValueError, match="0 sample"):
        small().fit([], [])


def test_before_a_fit() -> None:
    for method in ("predict", "predict_proba", "decision_function"):
        with pytest.raises(NotFittedError):
            getattr(small(), method)(TEXTS)
