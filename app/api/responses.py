"""The response to a request to classify: its types, and its encoding as JSON."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from dandelion.decision.rule import Decided, Decision
from dandelion.manifest import Manifest

_encode = msgspec.json.Encoder().encode

_Score = Annotated[float, Meta(description="In [0, 1]; compared with the threshold.")]
_Version = Annotated[str, Meta(description="Of the artifact: the start of its content hash.")]


# Not tracked by the garbage collector (gc=False): they hold nothing that could form a cycle.
class Result(Struct, frozen=True, gc=False):
    """The decision on one text."""

    label: Annotated[str, Meta(description="One of the model's labels.")]
    score: _Score


class MulticlassResult(Struct, frozen=True, gc=False):
    """The decision on one text by a model with more than two labels."""

    label: Annotated[str, Meta(description="The label with the highest score.")]
    score: Annotated[float, Meta(description="In [0, 1]; that of the label.")]
    scores: Annotated[
        dict[str, float], Meta(description="Label → probability, for each of the labels.")
    ]


class ClassifyResponse(Struct, frozen=True):
    """The decisions on a batch, in the order of its texts."""

    model: str
    variant: str
    version: _Version
    threshold: Annotated[float, Meta(description="The threshold that was used.")]
    results: list[Result]


class MulticlassResponse(Struct, frozen=True):
    """The decisions on a batch by a model with more than two labels, in the order of its texts."""

    model: str
    variant: str
    version: _Version
    threshold: Annotated[None, Meta(description="Always null: there is no threshold.")]
    results: list[MulticlassResult]


def encode(manifest: Manifest, decision: Decision, decided: Decided) -> bytes:
    """Encode the response to a request.

    A score has the fewest digits that give the same float64, which is that of the float32 score.

    Args:
        manifest: of the artifact that scored the texts.
        decision: the rule that was applied, with the request's threshold if it has one.
        decided: its result.

    Returns:
        A `ClassifyResponse` or a `MulticlassResponse` as JSON.
    """
    identity = manifest.model, manifest.variant, manifest.version
    names = decision.names(decided)
    if decision.threshold is not None:
        results = list(map(Result, names, decided.scores))
        return _encode(ClassifyResponse(*identity, decision.threshold, results))
    by_label = list(map(MulticlassResult, names, decided.scores, decision.by_name(decided)))
    return _encode(MulticlassResponse(*identity, None, by_label))


EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "two labels": {
        "value": {
            "model": "spam",
            "variant": "dice",
            "version": "0c7a5d1f3b2e",
            "threshold": 0.5,
            "results": [{"label": "spam", "score": 0.9991}, {"label": "ham", "score": 0.0004}],
        }
    },
    "more labels": {
        "value": {
            "model": "mood",
            "variant": "cross_entropy",
            "version": "7d1f3b2e0c5a",
            "threshold": None,
            "results": [
                {
                    "label": "glad",
                    "score": 0.8125,
                    "scores": {"calm": 0.125, "glad": 0.8125, "sad": 0.0625},
                }
            ],
        }
    },
}

MULTICLASS_EXAMPLES: Final = {"more labels": EXAMPLES["more labels"]}
