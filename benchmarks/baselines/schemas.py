"""Request and response of the echoes and of fastText behind FastAPI."""

from pydantic import BaseModel


class ClassifyRequest(BaseModel):
    """Texts to classify."""

    texts: list[str]
    threshold: float | None = None


class Result(BaseModel):
    """The decision on one text."""

    label: str
    score: float


class ClassifyResponse(BaseModel):
    """The decisions on a batch."""

    model: str
    results: list[Result]
