"""What a loss's options may be, declared once: in its signature, with the types below.

A loss lists its options as keyword-only parameters, each with a default and one of the types
`Positive`, `Share`, ``bool`` or a ``Literal``. `check` reads that declaration; it is called when a
configuration is read and when a loss is bound to its options (`training.losses.registry`).
"""

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

Option = bool | float | str

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False, description="a finite number above 0")]

Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False, description="a number in [0, 1]")]


def names(loss: Callable[..., Any]) -> tuple[str, ...]:
    """Return the names of a loss's options, in the order of its signature."""
    parameters = inspect.signature(loss).parameters.values()
    return tuple(one.name for one in parameters if one.kind is one.KEYWORD_ONLY)


def check(loss: Callable[..., Any], options: Mapping[str, Option]) -> None:
    """Check the names and values of a loss's options.

    Raises:
        ValueError: an option is unknown or its value is not allowed; the message lists every
            problem with the option, its value and what is allowed.

    Example:
        >>> def loss(logits, targets, *, smoothing: Positive = 1.0): ...
        >>> check(loss, {"smoothing": 0.5})
        >>> check(loss, {"smoothing": -1})
        Traceback (most recent call last):
            ...
        ValueError: smoothing is -1; expected a finite number above 0
    """
    declared = _declared(loss)
    try:
        declared.model_validate(dict(options))
    except ValidationError as error:
        problems = "; ".join(_problem(detail, declared.model_fields) for detail in error.errors())
        raise ValueError(problems) from error


@cache
def _declared(loss: Callable[..., Any]) -> type[BaseModel]:
    """Return the model of a loss's options. It is strict: ``true`` is no number, 1 no boolean."""
    parameters = inspect.signature(loss).parameters
    options: dict[str, Any] = {
        name: (parameters[name].annotation, parameters[name].default) for name in names(loss)
    }
    settings = ConfigDict(extra="forbid", strict=True)
    return create_model("Options", __config__=settings, **options)


def _problem(detail: ErrorDetails, declared: Mapping[str, FieldInfo]) -> str:
    option = str(detail["loc"][0])
    if option not in declared:
        return f"no option {option!r}; available: {', '.join(declared) or 'none'}"
    field = declared[option]
    choices = get_args(field.annotation)
    allowed = field.description or (
        f"one of {', '.join(map(repr, choices))}" if choices else "true or false"
    )
    return f"{option} is {detail['input']!r}; expected {allowed}"
