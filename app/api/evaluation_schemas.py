"""The requests and responses of the routes that evaluate a model on labelled texts."""

from typing import Annotated, Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Meta, Struct
from pydantic import BaseModel, Field

from dandelion.decision.calibration import MAX_PRIOR, MIN_PRIOR
from dandelion.decision.evidence import MAX_WEIGHT
from dandelion.labelled import UNNAMED

from .decision_schemas import CurvePoint, Estimate, Rates
from .schemas import MAX_POINT_CHARS

MAX_ROWS: Final = 50_000
"""Texts of an evaluation at most, scored before. It takes one or two seconds of a processor."""

MAX_POINTS: Final = 10
MAX_STRATA: Final = 64
KEY_CHARS: Final = 16
"""Of `dandelion.labelled.ScoredTexts`'s keys and digests: 64 of 256 bits keep 50,000 apart."""

# Beyond those of any network.
_MAX_LOGIT: Final = 1e6
_MAX_NAME_CHARS: Final = 200

_Name = Annotated[str, Meta(min_length=1, max_length=_MAX_NAME_CHARS)]
# One string for all texts: 100,000 strings would keep the event loop busy.
_Keys = Annotated[str, Meta(min_length=KEY_CHARS, max_length=KEY_CHARS * MAX_ROWS)]
_Logits = Annotated[
    list[Annotated[float, Meta(ge=-_MAX_LOGIT, le=_MAX_LOGIT)] | None],
    Meta(
        min_length=1,
        max_length=MAX_ROWS,
        description="The log-odds before calibration; null for a text with nothing to judge.",
    ),
]
_COPIES: Final = (
    f"{KEY_CHARS} characters for each text, a key: near copies share theirs, and count once."
)
_DIGESTS: Final = (
    f"{KEY_CHARS} characters for each text, of its SHA-256; the lowest stands for its near copies."
)


class TextsToScore(Struct, forbid_unknown_fields=True):
    """Texts to score for an evaluation. If a field occurs twice, its last value is used."""

    texts: Annotated[list[str], Meta(min_length=1, description="Texts to score.")]


class Scored(Struct, forbid_unknown_fields=True):
    """What an evaluation needs of texts; of several parts, each in the order of the texts."""

    version: Annotated[
        str,
        Meta(max_length=64, description="Of the artifact that scored them: all parts have one."),
    ]
    logits: _Logits
    copies: Annotated[_Keys, Meta(description=_COPIES)]
    digests: Annotated[_Keys, Meta(description=_DIGESTS)]


class EvaluationRequest(Struct, forbid_unknown_fields=True):
    """Labelled texts, or what `POST /models/{model}/evaluation/texts` made of them.

    If a field occurs twice, its last value is used.
    """

    labels: Annotated[
        list[Annotated[int, Meta(ge=0, le=1)] | None],
        Meta(
            min_length=1,
            max_length=MAX_ROWS,
            description="Of each text: 1 for the model's positive label, 0 for the other one, null "
            "for none.",
        ),
    ]
    texts: Annotated[list[str], Meta(min_length=1)] | None = None
    scored: Scored | None = None
    source: Annotated[
        _Name,
        Meta(description="A name for the texts; `dandelion evaluate` uses that of the file."),
    ] = UNNAMED
    strata: Annotated[
        Annotated[list[_Name], Meta(min_length=1, max_length=MAX_ROWS)] | None,
        Meta(
            description="Of a sample that `dandelion sample` drew, with `weights`: the stratum of "
            f"each text, at most {MAX_STRATA} different ones. Each has a labelled text."
        ),
    ] = None
    weights: Annotated[
        Annotated[
            list[Annotated[float, Meta(ge=1, le=MAX_WEIGHT)]],
            Meta(min_length=1, max_length=MAX_ROWS),
        ]
        | None,
        Meta(description="How many messages each text stands for, with `strata`."),
    ] = None
    operating_points: Annotated[
        list[Annotated[str, Meta(max_length=MAX_POINT_CHARS)]],
        Meta(
            max_length=MAX_POINTS,
            description="To fit on these texts, such as `fpr<=0.01`. They are about all texts.",
        ),
    ] = []
    prior: Annotated[
        Annotated[float, Meta(ge=MIN_PRIOR, le=MAX_PRIOR)] | None,
        Meta(
            description="The share of positive texts in your traffic, if it is not that of these "
            "texts: precision and alerts are for it."
        ),
    ] = None


class Requests(NamedTuple):
    """The types of the requests, with the limits of a service, for decoders and OpenAPI alike."""

    texts: type[TextsToScore]
    evaluation: type[EvaluationRequest]


