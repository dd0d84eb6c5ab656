"""N-grams that are counted once: the same features as a vectoriser fitted on the training rows."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_union

from study.baselines import counts

from ..training.conftest import cache

__all__ = ["cache"]


def texts() -> list[str]:
    rng = np.random.default_rng(0)
    words = ["lunch", "home", "later", "prize", "win", "free", "bus", "rain", "sun", "call"]
    return [" ".join(rng.choice(words, rng.integers(1, 9))) for _ in range(60)] + ["odd zzx", ""]


def test_features_are_those_of_the_vectoriser() -> None:
    given = texts()
    train, rest = np.arange(0, 40), np.arange(40, len(given))
    weighted = counts.count(given).weigh(train)
    plain = make_union(
        TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=counts.LEAST_TEXTS),
        TfidfVectorizer(
            analyzer="char_wb", ngram_range=(2, 5), sublinear_tf=True, min_df=counts.LEAST_TEXTS
        ),
    )
    features = plain.fit_transform([given[row] for row in train])
    other = plain.transform([given[row] for row in rest])
    found = weighted.take(train)
    assert found.shape == features.shape
    # The order of the terms differs, so inner products are compared.
    products = (weighted.take(rest) @ found.T).toarray()
    np.testing.assert_allclose(products, (other @ features.T).toarray(), atol=1e-12)


def test_counts_are_kept(monkeypatch: pytest.MonkeyPatch, cache: Path) -> None:
    given = texts()
    first = counts.count_once(given)
    monkeypatch.setattr(counts, "count", None)  # not called again
    for one, other in zip(first.blocks, counts.count_once(given).blocks, strict=True):
        assert (one != other).nnz == 0


def test_a_weight_counts_like_as_many_copies() -> None:
    given = texts()[:40]
    labels = np.array(["win" in text for text in given], dtype=np.int64)
    features = counts.count(given).weigh(np.arange(40)).take(np.arange(40))
    weights = np.where(labels == 1, 3.0, 1.0)
    copies = np.repeat(np.arange(40), weights.astype(int))
    # The penalty is relative to the mean weight.
    size = len(copies) / 40
    one = counts.fit_linear(LogisticRegression(C=size, tol=1e-8), features, labels, weights)
    other = LogisticRegression(C=1, tol=1e-8).fit(features[copies], labels[copies])
    np.testing.assert_allclose(one.coef_, other.coef_, atol=1e-4)
