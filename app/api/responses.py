"""The response to a request to classify: its types, and its encoding as JSON."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, structs
from starlette.types import Scope

from dandelion.decision.policy import Policy
from dandelion.decision.rule import Decided, Decision, Verdict
from dandelion.manifest import Manifest

from ..serving.extras import Extras
from . import explanations
from .explanations import Explanation

_encode = msgspec.json.Encoder().encode

_Score = Annotated[
    float | None,
    Meta(
        description="Of the positive label, in [0, 1]; compared with the threshold. Null for a "
        "text without content."
    ),
]
_Reason = Annotated[
    Literal["no_content"] | UnsetType,
    Meta(
        description="Only for a text without content: no word has a letter outside links and "
        "mentions, so there is nothing to judge."
    ),
]
_LowEvidence = Annotated[
    bool | UnsetType,
    Meta(description="True where few of the text's words are known; absent otherwise."),
]
_Explanation = Annotated[
    Explanation | UnsetType, Meta(description="Only if the request asks for it.")
]
_DecisionId = Annotated[
    str | UnsetType,
    Meta(
        description="Only where decisions are recorded, and these were. The line of a text has "
        "this id, a dot and the text's position, from 0; also in the header X-Decision-ID."
    ),
]
_Version = Annotated[str, Meta(description="Of the artifact: the start of its content hash.")]


# Not tracked by the garbage collector (gc=False): they hold nothing that could form a cycle.
class Result(Struct, frozen=True, gc=False):
    """The decision on one text."""

    label: Annotated[str, Meta(description="One of the model's labels.")]
    score: _Score
    decision: Annotated[
        Verdict | UnsetType,
        Meta(
            description="Only under a policy or an operating point: `positive`, `negative`, or "
            "`review` for a score below the threshold that reaches the review band; and `none` for "
            "a text without content, in every response."
        ),
    ] = UNSET
    reason: _Reason = UNSET
    low_evidence: _LowEvidence = UNSET
    explanation: _Explanation = UNSET


class MulticlassResult(Struct, frozen=True, gc=False):
    """The decision on one text by a model with more than two labels."""

    label: Annotated[str, Meta(description="The label with the highest score.")]
    score: Annotated[float, Meta(description="In [0, 1]; that of the label.")]
    scores: Annotated[
        dict[str, float], Meta(description="Label → probability, for each of the labels.")
    ]
    reason: _Reason = UNSET
    low_evidence: _LowEvidence = UNSET
    explanation: _Explanation = UNSET


class ClassifyResponse(Struct, frozen=True, kw_only=True):
    """The decisions on a batch, in the order of its texts."""

    model: str
    variant: str
    version: _Version
    threshold: Annotated[float, Meta(description="The threshold that was used.")]
    policy: Annotated[str | UnsetType, Meta(description="The policy in force, if any.")] = UNSET
    operating_point: Annotated[
        str | UnsetType, Meta(description="What the threshold was fitted to, if it was now.")
    ] = UNSET
    prior: Annotated[
        float | UnsetType,
        Meta(description="That scores were corrected to; absent where they were not."),
    ] = UNSET
    decision_id: _DecisionId = UNSET
    results: list[Result]


class MulticlassResponse(Struct, frozen=True, kw_only=True):
    """The decisions on a batch by a model with more than two labels, in the order of its texts."""

    model: str
    variant: str
    version: _Version
    threshold: Annotated[None, Meta(description="Always null: there is no threshold.")]
    decision_id: _DecisionId = UNSET
    results: list[MulticlassResult]


class ReportedResponse(Struct, frozen=True, kw_only=True):
    """The response to a request that reports errors, if a text has one.

    For OpenAPI alone: it is the other response of the model, with these results.
    """

    model: str
    variant: str
    version: _Version
    threshold: Annotated[
        float | None, Meta(description="Null for models with more than two labels.")
    ]
    decision_id: _DecisionId = UNSET
    results: Annotated[
        list[Any],
        Meta(
            extra_json_schema={
                "items": {
                    "anyOf": [
                        {"$ref": f"#/components/schemas/{name}"}
                        for name in ("ErrorResult", "Result", "MulticlassResult")
                    ]
                }
            }
        ),
    ]


def encode(
    manifest: Manifest,
    decision: Decision,
    decided: Decided,
    extras: Extras | None = None,
    decision_id: str | UnsetType = UNSET,
) -> bytes:
    """Encode the response to a request.

    A score has the fewest digits that give the same float64, which is that of the float32 score.

    Args:
        manifest: of the artifact that scored the texts.
        decision: the rule that was applied, with the request's threshold if it has one.
        decided: its result.
        extras: what the request gets in addition; None for nothing.
        decision_id: in the decision record.

    Returns:
        A `ClassifyResponse` or a `MulticlassResponse` as JSON.
    """
    names = decision.names(decided)
    threshold = decision.threshold
    if threshold is None:
        return _encode(
            MulticlassResponse(
                model=manifest.model,
                variant=manifest.variant,
                version=manifest.version,
                threshold=None,
                decision_id=decision_id,
                results=_complete(_multiclass_results(names, decision, decided), extras),
            )
        )
    policy = decision.policy
    if policy is None and extras is None and not decided.notices:  # the usual case
        results = list(map(Result, names, decided.scores))
    else:
        results = _complete(_results(names, decided), extras)
    response = ClassifyResponse(
        model=manifest.model,
        variant=manifest.variant,
        version=manifest.version,
        threshold=threshold,
        decision_id=decision_id,
        results=results,
    )
    return _encode(response if policy is None else structs.replace(response, **_under(policy)))


def encode_recorded(
    scope: Scope,
    manifest: Manifest,
    decision: Decision,
    decided: Decided,
    extras: Extras | None = None,
) -> bytes:
    """Encode the response to a request, see `encode`, with the ``decision_id`` of its scope."""
    return encode(manifest, decision, decided, extras, scope.get("decision_id", UNSET))


def _complete(results: list[Any], extras: Extras | None) -> list[Any]:
    return results if extras is None else explanations.complete(results, extras)


def _results(names: Sequence[str], decided: Decided) -> list[Result]:
    rows = zip(names, decided.scores, decided.remarks(), strict=True)
    return [
        Result(label, score, verdict or UNSET, reason or UNSET, is_low or UNSET)
        for label, score, (verdict, reason, is_low) in rows
    ]


def _multiclass_results(
    names: Sequence[str], decision: Decision, decided: Decided
) -> list[MulticlassResult]:
    rows = zip(names, decided.given_scores, decision.by_name(decided), strict=True)
    if decided.is_plain:
        return [MulticlassResult(*row) for row in rows]
    return [
        MulticlassResult(*row, reason or UNSET, is_low or UNSET)
        for row, (_, reason, is_low) in zip(rows, decided.remarks(), strict=True)
    ]


def _under(policy: Policy) -> dict[str, Any]:
    asked = {
        "policy": policy.name,
        "operating_point": policy.operating_point,
        "prior": policy.prior,
    }
    return {name: value for name, value in asked.items() if value is not None}


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
    "under a policy": {
        "value": {
            "model": "spam",
            "variant": "dice",
            "version": "0c7a5d1f3b2e",
            "threshold": 0.25,
            "policy": "teens",
            "operating_point": "fpr<=0.005",
            "prior": 0.01,
            "decision_id": "9b2f7c1e4d8a4f03b6c5e2a1d7f08394",
            "results": [
                {"label": "spam", "score": 0.75, "decision": "positive"},
                {"label": "ham", "score": 0.125, "decision": "review", "low_evidence": True},
                {"label": "ham", "score": None, "decision": "none", "reason": "no_content"},
            ],
        }
    },
    "an explanation, and an error": {
        "value": {
            "model": "spam",
            "variant": "dice",
            "version": "0c7a5d1f3b2e",
            "threshold": 0.5,
            "results": [
                {
                    "label": "spam",
                    "score": 0.75,
                    "explanation": {
                        "base": -1.0,
                        "surface": 0.25,
                        "spans": [
                            {"start": 11, "end": 16, "contribution": 1.0},
                            {"start": 0, "end": 5, "contribution": 0.75},
                            {"start": 17, "end": 20, "contribution": 0.5},
                        ],
                        "rest": -0.5,
                        "logit": 1.0,
                    },
                },
                {"error": {"detail": "Expected a string, got a number"}},
            ],
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
