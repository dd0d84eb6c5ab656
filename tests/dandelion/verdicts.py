"""Verdicts of retraining, for tests of the gate and of promotions."""

from pathlib import Path

from dandelion.manifest import Manifest
from dandelion.retraining_file import (
    Compared,
    Comparison,
    Difference,
    FeedbackFile,
    Figures,
    RetrainingVerdict,
)


def comparison(recall: float = 0.0, fpr: float = 0.0, right: float = 0.0) -> Comparison:
    """Return a comparison in which the candidate differs by so much."""

    def near(estimate: float) -> Difference:
        return Difference(estimate, estimate - 0.01, estimate + 0.01)

    return Comparison(
        negatives=100,
        positives=50,
        serving=Figures(0.5, 0.2, 0.5, 0.5, 0.9, 0.8),
        candidate=Figures(0.5 + recall, 0.2 + fpr, None, 0.5 + right, 0.9, 0.8),
        differences={
            "recall": near(recall),
            "false_positive_rate": near(fpr),
            "decided_as_labelled": near(right),
        },
    )


def verdict_of(
    candidate: Manifest,
    serving: Manifest,
    *,
    recall: float = 0.0,
    fpr: float = 0.0,
    gain: float = 0.2,
    created: str = "2026-01-01T00:00:00+00:00",
) -> RetrainingVerdict:
    """Return the verdict on two artifacts, which passes the default gate unless asked otherwise."""
    return RetrainingVerdict(
        model=candidate.model,
        created=created,
        candidate=Compared(candidate.variant, candidate.content_hash, "its threshold", 0.5),
        serving=Compared(serving.variant, serving.content_hash, "its threshold", 0.5),
        files=(FeedbackFile(Path("feedback.jsonl").name, "0" * 64),),
        counts={"rows": 12},
        warnings=("few texts",),
        forced=(),
        evidence=comparison(recall, fpr),
        feedback=comparison(right=gain),
        sources={"sms": comparison(recall, fpr)},
    )
