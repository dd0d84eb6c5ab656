"""Train, choose and save a model with scikit-learn.

Shows: `DandelionClassifier` in a search over losses, a threshold tuned by scikit-learn, and the
artifact that `dandelion serve` serves. The messages are made up, and the network is small, so that
it takes seconds; you would leave the parameters of `small` out.

Run, from the root of a checkout (`make install-training` first)::

    python examples/scikit_learn.py            # writes into a temporary directory
    python examples/scikit_learn.py artifacts  # or into the directory `artifacts`

Prints the losses that were compared, best first; the threshold; two decisions of the estimator, and
the same of its artifact; and how to serve it.
"""

import sys
import tempfile
from pathlib import Path

from dandelion_training import DandelionClassifier
from sklearn.model_selection import GridSearchCV, TunedThresholdClassifierCV

from dandelion import Classifier

FILL = ["ana", "ben", "cara", "dev", "eli", "fay", "gus", "hana", "ian", "jo", "kim", "leo"]
RUDE = ["nobody wants you here", "you are useless", "what a loser you are"]
FINE = ["see you at practice", "thanks for the notes", "shall we meet at noon", "well played"]


def made_up() -> tuple[list[str], list[str]]:
    """Return 240 messages and their labels, one in six rude."""
    texts, labels = [], []
    for number in range(240):
        is_rude = number % 6 == 0
        phrases = RUDE if is_rude else FINE
        text = f"{FILL[number % 11]} {phrases[number // 6 % len(phrases)]} {FILL[number // 20]}"
        texts.append(text)
        labels.append("rude" if is_rude else "fine")
    return texts, labels


def main(artifacts: Path) -> None:
    """Compare losses, tune the threshold, save, and read what was saved."""
    texts, labels = made_up()
    small = {"hidden": 16, "wide": {"bits": 12}, "epochs": 6, "layer_rate": 0.01}
    classifier = DandelionClassifier(random_state=0, **small)

    losses = {"loss": ["dice", "weighted_bce", "focal"]}
    search = GridSearchCV(classifier, losses, cv=2, scoring="f1_macro").fit(texts, labels)
    for rank in search.cv_results_["rank_test_score"].argsort():
        loss, f1 = search.cv_results_["param_loss"][rank], search.cv_results_["mean_test_score"]
        print(f"macro-F1 {f1[rank]:.3f}: {loss}")

    tuned = TunedThresholdClassifierCV(search.best_estimator_, scoring="f1_macro", cv=2)
    tuned.fit(texts, labels)
    print(f"threshold: {tuned.best_threshold_:.3f}")

    fitted = tuned.estimator_  # learnt from all messages
    place = fitted.save(
        artifacts,
        model="moderation",
        threshold=tuned.best_threshold_,
        about="Rude messages in the chat of a school.",
        not_for="Messages in other languages than English.",
    )
    served = Classifier.load(place)
    for text in ("nobody wants you, leave", "see you at noon"):
        (prediction,) = served.classify([text])
        print(f"{tuned.predict([text])[0]} = {prediction.label}: {text}")

    (artifacts / "serving.toml").write_text('[models]\nmoderation = "sklearn"\n')
    print(f"serve it: DANDELION_ARTIFACTS={artifacts} dandelion serve")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as name:
            main(Path(name))
