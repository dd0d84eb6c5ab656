"""Fits and predictions, and the tools of scikit-learn around them."""

import ast
import inspect
import pickle
import re
import time
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from training import DandelionClassifier, learning
from training.configuration import Configuration, wide_recipe
from training.errors import EmbeddingError
from training.losses import LOSSES

from ...conftest import ROOT
from .made_up import SMALL, made_up, small

TEXTS, CLASSES = made_up(ham=60, spam=30)
THREE, TYPES = made_up(ham=30, news=30, spam=30)


@pytest.fixture(scope="module")
def fitted() -> DandelionClassifier:
    return small().fit(TEXTS, CLASSES)


def probabilities(classifier: DandelionClassifier) -> Any:
    return classifier.predict_proba(TEXTS)


def test_two_classes(fitted: DandelionClassifier) -> None:
    assert fitted.classes_.tolist() == ["ham", "spam"]
    assert (fitted.predict(TEXTS) == CLASSES).mean() > 0.95
    found, decisions = probabilities(fitted), fitted.decision_function(TEXTS)
    assert found.dtype == decisions.dtype == np.float64
    assert found.shape == (90, 2)
    assert found.sum(axis=1) == pytest.approx(1)
    assert found[:, 1] == pytest.approx(1 / (1 + np.exp(-decisions)))
    predicted = fitted.predict(TEXTS)
    assert (fitted.classes_[found.argmax(axis=1)] == predicted).all()
    assert ((decisions > 0) == (predicted == "spam")).all()
    assert fitted.n_iter_ == len(fitted.history_) == SMALL["epochs"]
    assert (fitted.threshold_, fitted.pos_label_, fitted.loss_) == (0.5, "spam", "bce")


def test_three_classes() -> None:
    classifier = small().fit(THREE, TYPES)
    assert (classifier.predict(THREE) == TYPES).mean() > 0.95
    assert classifier.predict_proba(THREE).shape == (90, 3)
    assert classifier.decision_function(THREE).shape == (90, 3)
    assert classifier.predict_proba(THREE).sum(axis=1) == pytest.approx(1)
    assert (classifier.threshold_, classifier.loss_) == (None, "cross_entropy")


@pytest.mark.parametrize(
    ("of", "names"),
    [(int, ("0", "1")), (bool, ("false", "true")), (float, ("0", "1"))],
)
def test_classes_keep_their_type(of: type, names: tuple[str, str]) -> None:
    classifier = small(epochs=1).fit(TEXTS, (CLASSES == "spam").astype(of))
    assert classifier.predict(TEXTS).dtype == np.dtype(of)
    assert classifier.artifact_.manifest.labels == names


def test_the_positive_class_can_be_chosen() -> None:
    classifier = small(pos_label="ham", loss="dice").fit(TEXTS, CLASSES)
    manifest = classifier.artifact_.manifest
    assert (classifier.classes_.tolist(), manifest.labels) == (["ham", "spam"], ("spam", "ham"))
    found, predicted = probabilities(classifier), classifier.predict(TEXTS)
    assert (predicted == CLASSES).mean() > 0.95
    assert (classifier.classes_[found.argmax(axis=1)] == predicted).all()
    assert ((classifier.decision_function(TEXTS) > 0) == (predicted == "spam")).all()
    with pytest.raises(ValueError, match="expected one of the classes 'ham', 'spam'"):
        small(pos_label="news").fit(TEXTS, CLASSES)
    with pytest.raises(ValueError, match="but there are 3 classes"):
        small(pos_label="ham").fit(THREE, TYPES)


def test_defaults_are_those_of_training() -> None:
    recipe = wide_recipe("model", "variant", "bce").model_dump(mode="json")
    parameters = DandelionClassifier().get_params()
    own = {
        "embeddings",
        "loss",  # "auto" chooses, as training does
        "loss_options",
        "n_jobs",
        "pos_label",
        "random_state",
        "validation_fraction",
        "wide",
    }
    assert {name: recipe[name] for name in parameters.keys() - own} == {
        name: value for name, value in parameters.items() if name not in own
    }
    fitted = small(wide=True, epochs=1).fit(TEXTS, CLASSES)
    assert fitted.artifact_.manifest.config["wide"] == recipe["wide"]
    assert parameters.keys() - own < Configuration.model_fields.keys()


