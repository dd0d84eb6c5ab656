"""What the client returns, read from the responses of the service.

Members that this version does not know are left out, except those of a `Model`.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal

from ..decision.rule import Verdict
from .errors import ClientError


@dataclass(frozen=True, slots=True)
class Response:
    """What decided on the texts of one request, shared by its results.

    Attributes:
        model: its name.
        variant: of the model.
        version: of the artifact: the start of its content hash.
        threshold: that was used; None for more than two labels.
        policy: in force, if any.
        operating_point: what the threshold was fitted to, if it was now.
        prior: that scores were corrected to, if they were.
        decision_id: of the record of decisions, where the service keeps one.
        request_id: under which the service's log has the request.
    """

    model: str
    variant: str
    version: str
    threshold: float | None
    policy: str | None = None
    operating_point: str | None = None
    prior: float | None = None
    decision_id: str | None = None
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a text, and what it adds to the logit.

    Attributes:
        start: of its first code point in the text.
        end: after its last code point.
        contribution: below 0 if it lowers the logit.
    """

    start: int
    end: int
    contribution: float


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a long text that is scored like a text.

    Attributes:
        start: of its first code point in the text.
        end: after its last code point.
        logit: uncalibrated.
    """

    start: int
    end: int
    logit: float


@dataclass(frozen=True, slots=True)
class Explanation:
    """What adds up to the logit of a text: base, surface, penalty, spans and rest.

    Attributes:
        base: the logit of the empty text.
        surface: what the length, capitals and signs of the whole text add.
        spans: those that raise the logit most, the largest contribution first.
        rest: the sum of all spans that are not listed.
        logit: uncalibrated, of the positive label; with more than two labels, of the chosen one.
        penalty: for a text of several windows, at most 0.
        windows: in the order of the text; empty for a text that is not cut.
    """

    base: float
    surface: float
    spans: tuple[Span, ...]
    rest: float
    logit: float
    penalty: float = 0.0
    windows: tuple[Window, ...] = ()


@dataclass(frozen=True, slots=True)
class Result:
    """The decision on one text.

    Attributes:
        label: one of the model's labels; None for a text with an error.
        score: of the positive label; with more than two labels, of ``label``. None for a text
            without content, with two labels, and for one with an error.
        response: what decided.
        position: of the text in its request; the record of decisions counts from it.
        scores: label → score for more than two labels; None for two.
        decision: ``positive``, ``review`` or ``negative`` under a policy or an operating point;
            ``none`` for a text without content; else None.
        reason: ``no_content`` for a text without content; else None.
        low_evidence: whether few of its words are known.
        explanation: if it was asked for.
        error: what is wrong with the text, if the call reports errors; else None.
    """

    label: str | None
    score: float | None
    response: Response
    position: int
    scores: Mapping[str, float] | None = None
    decision: Verdict | None = None
    reason: Literal["no_content"] | None = None
    low_evidence: bool = False
    explanation: Explanation | None = None
    error: str | None = None

    @property
    def decision_id(self) -> str | None:
        """The id of this decision in the service's record; None if it keeps none."""
        found = self.response.decision_id
        return None if found is None else f"{found}.{self.position}"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that is served.

    Attributes:
        model: its name.
        variant: of the model.
        version: of the artifact: the start of its content hash.
        labels: two: the negative one, then the positive one; more: in any order.
        threshold: the default one; None for more than two labels.
        facts: everything that the service returns about it, these too.
    """

    model: str
    variant: str
    version: str
    labels: tuple[str, ...]
    threshold: float | None
    facts: Mapping[str, Any]


def read_results(content: bytes, request_id: str, texts: int) -> list[Result]:
    """Read the response to a request to classify.

    Args:
        content: its body.
        request_id: from its header.
        texts: the number of texts in the request.

    Raises:
        ClientError: it is not a response of the service.
    """
    found = read_object(content)
    try:
        response = Response(**_known(Response, found) | {"request_id": request_id})
        results = [
            _result(one, response, position) for position, one in enumerate(found["results"])
        ]
    except (KeyError, TypeError, AttributeError):
        raise unexpected() from None
    if len(results) != texts:
        raise unexpected()
    return results


def read_models(content: bytes) -> list[Model]:
    """Read the response to a request for the list of models.

    Raises:
        ClientError: it is not a response of the service.
    """
    try:
        return [_model(facts) for facts in read_object(content)["models"]]
    except (KeyError, TypeError, AttributeError):
        raise unexpected() from None


def read_model(content: bytes) -> Model:
    """Read the response to a request for the facts of a model.

    Raises:
        ClientError: it is not a response of the service.
    """
    try:
        return _model(read_object(content))
    except (KeyError, TypeError, AttributeError):
        raise unexpected() from None


def read_object(content: bytes) -> dict[str, Any]:
    """Read a body that is an object in JSON.

    Raises:
        ClientError: it is none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise unexpected()
    return found


def unexpected() -> ClientError:
    """Return the error for a response that is none of the service's."""
    return ClientError(
        "the response has status 200, but is none of the service's: is the URL right?"
    )


def _result(value: Mapping[str, Any], response: Response, position: int) -> Result:
    if "error" in value:
        return Result(None, None, response, position, error=str(value["error"]["detail"]))
    known = _known(Result, value)
    if "explanation" in value:
        known["explanation"] = _explanation(value["explanation"])
    return Result(**known, response=response, position=position)


def _explanation(value: Mapping[str, Any]) -> Explanation:
    known = _known(Explanation, value)
    known["spans"] = tuple(Span(**_known(Span, span)) for span in value["spans"])
    known["windows"] = tuple(Window(**_known(Window, one)) for one in value.get("windows", ()))
    return Explanation(**known)


def _model(facts: Mapping[str, Any]) -> Model:
    known = {name: facts[name] for name in ("model", "variant", "version", "threshold")}
    return Model(**known, labels=tuple(facts["labels"]), facts=dict(facts))


def _known(kind: type[Any], value: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that a class has fields for."""
    return {field.name: value[field.name] for field in fields(kind) if field.name in value}
