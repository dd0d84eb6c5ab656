"""Request and answer of the echoes and of fastText behind the same framework."""

from pydantic import BaseModel


class Asked(BaseModel):
    """Texts to classify."""

    texts: list[str]
    threshold: float | None = None


class Result(BaseModel):
    """The decision on one text."""

    label: str
    score: float


class Answer(BaseModel):
    """The decisions on a batch."""

    model: str
    results: list[Result]
