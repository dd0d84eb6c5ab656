"""What a fit leaves for the service, and the service that serves it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError

from dandelion import Classifier, PolicyError
from dandelion.evaluation_file import CARD_FILE
from training import DandelionClassifier
from training.estimator import fitting

from ...conftest import StartService
from .made_up import made_up, small

TEXTS, CLASSES = made_up(0.1, ham=200, spam=80)
THREE, TYPES = made_up(ham=30, news=30, spam=30)


@pytest.fixture(scope="module")
def plain() -> DandelionClassifier:
    return small(loss="dice").fit(TEXTS, CLASSES)


@pytest.fixture(scope="module")
def several() -> DandelionClassifier:
    return small().fit(THREE, TYPES)


@pytest.fixture(scope="module")
def out_of_fold(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Parameters, with vectors of a few words, because out of fold they cannot be random."""
    vectors = tmp_path_factory.mktemp("vectors") / "vectors.txt"
    vectors.write_text("lunch 1 2 3\nprize 3 2 1\n")
    return {"embeddings": vectors, "dimensions": 3, "out_of_fold": True}


@pytest.fixture
def folded(out_of_fold: dict[str, Any]) -> DandelionClassifier:
    return small(**out_of_fold).fit(TEXTS, CLASSES)


def test_an_artifact_scores_as_the_estimator(plain: DandelionClassifier, tmp_path: Path) -> None:
    place = plain.save(tmp_path, model="mine")
    assert place == tmp_path / "mine" / "sklearn"
    artifact = Classifier.load(place)
    artifact.check_golden()
    assert artifact.scores(TEXTS) == pytest.approx(plain.predict_proba(TEXTS)[:, 1], abs=1e-6)
    assert [one.label for one in artifact.classify(TEXTS)] == plain.predict(TEXTS).tolist()
    manifest = artifact.manifest
    assert (manifest.model, manifest.variant) == ("mine", "sklearn")
    assert (manifest.config["model"], manifest.config["variant"]) == ("mine", "sklearn")
    assert (manifest.protocol, manifest.threshold, manifest.operating_point) == ("none", 0.5, None)
    with pytest.raises(PolicyError, match="not calibrated"):
        artifact.policy(prior=0.1)
    with pytest.raises(PolicyError, match="evidence"):
        artifact.policy("recall>=0.5")


def test_saving_twice_gives_the_same_version(plain: DandelionClassifier, tmp_path: Path) -> None:
    again = small(loss="dice").fit(TEXTS, CLASSES)
    versions = {
        Classifier.load(one.save(tmp_path / name, "mine")).manifest.version
        for name, one in (("one", plain), ("two", again))
    }
    assert len(versions) == 1


def test_the_threshold_can_be_given(plain: DandelionClassifier, tmp_path: Path) -> None:
    artifact = Classifier.load(plain.save(tmp_path, "mine", "tuned", threshold=np.float64(0.75)))
    assert artifact.manifest.threshold == 0.75
    expected = plain.predict_proba(TEXTS)[:, 1] >= 0.75
    assert [one.label == "spam" for one in artifact.classify(TEXTS)] == expected.tolist()


