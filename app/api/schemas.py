"""Requests and answers."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi.openapi.models import Example
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, create_model

from dandelion.engines.choice import Engine

EXAMPLES: dict[str, dict[str, Any]] = {
    "one text": {"value": {"texts": ["Are we still meeting for lunch tomorrow at 12?"]}},
    "a batch with a threshold, for two labels": {
        "value": {
            "texts": [
                "WINNER!! Claim your free £1000 prize now, call 09012345678",
                "The garden looks lovely this spring",
            ],
            "threshold": 0.5,
        }
    },
}


def model_examples(names: Sequence[str]) -> dict[str, Example]:
    """Return the models' names as examples of a path's parameter."""
    return {name: Example(value=name) for name in names}


class ClassifyRequest(BaseModel):
    """Texts to classify."""

    # Values are not cached: a text must not outlive its request.
    model_config = ConfigDict(strict=True, extra="forbid", cache_strings="keys")

    texts: list[str] = Field(min_length=1, description="Texts to classify.")
    threshold: float | None = Field(
        None,
        ge=0,
        le=1,
        description="A text is positive at `score >= threshold`. Default: the artifact's own, "
        "fitted on validation. Models of more than two labels take none.",
    )


def limited_request(max_texts: int, max_text_chars: int) -> type[ClassifyRequest]:
    """Return `ClassifyRequest` with its limits, so that OpenAPI shows them too."""
    text = Annotated[str, StringConstraints(max_length=max_text_chars)]
    texts = Annotated[
        list[text],
        Field(min_length=1, max_length=max_texts, description="Texts to classify."),
    ]
    return create_model("ClassifyRequest", __base__=ClassifyRequest, texts=(texts, ...))


class ServedArtifact(BaseModel):
    """Which artifact it is about."""

    model: str
    variant: str
    version: str = Field(description="Of the artifact: the start of its content hash.")


class Result(BaseModel):
    """The decision on one text."""

    label: str = Field(description="One of the model's labels.")
    score: float = Field(description="In [0, 1]; compared with the threshold.")


class ClassifyAnswer(ServedArtifact):
    """The decisions on a batch, in the order of its texts."""

    threshold: float = Field(description="The one that was used.")
    results: list[Result]


class MulticlassResult(BaseModel):
    """The decision between more than two labels on one text."""

    label: str = Field(description="The likeliest of the model's labels.")
    score: float = Field(description="In [0, 1]; that of the label.")
    scores: dict[str, float] = Field(description="Label → probability, for each of the labels.")


class MulticlassAnswer(ServedArtifact):
    """The decisions on a batch between more than two labels, in the order of its texts."""

    threshold: None = Field(description="There is none.")
    results: list[MulticlassResult]


ANSWER_EXAMPLES: dict[str, dict[str, Any]] = {
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


class ModelSummary(ServedArtifact):
    """A model that is served."""

    labels: list[str] = Field(
        description="Of two: the negative one, then the positive one. Or all, in any order."
    )
    threshold: float | None = Field(
        description="Used when a request names none; null beyond two labels."
    )
    engine: Engine = Field(
        description="What computes the scores: the compiled kernel, or NumPy where there is none."
    )


class ModelList(BaseModel):
    """Every model that is served."""

    models: list[ModelSummary]


class ModelDetails(ModelSummary):
    """Everything known about a served model."""

    task: str = Field(description="`binary` or `multiclass`.")
    loss: str
    score_kind: str = Field(description="`sigmoid`, `margin` (no probability) or `softmax`.")
    features: dict[str, Any] | None = Field(
        description="What is read beside words; null for words alone."
    )
    sampling: dict[str, Any] | None = Field(
        description="How training changed the labels' shares; null if it did not."
    )
    precision: str = Field(description="How the network's tables are stored.")
    content_hash: str
    metrics: dict[str, Any] = Field(description="Fold → threshold → metric.")
    dataset: dict[str, Any]
    protocol: str = Field(description="How the data set was split.")
    split: dict[str, Any]
    seed: int
    config: dict[str, Any]
    library_versions: dict[str, str]
    timings: dict[str, Any]


class Health(BaseModel):
    """The service's state."""

    status: str
