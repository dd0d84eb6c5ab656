"""Whether explanations point at what decides: words are deleted, and logits are compared.

The three spans with the largest contributions are deleted from a text, and three others that are
drawn from all its spans, as often as `DRAWS`. An explanation is as good as the logit falls more by
the first than by the second deletion (the comprehensiveness of DeYoung et al. 2020). Where the draw
hits the same three, neither is lower, which counts against it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, get_args

import numpy as np

from dandelion import Classifier, artifact
from dandelion.explanation import Contribution, Explainer, Gradient
from training.evaluation import read_test_fold

from .robustness.run import choose

DELETED: Final = 3
DRAWS: Final = 10
TEXTS: Final = 500
SEED: Final = 0
_EVERY: Final = 10**6

GRADIENTS: Final[tuple[Gradient, ...]] = get_args(Gradient)


@dataclass(frozen=True, slots=True)
class Deletion:
    """How a method does on n texts.

    Attributes:
        gradient: how tokens enter, see `Explainer`.
        texts: n.
        share: of the texts whose logit falls more than by the first draw.
        share_of_mean: of those whose logit falls more than by the draws on average.
        fall: of the logit, mean over the texts.
        drawn_fall: the same of the draws.
    """

    gradient: Gradient
    texts: int
    share: float
    share_of_mean: float
    fall: float
    drawn_fall: float

    def __str__(self) -> str:
        return (
            f"{self.gradient}: {self.texts} texts; the logit falls by {self.fall:.2f}, more than "
            f"by one draw ({self.drawn_fall:.2f}) in {self.share:.1%}, than by {DRAWS} draws on "
            f"average in {self.share_of_mean:.1%}"
        )


def served(artifacts: Path, model: str | None = None) -> list[Path]:
    """Return the served artifacts with two labels, or that of one model.

    Raises:
        ConfigurationError: the model is not served, or ``serving.toml`` is missing or invalid.
    """
    return [path for path, is_served in choose(artifacts, model, None).items() if is_served]


def flagged(directory: Path, count: int = TEXTS) -> list[str]:
    """Return positive texts of an artifact's test fold that it flags, drawn if there are more.

    Raises:
        TrainingError: its data set is missing, or has changed.
        ArtifactError: it is missing or damaged.
    """
    classifier = Classifier.load(directory)
    texts, labels = read_test_fold(classifier.manifest)
    positives = [texts[row] for row in np.flatnonzero(labels == 1).tolist()]
    label = classifier.manifest.labels[1]
    predictions = classifier.classify(positives)
    found = [text for text, one in zip(positives, predictions, strict=True) if one.label == label]
    rows = np.random.default_rng(SEED).permutation(len(found))[:count]
    return [found[row] for row in np.sort(rows).tolist()]


def measure(directory: Path, texts: Sequence[str], gradient: Gradient = "integrated") -> Deletion:
    """Delete spans of the texts that have more than `DELETED`.

    Raises:
        ArtifactError: the artifact is missing or damaged.
        ValueError: no text has so many.
    """
    found = artifact.load(directory)
    classifier = Classifier(found)
    explainer = Explainer(
        found.vocabulary,
        found.manifest.wide_features,
        found.network,
        found.manifest.text_windows,
        found.manifest.decision,
        gradient=gradient,
    )
    rng = np.random.default_rng(SEED)
    before, after, drawn = [], [], []
    for text in texts:
        one = explainer.explain(text, _EVERY)
        if len(one.spans) <= DELETED:
            continue
        before.append(one.logit)
        after.append(_without(text, one.spans[:DELETED]))
        for _ in range(DRAWS):
            some = rng.choice(len(one.spans), DELETED, replace=False)
            drawn.append(_without(text, [one.spans[place] for place in some]))
    if not before:
        raise ValueError(f"no text has more than {DELETED} spans")
    top = classifier.logits(after)
    others = classifier.logits(drawn).reshape(-1, DRAWS)
    return Deletion(
        gradient,
        len(before),
        float((top < others[:, 0]).mean()),
        float((top < others.mean(axis=1)).mean()),
        float((np.array(before) - top).mean()),
        float((np.array(before)[:, None] - others).mean()),
    )


def _without(text: str, spans: Sequence[Contribution]) -> str:
    for one in sorted(spans, key=lambda span: -span.start):
        text = text[: one.start] + text[one.end :]
    return text
