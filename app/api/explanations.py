"""Explanations and errors of single texts, as they stand in a response."""

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from dandelion import explanation

from ..serving.extras import Extras

_Start = Annotated[int, Meta(description="Of its first code point in the text.")]
_End = Annotated[int, Meta(description="After its last code point.")]


class Span(Struct, frozen=True, gc=False):
    """A word, a run of signs, a link or a mention, and what it adds to the logit."""

    start: _Start
    end: _End
    contribution: Annotated[float, Meta(description="Below 0 if it lowers the logit.")]


class Window(Struct, frozen=True, gc=False):
    """A part of a long text that is scored like a text."""

    start: _Start
    end: _End
    logit: Annotated[float, Meta(description="Uncalibrated.")]


class Explanation(Struct, frozen=True):
    """What adds up to the logit: base, surface, penalty, spans and rest."""

    base: Annotated[float, Meta(description="The logit of the empty text.")]
    surface: Annotated[
        float, Meta(description="What the length, capitals and signs of the whole text add.")
    ]
    spans: Annotated[
        list[Span], Meta(description="Those that raise the logit most, the largest first.")
    ]
    rest: Annotated[float, Meta(description="The sum of all spans that are not listed.")]
    logit: Annotated[
        float,
        Meta(
            description="Uncalibrated log-odds of the positive label; with more than two labels, "
            "of the chosen one."
        ),
    ]
    penalty: Annotated[
        float | UnsetType, Meta(description="At most 0; only for a text of several windows.")
    ] = UNSET
    windows: Annotated[
        list[Window] | UnsetType,
        Meta(
            description="Only for a text of several. The one with the largest logit is explained."
        ),
    ] = UNSET


class TextError(Struct, frozen=True):
    """What is wrong with a text."""

    detail: Annotated[str, Meta(description="What was expected.")]


class ErrorResult(Struct, frozen=True):
    """Stands in the place of a text that was not classified."""

    error: TextError


def complete(results: Sequence[Struct], extras: Extras) -> list[Any]:
    """Return the results of a response, with explanations and errors in their places.

    Args:
        results: of the texts that were classified, in their order.
        extras: of these and of the other texts.
    """
    found: list[Any] = list(results)
    if extras.explanations:
        found = [
            structs.replace(result, explanation=_body(one))
            for result, one in zip(results, extras.explanations, strict=True)
        ]
    for position in sorted(extras.errors):
        found.insert(position, ErrorResult(TextError(extras.errors[position])))
    return found


def _body(one: explanation.Explanation) -> Explanation:
    found = Explanation(
        one.base,
        one.surface,
        [Span(span.start, span.end, span.contribution) for span in one.spans],
        one.rest,
        one.logit,
    )
    if not one.windows:
        return found
    windows = [Window(each.start, each.end, each.logit) for each in one.windows]
    return structs.replace(found, penalty=one.penalty, windows=windows)
