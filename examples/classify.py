"""Classify texts in Python, without a service.

Shows: load an artifact, label texts, raise the threshold, and read the raw scores.

Run, from the root of a checkout (the base install is enough)::

    python examples/classify.py

Prints a line for each text: its label and its score, rounded; then the labels at a stricter
threshold, and the scores as NumPy returns them.
"""

from dandelion import Classifier

TEXTS = [
    "WINNER!! Claim your free prize now, call 09012345678",
    "Lunch at 12?",
    "Free entry in 2 a wkly comp to win FA Cup tickets",
]


def main() -> None:
    """Classify the texts above with the model that the service uses for `spam`."""
    spam = Classifier.load("artifacts/spam/squared_hinge-wide")
    labels = " and ".join(spam.manifest.labels)
    print(f"labels: {labels}; positive at score >= {spam.manifest.threshold:.3f}")
    for text, prediction in zip(TEXTS, spam.classify(TEXTS), strict=True):
        print(f"{prediction.label:4}  {prediction.score:.3f}  {text}")

    strict = [prediction.label for prediction in spam.classify(TEXTS, threshold=0.7)]
    print(f"at a threshold of 0.7: {', '.join(strict)}")

    scores = spam.scores(TEXTS)  # many texts: spam.scores(texts, workers=4)
    print(f"scores: {scores.dtype}[{len(scores)}], the highest is {scores.max():.3f}")


if __name__ == "__main__":
    main()