def test_the_guide_and_the_docstring_list_every_parameter() -> None:
    guide = (ROOT / "docs" / "guide" / "scikit-learn.md").read_text(encoding="utf-8")
    names = list(inspect.signature(DandelionClassifier).parameters)
    described = re.findall(r"^ {4}    (\w+): ", str(DandelionClassifier.__doc__), re.MULTILINE)
    assert described[: len(names)] == names
    section = guide.partition("\n## Parameters\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \| (.+?) \|", section, re.MULTILINE)
    listed: dict[str, str] = {}
    for left, right in rows:
        listed |= zip(re.findall(r"`(\w+)`", left), re.findall(r"`(.+?)`", right), strict=True)
    defaults = {name: ast.literal_eval(value) for name, value in listed.items()}
    assert defaults == DandelionClassifier().get_params()


def test_equal_seeds_give_equal_predictions_and_leave_torch_as_it_was() -> None:
    torch.manual_seed(7)
    before = torch.get_rng_state()
    threads = torch.get_num_threads()
    one, other = (probabilities(small().fit(TEXTS, CLASSES)) for _ in range(2))
    assert np.array_equal(one, other)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.get_num_threads() == threads
    different = probabilities(small(random_state=1).fit(TEXTS, CLASSES))
    assert not np.array_equal(one, different)
    state = [small(random_state=np.random.RandomState(5)).fit(TEXTS, CLASSES) for _ in range(2)]
    assert np.array_equal(*map(probabilities, state))