def test_the_card(plain: DandelionClassifier, several: DandelionClassifier, tmp_path: Path) -> None:
    place = plain.save(tmp_path, "mine", about="For *tests*.", not_for="Anything else.")
    card = (place / CARD_FILE).read_text(encoding="utf-8")
    assert "## What it is for\n\nFor *tests*.\n" in card
    assert "## What it is not for\n\nAnything else.\n" in card
    assert "A text is spam at a score of 0.5000 or more" in card
    assert "Not measured" in card
    assert Classifier.load(place).manifest.config["about"] == "For *tests*."
    card = (several.save(tmp_path, "three") / CARD_FILE).read_text(encoding="utf-8")
    assert "highest score is chosen" in card
    assert "What it is" not in card


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "a/b"}, "model is 'a/b'"),
        ({"model": "mine", "variant": ""}, "variant is ''"),
        ({"model": "mine", "threshold": 2}, "threshold"),
    ],
)
def test_what_cannot_be_saved(
    plain: DandelionClassifier, tmp_path: Path, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plain.save(tmp_path, **arguments)
    assert not list(tmp_path.iterdir())


def test_three_classes(several: DandelionClassifier, tmp_path: Path) -> None:
    artifact = Classifier.load(several.save(tmp_path, "three"))
    assert artifact.scores(THREE) == pytest.approx(several.predict_proba(THREE), abs=1e-6)
    with pytest.raises(ValueError, match="a model with 3 labels has no threshold"):
        several.save(tmp_path, "three", threshold=0.5)


def test_before_a_fit(tmp_path: Path) -> None:
    with pytest.raises(NotFittedError):
        small().save(tmp_path, "mine")


def test_out_of_fold(folded: DandelionClassifier, tmp_path: Path) -> None:
    place = folded.save(tmp_path, "mine")
    artifact = Classifier.load(place)
    manifest = artifact.manifest
    assert manifest.threshold == folded.threshold_ != fitting.HALF
    assert manifest.calibration is not None
    assert artifact.scores(TEXTS) == pytest.approx(folded.predict_proba(TEXTS)[:, 1], abs=1e-6)
    predicted = folded.predict(TEXTS)
    assert [one.label for one in artifact.classify(TEXTS)] == predicted.tolist()
    assert ((folded.decision_function(TEXTS) > 0) == (predicted == "spam")).all()
    assert "fitted out of fold to `macro_f1`" in (place / CARD_FILE).read_text(encoding="utf-8")
    assert "Out of fold, by five networks" in (place / CARD_FILE).read_text(encoding="utf-8")
    lenient, strict = (artifact.policy(f"recall>=0.{share}").threshold for share in (6, 3))
    assert lenient < strict
    assert artifact.policy(prior=0.01).prior == 0.01
    saved = folded.save(tmp_path, "mine", threshold=0.9)
    assert "Not measured" in (saved / CARD_FILE).read_text(encoding="utf-8")


def test_an_operating_point_is_fitted(out_of_fold: dict[str, Any]) -> None:
    params = out_of_fold | {"out_of_fold": False, "operating_point": "recall>=0.6"}
    classifier = small(**params).fit(TEXTS, CLASSES)
    assert classifier.artifact_.manifest.operating_point == "recall>=0.6"
    assert classifier.artifact_.manifest.threshold_rule is not None
    assert classifier.artifact_.evidence is not None
    with pytest.raises(ValueError, match="cannot be promised"):
        small(**params | {"operating_point": "fpr<=0.0001"}).fit(TEXTS, CLASSES)


def test_it_is_served(
    plain: DandelionClassifier,
    several: DandelionClassifier,
    folded: DandelionClassifier,
    tmp_path: Path,
    start_service: StartService,
) -> None:
    artifacts = tmp_path / "artifacts"
    served = {"plain": plain, "three": several, "folded": folded}
    for name, one in served.items():
        one.save(artifacts, name)
    lines = "".join(f'{name} = "sklearn"\n' for name in served)
    (artifacts / "serving.toml").write_text(f"[models]\n{lines}")
    service = start_service(artifacts=artifacts)
    service.wait_until_ready()

    texts = TEXTS[:20]
    for name, one in served.items():
        results = service.post(f"/classify/{name}", json={"texts": texts}).json()["results"]
        assert [result["label"] for result in results] == one.predict(texts).tolist()
        found = one.predict_proba(texts)
        expected = found.max(axis=1) if name == "three" else found[:, 1]
        assert [result["score"] for result in results] == pytest.approx(expected, abs=1e-6)
        assert service.get(f"/models/{name}").json()["protocol"] == "none"

    policy = {"texts": texts, "operating_point": "recall>=0.6"}
    assert service.post("/classify/folded", json=policy).status_code == 200
    refused = service.post("/classify/plain", json=policy)
    assert refused.status_code == 422
    assert "evidence" in refused.text
