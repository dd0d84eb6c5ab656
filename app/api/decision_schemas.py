"""The responses of the routes about operating points and thresholds."""

from typing import Annotated, ClassVar

from pydantic import BaseModel, Field


class Estimate(BaseModel):
    """A rate with its 95 % interval."""

    estimate: float
    lower: float
    upper: float


class BandedEstimate(Estimate):
    """A rate with its own 95 % interval, and one that holds for the whole curve at once."""

    simultaneous_lower: float
    simultaneous_upper: float


class SourceSummary(BaseModel):
    """The held-out texts of a source; near copies count once."""

    source: str
    harmless: int
    positive: int


class Rates(BaseModel):
    """What a threshold does."""

    threshold: float = Field(description="A text is positive at `score >= threshold`.")
    logit: float = Field(
        description="Where the threshold lies before calibration and prior: the same for the same "
        "texts, whatever the prior."
    )
    precision: Estimate = Field(description="Share of the flagged texts that are positive.")
    alerts_per_10000: Estimate = Field(description="Flagged texts in 10,000 messages.")


class KeptConstraint(BaseModel):
    """A constraint at the threshold of a point."""

    constraint: str
    source: str | None = Field(
        description="Where it is closest to being broken; null for a weighted mixture of sources."
    )
    estimate: float
    bound: float = Field(description="What is promised, at 95 %.")
    texts: int = Field(description="How many texts the rate is of.")


class PointFacts(Rates):
    """An operating point, fitted."""

    promised: bool = Field(
        description="Whether the constraints hold at 95 %, if your texts are like those held out."
    )
    recall: Estimate = Field(description="Share of the positive texts that are flagged.")
    fpr: Estimate = Field(description="Share of the harmless texts that are flagged.")
    constraints: list[KeptConstraint]
    value: Estimate | None = Field(description="Of the criterion; null for constraints.")
    plateau: Annotated[list[float], Field(min_length=2, max_length=2)] | None = Field(
        description="The lowest and the highest threshold that are about as good by the criterion; "
        "null for constraints."
    )


class Infeasibility(BaseModel):
    """Why no threshold can be promised."""

    detail: str
    best: float | None = Field(description="The strictest bound that can be promised.")
    texts_needed: int | None = Field(
        description="How many labelled texts it would take; null if more texts would not do."
    )


class PointSummary(BaseModel):
    """An operating point: fitted, or infeasible."""

    operating_point: str
    is_default: bool = Field(
        description="Whether it decides where a request asks for nothing else (with `policy`, "
        "where it asks for this policy alone)."
    )
    fitted: PointFacts | None
    infeasible: Infeasibility | None


class Basis(BaseModel):
    """The model, and what its thresholds are fitted on."""

    model: str
    variant: str
    version: str = Field(description="Of the artifact: the start of its content hash.")
    policy: str | None
    prior: float | None = Field(
        description="That scores and thresholds are corrected to; null for none: scores are "
        "probabilities where half of the texts are positive, and precision and alerts are for the "
        "share of positive texts among those held out."
    )
    evidence: str = Field(
        description="`out_of_fold`: held-out texts of training; `labelled`: your own."
    )
    share: float = Field(description="Of positive texts, which precision and alerts are for.")
    sources: list[SourceSummary]


class OperatingPoints(Basis):
    """Operating points of a model."""

    operating_point: str | None = Field(
        description="The one that was asked for, as it is named below; null for none."
    )
    operating_points: list[PointSummary]


class CurvePoint(Rates):
    """A threshold of the curve."""

    recall: BandedEstimate = Field(description="Share of the positive texts that are flagged.")
    fpr: BandedEstimate = Field(description="Share of the harmless texts that are flagged.")


class ThresholdCurve(Basis):
    """What thresholds do, from the lowest to the highest."""

    points: list[CurvePoint]


class Count(Estimate):
    """A number of messages, or hours: what is expected, and the 95 % interval of that.

    The next messages vary around it: for them there is a prediction interval.
    """

    predicted_lower: float = Field(description="95 % prediction interval, for the next messages.")
    predicted_upper: float


class PlanSummary(Rates, Basis):
    """A threshold in numbers of messages."""

    COUNTS: ClassVar[tuple[str, ...]] = (
        *("flagged", "true_alerts", "false_alerts", "missed"),
        *("in_review", "found_in_review", "hours"),
    )

    review_threshold: float | None = Field(
        description="Lower end of the review band; null without one."
    )
    recall: Estimate = Field(description="Share of the positive texts that are flagged.")
    fpr: Estimate = Field(description="Share of the harmless texts that are flagged.")
    messages: int = Field(description="How many the counts are of.")
    minutes: float = Field(description="Of a reviewer, for one message.")
    flagged: Count = Field(description="Messages at or above the threshold.")
    true_alerts: Count = Field(description="Positive ones among them.")
    false_alerts: Count = Field(description="Harmless ones among them.")
    missed: Count = Field(description="Positive messages neither flagged nor for review.")
    in_review: Count | None = Field(description="Messages in the review band; null without one.")
    found_in_review: Count | None = Field(description="Positive ones among them.")
    hours: Count = Field(
        description="Of reviewers, for the review band; without one, for all flagged messages."
    )