def test_fits_in_threads_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch has one random generator for all threads."""
    expected = probabilities(small().fit(TEXTS, CLASSES))
    fit_encoded, running, most = learning.fit_encoded, [], []

    def observed(*args: Any, **options: Any) -> learning.Learned:
        running.append(1)
        time.sleep(0.05)
        most.append(len(running))
        learned = fit_encoded(*args, **options)
        running.pop()
        return learned

    monkeypatch.setattr(learning, "fit_encoded", observed)
    search = joblib.Parallel(n_jobs=3, backend="threading")
    found = search(joblib.delayed(small().fit)(TEXTS, CLASSES) for _ in range(3))
    assert all(np.array_equal(probabilities(one), expected) for one in found)
    assert most == [1, 1, 1]


def test_a_copy_predicts_the_same(fitted: DandelionClassifier, tmp_path: Path) -> None:
    joblib.dump(fitted, tmp_path / "model.joblib")
    for copied in (pickle.loads(pickle.dumps(fitted)), joblib.load(tmp_path / "model.joblib")):
        assert np.array_equal(probabilities(copied), probabilities(fitted))
    assert clone(fitted).get_params() == fitted.get_params()


def test_a_text_of_weight_0_is_left_out() -> None:
    weights = np.r_[np.zeros(10), np.ones(80)]
    found = probabilities(small().fit(TEXTS, CLASSES, weights))
    assert np.array_equal(found, probabilities(small().fit(TEXTS[10:], CLASSES[10:])))


def test_weights_count_in_proportion() -> None:
    balanced = np.where(CLASSES == "spam", 20.0, 1.0)
    found = [probabilities(small().fit(TEXTS, CLASSES, one)) for one in (balanced, 4 * balanced)]
    assert np.array_equal(*found)
    plain = [probabilities(small().fit(TEXTS, CLASSES, one)) for one in (None, 3.0)]
    assert np.array_equal(*plain)
    assert found[0][:, 1].mean() > plain[0][:, 1].mean()


def test_the_loss_suits_the_classes() -> None:
    texts, classes = made_up(ham=150, spam=3)
    rare = small(epochs=1).fit(texts, classes)
    assert rare.loss_ == "dice_bce"
    assert rare.artifact_.manifest.config["loss_options"] == {"classes": "both"}
    chosen = small(epochs=1, loss="tversky", loss_options={"alpha": np.float64(0.5)})
    assert chosen.fit(TEXTS, CLASSES).artifact_.manifest.config["loss_options"] == {"alpha": 0.5}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"loss": "mice"}, "DandelionClassifier: loss: unknown loss 'mice'; available: bce"),
        ({"loss": "softmax_dice"}, "is for a multiclass task"),
        ({"loss": "dice", "loss_options": {"smooth": 1}}, "no option 'smooth'"),
        ({"hidden": 0, "epochs": 0}, "hidden: .* epochs: "),
        ({"wide": {"bit": 9}}, "did you mean bits"),
        ({"restore": "best", "validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"operating_point": "recall>2"}, "not an operating point"),
        ({"out_of_fold": True}, "not possible with out_of_fold"),
        ({"random_state": "seed"}, "cannot be used to seed"),
    ],
)
def test_parameters_that_are_refused(params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**params).fit(TEXTS, CLASSES)


def test_stopping_early() -> None:
    classifier = small(restore="best", patience=1, epochs=40).fit(TEXTS, CLASSES)
    assert classifier.n_iter_ < 40
    split = classifier.artifact_.manifest.split
    assert (split["train"] + split["validation"], split["test"]) == (90, 0)
    assert 9 <= split["validation"] <= 20
    with pytest.raises(ValueError, match="too few texts to hold out"):
        small(restore="best").fit([*TEXTS[:10], "a single one"], [*CLASSES[:10], "news"])


def test_near_copies_are_held_out_together() -> None:
    words = ["claim", "free", "prize", "win", "now", "call", "text", "cash", "offer", "gift"]
    spam = [f"{word} {number}" for word in words for number in range(4)]
    texts, classes = [*TEXTS, *spam], ["ham"] * len(TEXTS) + ["spam"] * len(spam)
    classifier = small(restore="best", epochs=1).fit(texts, classes)
    held_out = classifier.artifact_.manifest.split["validation"] - len(TEXTS) // 10
    assert held_out > 4  # a tenth of them, and the copies of these
    assert held_out % 4 == 0


def test_word_vectors(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.txt"
    vectors.write_text("lunch 1 2 3\nprize 3 2 1\n")
    classifier = small(embeddings=vectors, dimensions=3).fit(TEXTS, CLASSES)
    assert classifier.artifact_.manifest.config["embeddings"] == "vectors.txt"
    assert "lunch" in classifier.artifact_.vocabulary.tokens
    assert classifier.artifact_.network.embedding.shape[1] == 3
    glove = small(embeddings="glove", epochs=1).fit(TEXTS, CLASSES)
    assert "glove.6B.50d" in glove.artifact_.manifest.config["embeddings"]
    with pytest.raises(EmbeddingError, match="cannot be read"):
        small(embeddings=tmp_path / "missing.txt").fit(TEXTS, CLASSES)


def test_texts_without_a_known_word() -> None:
    found = small(min_count=1000).fit(TEXTS, CLASSES).predict_proba(["", "🌼"])
    assert np.isfinite(found).all()


def test_in_a_pipeline_and_a_search() -> None:
    pipeline = make_pipeline(FunctionTransformer(), small(epochs=2))
    grid = {
        "dandelionclassifier__loss": ["dice", "bce"],
        "dandelionclassifier__hidden": np.array([4, 8]),
    }
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(TEXTS, CLASSES)
    assert set(search.best_params_) == set(grid)
    assert search.predict(["win a prize"]).tolist() == ["spam"]


def test_with_every_loss() -> None:
    grid = {"loss": [name for name, loss in LOSSES.items() if loss.task == "binary"]}
    search = GridSearchCV(
        small(epochs=3), grid, cv=[(np.arange(90), np.arange(90))], scoring="roc_auc"
    )
    assert search.fit(TEXTS, CLASSES).cv_results_["mean_test_score"].min() > 0.9


def test_calibrated_and_tuned() -> None:
    calibrated = CalibratedClassifierCV(small(), cv=2, ensemble=False).fit(TEXTS, CLASSES)
    assert (calibrated.predict(TEXTS) == CLASSES).mean() > 0.95
    tuned = TunedThresholdClassifierCV(small(), scoring="balanced_accuracy", cv=2)
    tuned.fit(TEXTS, CLASSES)
    assert 0 <= tuned.best_threshold_ <= 1
    assert (tuned.predict(TEXTS) == CLASSES).mean() > 0.95


def test_held_out_predictions() -> None:
    found = cross_val_predict(
        small(), TEXTS, CLASSES, cv=3, method="predict_proba", params={"sample_weight": None}
    )
    assert ((found[:, 1] >= 0.5) == (CLASSES == "spam")).mean() > 0.9


@pytest.mark.parametrize("output", ["default", "pandas"])
def test_the_column_of_a_table(output: str) -> None:
    table = pd.DataFrame({"id": range(90), "body": TEXTS})
    columns = ColumnTransformer(
        [("texts", "passthrough", ["body"])], verbose_feature_names_out=False
    )
    pipeline = make_pipeline(columns.set_output(transform=output), small())
    assert (pipeline.fit(table, CLASSES).predict(table) == CLASSES).mean() > 0.95
