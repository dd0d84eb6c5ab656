"""The tables of a configuration file: what is read, drawn, cut and changed."""

from dataclasses import fields
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from dandelion.text.grams import Features
from dandelion.text.windows import Windows

from .data.augmentation import Kind
from .data.sources import source_named
from .errors import DatasetError

Rate = Annotated[float, Field(gt=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_][a-z0-9_-]*$", max_length=64)]


class Wide(BaseModel):
    """The wide path: what it reads, see `dandelion.text.grams.Features`, and how it is trained."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    bits: int = 18
    """There are 2**bits buckets for grams."""
    chars: tuple[int, int] | None = (2, 5)
    """Shortest and longest character n-gram inside words."""
    words: int = 2
    """Longest word n-gram; 0 for none."""
    signs: bool = True
    """Whether signs, and pairs of neighbouring words and signs, are grams."""
    shapes: bool = True
    """Whether the shapes of words are grams."""
    surface: bool = True
    """Whether counts over the whole text are read."""
    length: bool = True
    """Whether the surface's numbers that grow with any text are read: letters, spaces, words."""
    surface_dimensions: int = Field(0, ge=0)
    """Numbers of the surface that the hidden layers read next to the average of embeddings."""
    idf: bool = True
    """Whether a gram is weighted by its inverse document frequency."""
    rate: Rate = 0.03
    """Adam's learning rate for the grams."""
    surface_rate: Rate = 0.03
    """Adam's learning rate for the surface."""
    decay: float = Field(2e-5, ge=0)
    """L2 penalty on the weights of grams and surface."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.features()
        return self

    def features(self) -> Features:
        """Return what the network reads."""
        values = self.model_dump()
        return Features(**{field.name: values[field.name] for field in fields(Features)})


class StaticVectors(BaseModel):
    """Static sentence vectors behind the word vectors, see `training.model.static_vectors`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    dimensions: int = Field(128, ge=1, le=384)
    """Numbers in a static vector."""
    scale: float = Field(10.0, gt=0)
    """What every number is multiplied by; 10 makes them about as large as GloVe's."""
    fine_tune: bool = False
    """Whether they are trained along with the word vectors, or stay as they are."""


class SourceChoice(BaseModel):
    """A source that a variant learns from, and how much of it an epoch draws."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    name: Name
    """A name in `training.data.sources`."""
    weight: float = Field(1.0, gt=0)
    """How often a text is drawn, compared with one of weight 1."""
    balanced: bool = False
    """Whether both classes are drawn equally often, where the source has both."""
    rows: int | None = Field(None, ge=1)
    """Texts at most, chosen by whole groups of near copies; None for all."""

    @field_validator("name")
    @classmethod
    def _may_be_learnt(cls, name: str) -> str:
        try:
            source = source_named(name)
        except DatasetError as error:
            raise ValueError(str(error)) from None
        if source.use != "train":
            raise ValueError(f"{name!r} ({source.licence}) is for measuring alone")
        return name


class WindowChoice(BaseModel):
    """How long texts are cut, see `dandelion.text.windows`; the penalty is fitted."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    words: int = 30
    """Words of a window."""
    stride: int = 15
    """Words from the start of a window to that of the next, from half of `words` to all."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        self.windows()
        return self

    def windows(self) -> Windows:
        """Return how long texts are cut, with a penalty of 0."""
        return Windows(words=self.words, stride=self.stride)


class Augmentation(BaseModel):
    """Changed copies of training texts, see `training.data.augmentation`."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    kinds: tuple[Kind, ...] = Field(min_length=1)
    """How copies are changed."""
    share: float = Field(0.25, gt=0, le=1)
    """Copies for each training text that is drawn."""