def limited(max_texts: int, max_text_chars: int) -> Requests:
    """Return the types of the requests with limits on their texts."""
    text = Annotated[str, Meta(max_length=max_text_chars)]
    texts = Annotated[
        list[text],
        Meta(min_length=1, max_length=max_texts, description="Raw texts, instead of `scored`."),
    ]
    fields: tuple[tuple[type[Struct], Any], ...] = (
        (TextsToScore, ("texts", texts)),
        (EvaluationRequest, ("texts", texts | None, None)),
    )
    found: list[Any] = [
        msgspec.defstruct(
            request.__name__,
            [field],
            bases=(request,),
            namespace={"__doc__": request.__doc__},
            forbid_unknown_fields=True,
        )
        for request, field in fields
    ]
    return Requests(*found)


class ScoredTexts(BaseModel):
    """What an evaluation needs of texts, without them: send all parts as `scored`."""

    model: str
    variant: str
    version: str
    logits: list[float | None]
    copies: str = Field(description=_COPIES)
    digests: str = Field(description=_DIGESTS)


class OwnRates(Rates):
    """What a threshold does on these texts; `threshold` is a score under the policy of the file."""

    artifact_threshold: float = Field(
        description="The same threshold as a score of the artifact, with its own calibration."
    )
    recall: Estimate = Field(description="Share of the positive texts that are flagged.")
    fpr: Estimate = Field(description="Share of the harmless texts that are flagged.")


class OwnCurvePoint(CurvePoint):
    """A threshold of the curve; `threshold` is a score under the policy of the file."""

    artifact_threshold: float = Field(
        description="The same threshold as a score of the artifact, with its own calibration."
    )


class CheckedPromise(Estimate):
    """A constraint of an operating point of the artifact, on these texts."""

    constraint: str
    verdict: Literal["kept", "broken", "undecided"] = Field(
        description="`kept` or `broken` if the whole interval is on one side of the bound."
    )


class ShippedSummary(BaseModel):
    """An operating point of the artifact, fitted on its held-out texts, on these texts."""

    operating_point: str
    is_default: bool = Field(description="Whether it is the artifact's own threshold.")
    found: OwnRates | None
    constraints: list[CheckedPromise] = Field(description="Empty for a criterion.")
    problem: str = Field(description="Why it cannot be fitted; empty if it can.")


class WantedSummary(BaseModel):
    """An operating point, fitted on these texts."""

    operating_point: str
    promised: bool = Field(description="Whether it holds at 95 %, for traffic like these texts.")
    fitted: OwnRates | None
    problem: str = Field(description="Why it cannot be promised; empty if it can.")
    texts_needed: int | None = Field(
        description="How many labelled texts it would take; null if unknown."
    )


class CalibrationSummary(BaseModel):
    """The calibration that a policy of the file has."""

    method: str | None = Field(description="null for scores that are not calibrated.")
    is_fitted: bool = Field(description="Whether it was fitted on these texts, or is kept.")
    reason: str
    log_loss_before: float | None
    log_loss_after: float | None
    advice: str = Field(description="What the service lacks to fit one; empty if nothing.")


class FlaggedThreshold(BaseModel):
    """What a threshold does where all texts were flagged: there is precision alone."""

    threshold: float
    precision: Estimate


class EvaluationReport(BaseModel):
    """What a model does on labelled texts."""

    model: str
    variant: str
    version: str
    labels: list[str] = Field(description="The negative and the positive one.")
    texts: int = Field(description="Labelled texts.")
    unlabelled: int
    copies: int = Field(description="Near copies among them, which do not count.")
    contradictions: int = Field(
        description="Groups of near copies with both labels; they count as their majority's."
    )
    harmless: int = Field(description="That count.")
    positive: int = Field(description="That count.")
    is_sample: bool = Field(description="Whether texts have weights.")
    is_flagged_only: bool = Field(
        description="Whether all texts reach the artifact's threshold: they show precision alone."
    )
    prior: float | None = Field(description="As given.")
    share: float = Field(description="Of positive texts, which precision and alerts are for.")
    auroc: Estimate | None
    average_precision: Estimate | None
    calibration: CalibrationSummary
    shipped: list[ShippedSummary]
    wanted: list[WantedSummary]
    points: list[OwnCurvePoint] = Field(
        description="The curve, from the lowest threshold to the highest; empty with "
        "`is_flagged_only`."
    )
    flagged: list[FlaggedThreshold] = Field(description="With `is_flagged_only`; else empty.")
    policy_file: str | None = Field(
        description="The content of the policy file that `dandelion evaluate --output` writes, for "
        "`calibration` of a policy in `serving.toml`; null if there can be none."
    )
    policy_problem: str = Field(description="Why there is no policy file; empty if there is one.")
