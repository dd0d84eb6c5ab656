"""The request to classify, and the responses of the routes about models and health."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from fastapi.openapi.models import Example
from msgspec import Meta, Struct
from pydantic import BaseModel, Field

from dandelion.decision.calibration import MAX_PRIOR, MIN_PRIOR
from dandelion.engines.choice import Engine
from dandelion.explanation import MAX_SPANS

# Longer than any operating point of use; what is parsed is bounded.
MAX_POINT_CHARS: Final = 200

_Request = TypeVar("_Request", bound=Struct)

REQUEST_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "one text": {"value": {"texts": ["Are we still meeting for lunch tomorrow at 12?"]}},
    "a batch with a threshold": {
        "value": {
            "texts": [
                "WINNER!! Claim your free £1000 prize now, call 09012345678",
                "The garden looks lovely this spring",
            ],
            "threshold": 0.5,
        }
    },
    "explanations, and errors of single texts": {
        "value": {"texts": ["Claim your prize now", 7], "explain": 3, "on_error": "report"}
    },
}

# Where every model of two labels has the evidence for it.
POINT_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "a batch with an operating point": {
        "value": {
            "texts": [
                "WINNER!! Claim your free £1000 prize now, call 09012345678",
                "The garden looks lovely this spring",
            ],
            "operating_point": "fpr<=0.05",
        }
    },
}

MULTICLASS_REQUEST_EXAMPLES: Final[dict[str, dict[str, Any]]] = {
    "a batch": {
        "value": {"texts": ["See you at practice tomorrow", "Baking bread this morning"]},
    }
}


def model_examples(names: Sequence[str]) -> dict[str, Example]:
    """Return the models' names as examples of a path's parameter."""
    return {name: Example(value=name) for name in names}


_Explain = Annotated[
    Annotated[float, Meta(ge=1, le=MAX_SPANS, multiple_of=1)] | bool | None,
    Meta(
        description="Whether each result has an `explanation`: which parts of the text "
        "contribute how much to its logit. A number is that of the spans which are listed; "
        "`true` is 10. For a few texts at a time."
    ),
]
_OnError = Annotated[
    Literal["report"] | None,
    Meta(
        description="With `report`, a text that is no string or too long has an `error` in the "
        "place of its result. Default: the request is refused, and the error names the text."
    ),
]


class ClassifyRequest(Struct, forbid_unknown_fields=True):
    """Texts to classify. If a field occurs twice, its last value is used."""

    texts: Annotated[list[str], Meta(min_length=1, description="Texts to classify.")]
    threshold: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(
            description="A text is positive at `score >= threshold`. Default: the artifact's, "
            "fitted on validation data. Not allowed for models with more than two labels."
        ),
    ] = None
    policy: Annotated[
        str | None,
        Meta(
            description="The name of a policy of the model (`GET /models/{model}` lists them), "
            "instead of `threshold`. Default: the model's default policy, if it has one."
        ),
    ] = None
    operating_point: Annotated[
        Annotated[str, Meta(max_length=MAX_POINT_CHARS)] | None,
        Meta(
            description="How to choose the threshold, instead of `threshold`: `macro_f1`, `f1`, "
            "`cost(fp=1,fn=20)`, or `precision>=0.95`, `recall>=0.9`, `fpr<=0.005`, `rate<=0.02`, "
            "several of these joined by commas."
        ),
    ] = None
    prior: Annotated[
        Annotated[float, Meta(ge=MIN_PRIOR, le=MAX_PRIOR)] | None,
        Meta(
            description="The share of positive texts in your traffic: corrects the scores, and the "
            "threshold unless it is given. Only for models whose scores are calibrated."
        ),
    ] = None
    explain: _Explain = None
    on_error: _OnError = None


class MulticlassRequest(Struct, forbid_unknown_fields=True):
    """Texts for a model with more than two labels. If a field occurs twice, its last value counts.

    For OpenAPI alone: every request is decoded as a `ClassifyRequest`.
    """

    texts: Annotated[list[str], Meta(min_length=1, description="Texts to classify.")]
    explain: _Explain = None
    on_error: _OnError = None


def limited_request(max_texts: int, max_text_chars: int) -> type[ClassifyRequest]:
    """Return `ClassifyRequest` with limits in its type, for the decoder and OpenAPI alike."""
    return _limited(ClassifyRequest, max_texts, max_text_chars)


def limited_multiclass_request(max_texts: int, max_text_chars: int) -> type[MulticlassRequest]:
    """Return `MulticlassRequest` with limits in its type."""
    return _limited(MulticlassRequest, max_texts, max_text_chars)


def _limited(request: type[_Request], max_texts: int, max_text_chars: int) -> type[_Request]:
    text = Annotated[str, Meta(max_length=max_text_chars)]
    texts = Annotated[
        list[text],
        Meta(min_length=1, max_length=max_texts, description="Texts to classify."),
    ]
    return msgspec.defstruct(  # type: ignore[return-value]
        request.__name__,
        [("texts", texts)],
        bases=(request,),
        namespace={"__doc__": request.__doc__},
    )


class ServiceLimits(BaseModel):
    """How much a request to classify may have."""

    texts: int
    text_chars: int = Field(description="Characters of a text, after normalization (NFKC), too.")
    request_chars: int = Field(description="Characters of all texts, after normalization.")
    body_bytes: int
    explained_texts: int = Field(description="Texts of a request with `explain`.")
    explained_chars: int = Field(
        description="Characters of all texts of such a request, before and after Unicode "
        "normalization (NFKC)."
    )


class ServiceIndex(BaseModel):
    """What this is, and the paths of everything else."""

    name: str
    version: str
    documentation: str = Field(description="A page to try the routes out.")
    openapi: str
    models: str
    classify: str = Field(description="The path of each model, with its name for `{model}`.")
    liveness: str
    readiness: str
    metrics: str
    limits: ServiceLimits


class PolicySummary(BaseModel):
    """A policy of a model, as configured in `serving.toml` and as fitted."""

    name: str
    operating_point: str | None = Field(
        description="What the threshold is fitted to; null for the artifact's own."
    )
    threshold: float
    review: str | None = Field(description="The operating point of the review band's lower end.")
    review_threshold: float | None = Field(description="The lowest score of the review band.")
    prior: float | None = Field(description="That scores are corrected to.")


class ModelSummary(BaseModel):
    """A model that is served."""

    model: str
    variant: str
    version: str = Field(description="Of the artifact: the start of its content hash.")
    variants: list[str] = Field(
        description="Every loaded variant, the served one first: `?variant=` names one of them."
    )
    shadow: str | None = Field(
        description="The variant that scores a sample of the same texts; null for none."
    )
    labels: list[str] = Field(
        description="Two labels: the negative one, then the positive one. More: in any order."
    )
    threshold: float | None = Field(
        description="The default threshold; null for models with more than two labels."
    )
    calibrated: bool = Field(
        description="Whether a score is the probability of the positive label, where half of the "
        "texts are positive; with more than two labels, whether scores are calibrated."
    )
    operating_point: str | None = Field(
        description="What the default threshold was fitted to; null for more than two labels, and "
        "for artifacts of earlier formats."
    )
    policies: list[PolicySummary]
    default_policy: str | None = Field(
        description="What decides on requests that ask for nothing else; null for the threshold."
    )
    engine: Engine = Field(
        description="What computes the scores: the compiled kernel, or NumPy where there is none."
    )


class Workers(BaseModel):
    """Worker processes of one generation in one state."""

    generation: int
    state: Literal["current", "draining"]
    workers: int


class ModelList(BaseModel):
    """Every model that is served."""

    models: list[ModelSummary]
    generation: int = Field(
        description="Of the worker that responds: 1 from the start, then one more for each reload "
        "and rollback. A response comes from one generation as a whole."
    )
    workers: list[Workers] = Field(
        description="Every worker that runs: more than one entry until all are of one generation."
    )


class ModelDetails(ModelSummary):
    """Everything known about a served model."""

    task: str = Field(description="`binary` or `multiclass`.")
    loss: str
    score_kind: str = Field(description="`sigmoid`, `margin` (no probability) or `softmax`.")
    features: dict[str, Any] | None = Field(
        description="What the model reads in addition to words; null for words alone."
    )
    sampling: dict[str, Any] | None = Field(
        description="How training resampled the labels; null if it did not."
    )
    precision: str = Field(description="The number format of the stored tables.")
    content_hash: str
    metrics: dict[str, Any] = Field(description="Fold → threshold → metric.")
    threshold_rule: dict[str, Any] | None = Field(
        description="How the default threshold was chosen; null for more than two labels, and for "
        "older artifacts, whose threshold maximises macro-F1 on validation."
    )
    by_source: dict[str, Any] | None = Field(
        description="Fold → source → false alarms and recall at the default threshold, with the "
        "numbers of texts; null where they were not measured."
    )
    dataset: dict[str, Any]
    protocol: str = Field(description="How the data set was split.")
    split: dict[str, Any]
    seed: int
    config: dict[str, Any]
    library_versions: dict[str, str]
    timings: dict[str, Any]
    evaluation: dict[str, Any] | None = Field(
        description="The facts of the model card: metrics over seeds, transfer, robustness, "
        "operating points, precision at base rates; null where no study was made."
    )


class Health(BaseModel):
    """The service's state."""

    status: str
